"""A deploy, from the first read to the release record: all of it, or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from deployer import apply, guards, lock, release, verify
from deployer.api_errors import explain
from deployer.desired import Desired
from deployer.environment import Environment
from deployer.errors import DeployerError
from deployer.refresh import Snapshot, refresh
from deployer.release import Release
from deployer.result import Clock, Result
from deployer.server import Server
from deployer.uninterrupted import uninterrupted
from deployer.verify import SmokeRun

Say = Callable[[str], None]
RESTORE_ATTEMPTS = 5


@dataclass(frozen=True)
class Options:
    """How to deploy.

    Attributes:
        only: glob on `FLOW/NAME`; everything else stays as it is.
        who: who deploys, for the lock and the record.
        commit: of the source, for the record.
        order: the pipeline's run id; a lower one than the highest recorded is refused.
        run_url: of the pipeline's run, for the record.
        verify: whether to wait for a worker and the smoke runs.
        timeout: seconds for the smoke runs.
        lock_timeout: seconds to wait for another deployer.
        prune_limit: percent of the owned deployments that one deploy may delete.
        adopt: take over deployments of the same name that are not ours.
    """

    only: str | None = None
    who: str = "somebody"
    commit: str | None = None
    order: int | None = None
    run_url: str | None = None
    verify: bool = True
    timeout: float = 600
    lock_timeout: float = 600
    prune_limit: int = 50
    adopt: bool = False


async def deploy(
    server: Server, environment: Environment, desired: Desired, options: Options, say: Say
) -> Result:
    """Make the server hold a desired, or leave it as it was.

    Returns:
        What was done. Where nothing differs nothing is written, not even a lock.

    Raises:
        DeployerError: something is refused before the first write, or failed and was put back.
    """
    clock = Clock()
    snapshot = guards.matched(
        await refresh(server, environment, desired, options.only), options.only
    )
    clock("plan")
    if snapshot.plan.empty:
        return Result(snapshot.plan, seconds=clock.seconds, ids=_ids(snapshot))
    guards.refuse_older(snapshot.latest, options.order)
    async with lock.held(server, environment, options.who, options.lock_timeout, say) as mine:
        clock("lock")
        snapshot = await refresh(server, environment, desired, options.only)
        guards.refuse_older(snapshot.latest, options.order)
        guards.refuse_mass_deletion(snapshot.plan, options.prune_limit)
        if foreign := await guards.foreign(server, snapshot.plan, options.adopt):
            snapshot = await refresh(server, environment, desired, options.only, foreign)
        if snapshot.plan.empty:
            return Result(snapshot.plan, seconds=clock.seconds, ids=_ids(snapshot))
        if desired.entries is None:
            await guards.require_pools(server, snapshot.plan)

        async def step(message: str) -> None:
            await mine.confirm()
            say(message)

        try:
            return await _transaction(
                server, environment, desired, options, snapshot, say, step, clock
            )
        except BaseException as error:
            if mine.lost:
                raise
            restored = await uninterrupted(_put_back(server, environment, snapshot, step))
            if not isinstance(error, Exception):
                say(restored)
                raise  # interrupted: nothing to explain
            problems = error.problems if isinstance(error, DeployerError) else (explain(error),)
            raise DeployerError(*problems, restored) from error


async def _transaction(
    server: Server,
    environment: Environment,
    desired: Desired,
    options: Options,
    snapshot: Snapshot,
    say: Say,
    step: apply.Step,
    clock: Clock,
) -> Result:
    await apply.apply(server, snapshot.plan, snapshot.live, desired.entries, step)
    clock("apply")
    runs: list[SmokeRun] = []
    after = await refresh(server, environment, desired, options.only)
    guards.require_single(snapshot.live, after.live)
    if options.verify:
        smoke = after.smoke(desired)
        runs = await verify.check(server, smoke, options.timeout, say)
        clock("verify")
    await apply.prune(server, snapshot.plan, after.live, step)
    final = await refresh(server, environment, desired, options.only)
    guards.require_arrival(final.plan)
    clock("prune")
    record = _record(desired, options, snapshot, final, str(await server.now()))
    await step(f"recording release {record.number}")
    await uninterrupted(release.record(server, environment, record))
    clock("record")
    return Result(snapshot.plan, record, runs, clock.seconds, _ids(final))


def _number(snapshot: Snapshot) -> int:
    return snapshot.latest.number + 1 if snapshot.latest else 1


def _ids(snapshot: Snapshot) -> dict[str, str]:
    return {key: each.id for key, each in snapshot.live.items()}


def _record(
    desired: Desired, options: Options, snapshot: Snapshot, final: Snapshot, at: str
) -> Release:
    latest = snapshot.latest
    planned = {each.key: desired.specs[each.key] for each in snapshot.plan.changes if each.after}
    # What --only left alone is as it was declared before.
    known = {**desired.specs, **(latest.specs if latest else {}), **planned}
    orders = [options.order, latest.highest_order if latest else None]
    return Release(
        number=_number(snapshot),
        at=at,
        who=options.who,
        commit=options.commit or desired.commit,
        image=desired.image,
        order=options.order,
        highest_order=max((each for each in orders if each is not None), default=None),
        run_url=options.run_url,
        verified=options.verify,
        summary=release.summarise(snapshot.plan),
        specs={key: known[key] for key in sorted(final.live) if key in known},
        smoke=desired.smoke,
        again=desired.again,
    )


async def _put_back(
    server: Server, environment: Environment, snapshot: Snapshot, step: apply.Step
) -> str:
    names = {n for each in snapshot.live.values() for n in each.spec["triggers"]}
    names |= {n for c in snapshot.plan.changes for n in (c.after or {}).get("triggers", ())}
    problem = ""
    restored: set[str] = set()
    for attempt in range(RESTORE_ATTEMPTS):
        try:
            now = await server.read(environment, names)
            restored |= {*await apply.restore(server, snapshot.plan, snapshot.live, now, step)}
            await release.withdraw(server, environment, _number(snapshot))
        except DeployerError:
            raise  # the lock is somebody else's by now
        except Exception as error:
            problem = explain(error)
            await asyncio.sleep(2**attempt)
        else:
            what = f"put back {len(restored)} deployments" if restored else "nothing was changed"
            return f"The server holds what it held before: {what}."
    return f"Putting back failed: {problem} Deploy again when the server is well."
