"""A deploy, from the first read to the release record: all of it, or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from deployer import apply, guards, lock, release, verify
from deployer.answers import explain
from deployer.environment import Environment
from deployer.errors import DeployerError
from deployer.finish import finish
from deployer.outcome import Clock, Outcome
from deployer.release import Release
from deployer.server import Server
from deployer.survey import Survey, survey
from deployer.target import Target
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
    server: Server, environment: Environment, target: Target, options: Options, say: Say
) -> Outcome:
    """Make the server hold a target, or leave it as it was.

    Returns:
        What was done. Where nothing differs nothing is written, not even a lock.

    Raises:
        DeployerError: something is refused before the first write, or failed and was put back.
    """
    clock = Clock()
    look = guards.matched(await survey(server, environment, target, options.only), options.only)
    clock("plan")
    if look.plan.empty:
        return Outcome(look.plan, seconds=clock.seconds, ids=_ids(look))
    guards.refuse_older(look.latest, options.order)
    async with lock.held(server, environment, options.who, options.lock_timeout, say) as mine:
        clock("lock")
        look = await survey(server, environment, target, options.only)
        guards.refuse_older(look.latest, options.order)
        guards.refuse_mass_deletion(look.plan, options.prune_limit)
        if foreign := await guards.foreign(server, look.plan, options.adopt):
            look = await survey(server, environment, target, options.only, foreign)
        if look.plan.empty:
            return Outcome(look.plan, seconds=clock.seconds, ids=_ids(look))
        if target.entries is None:
            await guards.require_pools(server, look.plan)

        async def step(message: str) -> None:
            await mine.confirm()
            say(message)

        try:
            return await _transaction(server, environment, target, options, look, say, step, clock)
        except BaseException as error:
            if mine.lost:
                raise
            restored = await finish(_put_back(server, environment, look, step))
            if not isinstance(error, Exception):
                say(restored)
                raise  # interrupted: nothing to explain
            problems = error.problems if isinstance(error, DeployerError) else (explain(error),)
            raise DeployerError(*problems, restored) from error


async def _transaction(
    server: Server,
    environment: Environment,
    target: Target,
    options: Options,
    look: Survey,
    say: Say,
    step: apply.Step,
    clock: Clock,
) -> Outcome:
    await apply.apply(server, look.plan, look.live, target.entries, step)
    clock("apply")
    runs: list[SmokeRun] = []
    after = await survey(server, environment, target, options.only)
    guards.require_single(look.live, after.live)
    if options.verify:
        smoke = after.smoke(target)
        runs = await verify.check(server, smoke, options.timeout, say)
        clock("verify")
    await apply.prune(server, look.plan, after.live, step)
    final = await survey(server, environment, target, options.only)
    guards.require_arrival(final.plan)
    clock("prune")
    record = _record(target, options, look, final, str(await server.now()))
    await step(f"recording release {record.number}")
    await finish(release.record(server, environment, record))
    clock("record")
    return Outcome(look.plan, record, runs, clock.seconds, _ids(final))


def _number(look: Survey) -> int:
    return look.latest.number + 1 if look.latest else 1


def _ids(look: Survey) -> dict[str, str]:
    return {key: each.id for key, each in look.live.items()}


def _record(target: Target, options: Options, look: Survey, final: Survey, at: str) -> Release:
    latest = look.latest
    planned = {each.key: target.states[each.key] for each in look.plan.changes if each.after}
    # What --only left alone is as it was declared before.
    known = {**target.states, **(latest.states if latest else {}), **planned}
    orders = [options.order, latest.highest_order if latest else None]
    return Release(
        number=_number(look),
        at=at,
        who=options.who,
        commit=options.commit or target.commit,
        image=target.image,
        order=options.order,
        highest_order=max((each for each in orders if each is not None), default=None),
        run_url=options.run_url,
        verified=options.verify,
        summary=release.summarise(look.plan),
        states={key: known[key] for key in sorted(final.live) if key in known},
        smoke=target.smoke,
        again=target.again,
    )


async def _put_back(
    server: Server, environment: Environment, look: Survey, step: apply.Step
) -> str:
    names = {n for each in look.live.values() for n in each.state["triggers"]}
    names |= {n for c in look.plan.changes for n in (c.after or {}).get("triggers", ())}
    problem = ""
    restored: set[str] = set()
    for attempt in range(RESTORE_ATTEMPTS):
        try:
            now = await server.read(environment, names)
            restored |= {*await apply.restore(server, look.plan, look.live, now, step)}
            await release.withdraw(server, environment, _number(look))
        except DeployerError:
            raise  # the lock is somebody else's by now
        except Exception as error:
            problem = explain(error)
            await asyncio.sleep(2**attempt)
        else:
            what = f"put back {len(restored)} deployments" if restored else "nothing was changed"
            return f"The server holds what it held before: {what}."
    return f"Putting back failed: {problem} Deploy again when the server is well."
