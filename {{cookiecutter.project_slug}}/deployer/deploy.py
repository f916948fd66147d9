"""A deploy, from the first read to the release record: all of it, or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from deployer import apply, guards, lock, refresh, release, verify
from deployer.api_errors import explain
from deployer.desired import Desired
from deployer.environment import Environment
from deployer.errors import DeployerError
from deployer.options import Options
from deployer.refresh import Snapshot
from deployer.release import Release
from deployer.result import Clock, Result
from deployer.server import Server
from deployer.uninterrupted import uninterrupted
from deployer.verify import SmokeRun

RESTORE_ATTEMPTS = 5


async def deploy(
    server: Server,
    environment: Environment,
    desired: Desired,
    options: Options,
    say: Callable[[str], None],
) -> Result:
    """Make the server hold what is desired, or leave it as it was.

    Args:
        server: where to deploy.
        environment: whose deployments these are.
        desired: what the server has to hold afterwards.
        options: how to deploy.
        say: told about progress, one line at a time.

    Returns:
        What was done. Where nothing differs nothing is written, not even a lock.

    Raises:
        DeployerError: something is refused before the first write, or failed and was put back.
    """
    return await Deploy(server, environment, desired, options, say).run()


@dataclass
class Deploy:
    """One deploy: what it was given, and how far it is.

    Attributes:
        server: where to deploy.
        environment: whose deployments these are.
        desired: what the server has to hold afterwards.
        options: how to deploy.
        say: told about progress.
        clock: how long each step took.
    """

    server: Server
    environment: Environment
    desired: Desired
    options: Options
    say: Callable[[str], None]
    clock: Clock = field(default_factory=Clock)

    async def run(self) -> Result:
        """Plan; where anything differs lock, plan again and carry it out."""
        before = await self._refresh()
        guards.require_match(before.plan, self.options.only)
        self.clock("plan")
        if before.plan.empty:
            return self._nothing_to_do(before)
        guards.refuse_older(before.latest, self.options.order)
        who, patience = self.options.who, self.options.lock_timeout
        async with lock.held(self.server, self.environment, who, patience, self.say) as mine:
            self.clock("lock")
            before = await self._refresh()
            guards.refuse_older(before.latest, self.options.order)
            guards.refuse_mass_deletion(before.plan, self.options.prune_limit)
            if foreign := await guards.foreign(self.server, before.plan, self.options.adopt):
                before = await self._refresh(foreign)
            if before.plan.empty:
                return self._nothing_to_do(before)
            if self.desired.entries is None:
                await guards.require_pools(self.server, before.plan)
            return await self._all_or_nothing(before, mine)

    async def _all_or_nothing(self, before: Snapshot, mine: lock.Lock) -> Result:
        async def step(message: str) -> None:
            await mine.confirm()
            self.say(message)

        try:
            return await self._carry_out(before, step)
        except BaseException as error:
            if mine.lost:
                raise
            restored = await uninterrupted(self._put_back(before, step))
            if not isinstance(error, Exception):
                self.say(restored)
                raise  # interrupted: nothing to explain
            problems = error.problems if isinstance(error, DeployerError) else (explain(error),)
            raise DeployerError(*problems, restored) from error

    async def _carry_out(self, before: Snapshot, step: apply.Step) -> Result:
        await apply.apply(self.server, before.plan, before.live, self.desired.entries, step)
        self.clock("apply")
        runs: list[SmokeRun] = []
        after = await self._refresh()
        guards.require_single(before.live, after.live)
        if self.options.verify:
            smoke = after.smoke(self.desired)
            runs = await verify.check(self.server, smoke, self.options.timeout, self.say)
            self.clock("verify")
        await apply.prune(self.server, before.plan, after.live, step)
        final = await self._refresh()
        guards.require_arrival(final.plan)
        self.clock("prune")
        record = self._record(before, final, str(await self.server.now()))
        await step(f"recording release {record.number}")
        await uninterrupted(release.record(self.server, self.environment, record))
        self.clock("record")
        return Result(before.plan, record, runs, self.clock.seconds, final.ids)

    async def _put_back(self, before: Snapshot, step: apply.Step) -> str:
        """Restore what was there, and say how that went."""
        names = {name for each in before.live.values() for name in each.spec["triggers"]}
        names |= {n for c in before.plan.changes for n in (c.after or {}).get("triggers", ())}
        problem = ""
        restored: set[str] = set()
        for attempt in range(RESTORE_ATTEMPTS):
            try:
                now = await self.server.read(self.environment, names)
                written = await apply.restore(self.server, before.plan, before.live, now, step)
                restored |= {*written}
                await release.withdraw(self.server, self.environment, before.next_number)
            except DeployerError:
                raise  # the lock is somebody else's by now
            except Exception as error:
                problem = explain(error)
                await asyncio.sleep(2**attempt)
            else:
                what = f"put back {len(restored)} deployments" if restored else "nothing was changed"
                return f"The server holds what it held before: {what}."
        return f"Putting back failed: {problem} Deploy again when the server is well."

    async def _refresh(self, adopted: refresh.Rows | None = None) -> Snapshot:
        only = self.options.only
        return await refresh.refresh(self.server, self.environment, self.desired, only, adopted)

    def _nothing_to_do(self, now: Snapshot) -> Result:
        return Result(now.plan, seconds=self.clock.seconds, ids=now.ids)

    def _record(self, before: Snapshot, final: Snapshot, at: str) -> Release:
        desired, options, latest = self.desired, self.options, before.latest
        planned = {each.key: desired.specs[each.key] for each in before.plan.changes if each.after}
        # What --only left alone is as it was declared before.
        known = {**desired.specs, **(latest.specs if latest else {}), **planned}
        orders = [options.order, latest.highest_order if latest else None]
        return Release(
            number=before.next_number,
            at=at,
            who=options.who,
            commit=options.commit or desired.commit,
            image=desired.image,
            order=options.order,
            highest_order=max((each for each in orders if each is not None), default=None),
            run_url=options.run_url,
            verified=options.verify,
            summary=release.summarise(before.plan),
            specs={key: known[key] for key in sorted(final.live) if key in known},
            smoke=desired.smoke,
            again=desired.again,
        )
