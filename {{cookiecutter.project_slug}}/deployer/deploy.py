"""A deploy, from the first read to the release record. If a step fails, the deploy is undone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from deployer import environment_state, guards, lock, refresh, release, release_page, verify
from deployer.api_errors import explain
from deployer.desired import Desired
from deployer.environment import Environment
from deployer.environment_state import EnvironmentState, Hold
from deployer.errors import DeployerError, counted
from deployer.kinds import Resources
from deployer.options import Options
from deployer.plan import Plan, difference
from deployer.refresh import Snapshot
from deployer.release import Release
from deployer.resource_transaction import ResourceTransaction
from deployer.result import Clock, Result
from deployer.server import Live, Server
from deployer.transaction import Transaction
from deployer.uninterrupted import uninterrupted
from deployer.verify import SmokeRun

RESTORE_ATTEMPTS = 5
DONE = "Interrupted after the deploy was done: nothing is rolled back."


async def deploy(
    server: Server,
    environment: Environment,
    desired: Desired,
    options: Options,
    say: Callable[[str], None],
    present: Callable[[Plan], None],
) -> Result:
    """Bring the server to the desired state, or leave it as it was.

    Args:
        server: where to deploy.
        environment: the environment to deploy to.
        desired: the state to reach.
        options: how to deploy.
        say: called with each line of progress.
        present: called with the plan before anything is done, and again if the plan changes.

    Returns:
        What was done. If plan and state contain no change and nobody has the lock, nothing is
        written, not even a lock.

    Raises:
        DeployerError: the deploy was refused before its first write, or failed and was undone.
    """
    return await Deploy(server, environment, desired, options, say, present).run()


@dataclass
class Deploy:
    """One deploy: its inputs and its progress.

    Attributes:
        server: where to deploy.
        environment: the environment to deploy to.
        desired: the state to reach.
        options: how to deploy.
        say: called with each line of progress.
        present: called with the plan.
        presented: the plan that `present` was called with last.
        clock: how long each step took.
        done: what was done, once release and state are stored.
        restored: a sentence about what was put back, once that has ended.
    """

    server: Server
    environment: Environment
    desired: Desired
    options: Options
    say: Callable[[str], None]
    present: Callable[[Plan], None]
    presented: Plan | None = None
    clock: Clock = field(default_factory=Clock)
    done: Result | None = None
    restored: str = ""

    async def run(self) -> Result:
        """Deploy. An interruption after the last write of the deploy undoes nothing."""
        try:
            return await self._run()
        except asyncio.CancelledError:
            if self.done is None:
                raise
            self.say(DONE)
            self.done.interrupted = True
            return self.done

    async def _run(self) -> Result:
        """Plan. If anything differs or the lock is taken, wait for the lock, and apply the plan."""
        before = await self._refresh()
        self.clock("plan")
        nothing_to_do = before.plan.empty and self._next_state(before) == before.state
        if nothing_to_do and not before.locked:
            return self._nothing_to_do(before, before.state)
        if not before.locked:  # else the plan is made again
            self._refuse(before)
        who, timeout = self.options.who, self.options.lock_timeout
        async with lock.held(self.server, self.environment, who, timeout, self.say) as held:
            self.clock("lock")
            state = await environment_state.merge_note(self.server, self.environment)
            changed = before.locked or held.was_taken or state != before.state
            if changed or await self._newer_release(before):
                before = await self._refresh()
                self._refuse(before)
            guards.refuse_mass_deletion(before.plan, self.options.prune_limit)
            guards.refuse_foreign(before.foreign_notes, self.options.adopt)
            if before.foreign:
                before = await self._refresh(before.foreign)
            if before.plan.empty:
                return self._nothing_to_do(before, await self._store_state(before))
            if self.desired.entries is None:
                await guards.require_pools(self.server, before.plan)
            self.clock("read")
            self.done = await self._all_or_nothing(before, held)
        await self._prune(self.done)
        return self.done

    async def _newer_release(self, before: Snapshot) -> bool:
        """Whether another deployer recorded a release between our read and our lock."""
        latest = next(iter(await release.recent(self.server, self.environment)), None)
        return latest != before.latest

    async def _all_or_nothing(self, before: Snapshot, held: lock.Lock) -> Result:
        async def step(message: str) -> None:
            await held.confirm()
            self.say(message)

        latest = before.latest
        resources = ResourceTransaction(
            Resources(self.server, self.environment),
            before.plan.resources,
            before.resources,
            self.desired.resources,
            latest.resources if latest else {},
            step,
        )
        recorded = latest.specs if latest else {}
        args = before.plan, before.live, self.desired, recorded
        work = Transaction(self.server, *args, step, resources)
        try:
            return await self._carry_out(before, work)
        except BaseException as error:
            if held.lost:
                raise  # another deployer writes now
            if not isinstance(error, Exception):
                self.say("Interrupted: what was there is put back first.")
            try:
                await uninterrupted(self._put_back(before, work))
            except asyncio.CancelledError:
                if not self.restored:
                    raise  # another deployer has the lock now
            restored = self.restored  # although somebody may have interrupted this as well
            if not isinstance(error, Exception):
                self.say(restored)
                raise  # interrupted: nothing to explain
            problems = error.problems if isinstance(error, DeployerError) else (explain(error),)
            raise DeployerError(*problems, restored) from error

    async def _carry_out(self, before: Snapshot, work: Transaction) -> Result:
        await work.apply()
        self.clock("apply")
        ids, triggers = [*work.ids.values()], self._triggers(before)
        arrived = await self.server.read_these(ids, triggers)
        work.require_written(arrived)
        guards.refuse_duplicates(before.live, arrived)
        after = replace(before, live={**before.live, **arrived})
        self.clock("read")
        runs: list[SmokeRun] = []
        warnings: list[str] = []
        if self.options.verify:
            args = self.environment.setup, after.deployed, after.smoke(self.desired)
            runs, warnings = await verify.check(self.server, *args, self.options.timeout, self.say)
            self.clock("verify")
        now = await self.server.read_these(ids, triggers) if runs else arrived
        edited = self._edited(arrived, now)
        await work.prune(now)
        self.clock("delete")
        gone = {change.key for change in before.plan.of("delete")}
        live = {key: each for key, each in after.live.items() if key not in gone}
        verdict = release.verdict(self.options.verify, bool(runs))
        record = self._record(before, live, verdict, str(await self.server.now()))
        await work.step(f"recording release {record.number}")
        page = release_page.markdown(self.environment, record, before.plan)
        await uninterrupted(release.record(self.server, self.environment, record, page))
        state = await self._store_state(before)
        self.clock("record")
        ids_now = {key: each.id for key, each in live.items()}
        seconds = self.clock.seconds
        return Result(before.plan, record, runs, seconds, ids_now, state.hold, edited, warnings)

    async def _prune(self, done: Result) -> None:
        """Delete old release records; an error is only a warning, because the deploy is done."""
        held = done.hold.release if done.hold else None
        try:
            await release.prune(self.server, self.environment, held)
        except Exception as error:
            done.warnings.append(f"Old release records were not deleted: {explain(error)}")
            self.say(done.warnings[-1])

    def _edited(self, arrived: dict[str, Live], now: dict[str, Live]) -> list[str]:
        """Report what was edited while the deploy was verified; the edits are kept."""
        edited = []
        for key, each in arrived.items():
            fields = difference(each.spec, now[key].spec) if key in now else {"deleted": ()}
            if fields:
                edited.append(
                    f"{key} was edited during the deploy, and the edit is kept: {', '.join(fields)}"
                )
                self.say(edited[-1])
        return edited

    def _triggers(self, before: Snapshot) -> set[str]:
        """Return the names of all automations that this deploy could write or put back."""
        specs = [each.spec for each in before.live.values()]
        specs += [change.after for change in before.plan.changes if change.after]
        return {name for spec in specs for name in spec["triggers"]}

    async def _put_back(self, before: Snapshot, work: Transaction) -> None:
        """Put back what was there, and say in `restored` what that was."""
        problem = ""
        for attempt in range(RESTORE_ATTEMPTS):
            try:
                now = await self.server.read(self.environment, self._triggers(before))
                await work.restore(now)
                await release.withdraw(self.server, self.environment, before.next_number)
                state, _ = await environment_state.read(self.server, self.environment)
                if state != before.state:
                    await work.step("putting back the state of the environment")
                    await environment_state.write(self.server, self.environment, before.state)
            except DeployerError:
                raise  # another deployer has the lock now, or a Variable was edited by hand
            except Exception as error:
                problem = explain(error)
                await asyncio.sleep(2**attempt)
            else:
                number = len(work.restored)
                back = [counted(number, "deployment")] if number else []
                back += sorted(work.resources.restored)
                what = f"put back {', '.join(back)}" if back else "nothing was changed"
                kept = ", ".join([*work.resources.kept, *work.kept])
                edits = f", but edits that somebody made meanwhile stay ({kept})" if kept else ""
                self.restored = f"The server is as it was before the deploy{edits}: {what}."
                return
        self.restored = (
            f"Putting back failed: {problem} Deploy again as soon as the server answers."
        )

    async def _refresh(self, adopted: refresh.Rows | None = None) -> Snapshot:
        only = self.options.only
        found = await refresh.refresh(self.server, self.environment, self.desired, only, adopted)
        if found.plan != self.presented:
            if self.presented:
                self.say("The plan has changed:")
            self.present(found.plan)
            self.presented = found.plan
        return found

    def _refuse(self, before: Snapshot) -> None:
        if before.plan.empty:
            return
        guards.refuse_older(before.highest_order, self.options.order)
        if self.desired.rolled_back_to is None:
            guards.refuse_held(self.environment, before.state.hold, self.options.resume)
        guards.refuse_another_plan(before.plan, self.options.expect_plan)

    def _next_state(self, before: Snapshot) -> EnvironmentState:
        """Return the state to store after this deploy; a new hold has no time yet."""
        orders = [before.state.highest_order, self.options.order]
        highest = max((each for each in orders if each is not None), default=None)
        hold, target = before.state.hold, self.desired.rolled_back_to
        if self.options.resume or (target is not None and not self.options.hold):
            hold = None
        elif target is not None and (hold is None or hold.release != target):
            latest = before.latest if before.latest and before.latest.content != target else None
            bad, commit = (latest.number, latest.commit) if latest else (None, None)
            if hold:  # a second rollback: the first bad release is still the reason for the hold
                bad, commit = hold.bad, hold.commit
            hold = Hold("", self.options.who, target, bad, commit)
        return EnvironmentState(highest, hold)

    async def _store_state(self, before: Snapshot) -> EnvironmentState:
        state = self._next_state(before)
        if state.hold and not state.hold.at:
            now = str(await self.server.now())
            state = replace(state, hold=replace(state.hold, at=now))
        if state != before.state:
            writing = environment_state.write(self.server, self.environment, state)
            await uninterrupted(writing)
        return state

    def _nothing_to_do(self, now: Snapshot, state: EnvironmentState) -> Result:
        return Result(now.plan, seconds=self.clock.seconds, ids=now.ids, hold=state.hold)

    def _record(self, before: Snapshot, live: dict[str, Live], verdict: str, at: str) -> Release:
        desired, options, latest, plan = self.desired, self.options, before.latest, before.plan
        planned = {each.key: desired.specs[each.key] for each in plan.changes if each.after}
        # Deployments that --only leaves out keep what the latest release declared.
        known = {**desired.specs, **(latest.specs if latest else {}), **planned}
        images, resources = desired.images, desired.resources
        resources = {each.key: resources[each.key] for each in plan.resources if each.after}
        if latest and options.only:
            left_out = latest.resources.keys() - {each.key for each in plan.resources}
            resources |= {key: latest.resources[key] for key in sorted(left_out)}
            written = {spec["job_variables"].get("image") for spec in planned.values()}
            old = {k: v for k, v in latest.images.items() if images.get(k) not in written}
            images = {**images, **old}
        return Release(
            number=before.next_number,
            at=at,
            who=options.who,
            commit=options.commit or desired.commit,
            image=desired.image,
            order=options.order,
            run_url=options.run_url,
            verified=verdict,
            summary=release_page.summary(plan),
            specs={key: known[key] for key in sorted(live) if key in known},
            smoke=desired.smoke,
            again=desired.rolled_back_to,
            resources=resources,
            images=images,
        )
