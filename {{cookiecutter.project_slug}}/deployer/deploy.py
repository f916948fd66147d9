"""A deploy, from the first read to the release record: all of it, or nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from deployer import apply, lock, plan, release, state, verify
from deployer.catalog import Deployment
from deployer.environment import Environment
from deployer.errors import DeployerError
from deployer.plan import Plan
from deployer.release import Release
from deployer.server import Live, Server, explain
from deployer.state import State
from deployer.verify import SmokeRun

Say = Callable[[str], None]
BRAKE_FROM = 5  # owned deployments below which deleting many of them is nothing unusual
RESTORE_ATTEMPTS = 5


@dataclass(frozen=True)
class Options:
    """How to deploy.

    Attributes:
        image: reference the runs use; None runs from the working tree.
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

    image: str | None = None
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


@dataclass(frozen=True)
class Target:
    """What to reach: from the catalog, or from a recorded release.

    Attributes:
        states: the wanted states by `FLOW/NAME`.
        smoke: parameters of the smoke runs by `FLOW/NAME`.
        switches: what is declared of pause and schedules.
        entries: the catalog's entries; None for a recorded release, whose code is not here.
        image: the image that the states use.
        commit: of the source.
    """

    states: dict[str, State]
    smoke: dict[str, dict[str, Any]]
    switches: dict[str, Any]
    entries: dict[str, Deployment] | None = None
    image: str | None = None
    commit: str | None = None


@dataclass
class Outcome:
    """What a deploy did.

    Attributes:
        plan: what it changed.
        release: its record; None where nothing differed.
        runs: the smoke runs.
        seconds: how long each step took.
    """

    plan: Plan
    release: Release | None = None
    runs: list[SmokeRun] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Survey:
    """One look at the server: what is there, what was last released, what would change."""

    plan: Plan
    live: dict[str, Live]
    latest: Release | None


def from_catalog(
    catalog: list[Deployment],
    environment: Environment,
    image: str | None,
    commit: str | None = None,
) -> Target:
    """Return what a checked catalog asks for in an environment."""
    entries, states, smoke = {}, {}, {}
    for entry in catalog:
        declared = state.declared(entry, environment, image)
        key = state.key(declared)
        entries[key], states[key] = entry, declared
        if entry.smoke is not None:
            smoke[key] = entry.smoke
    return Target(states, smoke, release.switches(states), entries, image, commit)


def from_release(recorded: Release) -> Target:
    """Return what a recorded release asks for; pause and switches are today's operator's."""
    return Target(
        recorded.states,
        recorded.smoke,
        recorded.switches,
        image=recorded.image,
        commit=recorded.commit,
    )


async def survey(
    server: Server, environment: Environment, target: Target, only: str | None = None
) -> Survey:
    """Read the server once and compare.

    Args:
        server: where to read.
        environment: whose deployments.
        target: what is wanted.
        only: glob on `FLOW/NAME`; the plan holds nothing else.
    """
    latest = next(iter(await release.recent(server, environment)), None)
    known = [target.states, latest.states if latest else {}]
    triggers = {name for states in known for each in states.values() for name in each["triggers"]}
    live = await server.read(environment, triggers)
    wanted, found = target.states, {key: each.state for key, each in live.items()}
    if only:
        wanted = {key: each for key, each in wanted.items() if fnmatchcase(key, only)}
        found = {key: each for key, each in found.items() if fnmatchcase(key, only)}
        if not wanted and not found:
            raise DeployerError(
                f"--only {only!r} matches no deployment: it is a glob on FLOW/NAME."
            )
    return Survey(plan.make(wanted, found, latest.switches if latest else None), live, latest)


async def deploy(
    server: Server, environment: Environment, target: Target, options: Options, say: Say
) -> Outcome:
    """Make the server hold a target, or leave it as it was.

    Returns:
        What was done. Where nothing differs nothing is written, not even a lock.

    Raises:
        DeployerError: something is refused before the first write, or failed and was put back.
    """
    clock = _Clock()
    look = await survey(server, environment, target, options.only)
    clock("plan")
    if look.plan.empty:
        return Outcome(look.plan, seconds=clock.seconds)
    _refuse_older(look.latest, options.order)
    async with lock.held(server, environment, options.who, options.lock_timeout, say) as mine:
        clock("lock")
        look = await survey(server, environment, target, options.only)
        _refuse_older(look.latest, options.order)
        _brake(look.plan, options.prune_limit)
        adopted = await _foreign(server, look, options.adopt)
        if adopted:
            look = _with_adopted(look, adopted)
        if look.plan.empty:
            return Outcome(look.plan, seconds=clock.seconds)
        try:
            return await _transaction(server, environment, target, options, look, say, clock)
        except BaseException as error:
            if mine.lost:
                raise
            restored = await _put_back(server, environment, look, say)
            if not isinstance(error, Exception):
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
    clock: _Clock,
) -> Outcome:
    if target.entries is None:
        await apply.reinstate(server, look.plan, look.live, say)
    else:
        await apply.apply(server, look.plan, look.live, target.entries, say)
    clock("apply")
    runs: list[SmokeRun] = []
    after = (await survey(server, environment, target, options.only)).live
    if options.verify:
        smoke = {key: (after[key], target.smoke[key]) for key in target.smoke if key in after}
        runs = await check_runs(server, environment, smoke, options.timeout, say)
        clock("verify")
    await apply.prune(server, look.plan, after)
    final = await survey(server, environment, target, options.only)
    _converged(final.plan)
    clock("prune")
    record = _record(target, options, look, final, str(await server.now()))
    await release.record(server, environment, record)
    clock("record")
    return Outcome(look.plan, record, runs, clock.seconds)


async def check_runs(
    server: Server,
    environment: Environment,
    smoke: dict[str, tuple[Live, dict[str, Any]]],
    timeout: float,
    say: Say,
) -> list[SmokeRun]:
    """Wait for a worker, then for the smoke runs; without smoke runs no worker is asked for."""
    if not smoke:
        return []
    await verify.worker(server, environment)
    return await verify.smoke(server, smoke, timeout, say)


def _record(target: Target, options: Options, look: Survey, final: Survey, at: str) -> Release:
    latest = look.latest
    orders = [options.order, latest.highest_order if latest else None]
    return Release(
        number=latest.number + 1 if latest else 1,
        at=at,
        who=options.who,
        commit=options.commit or target.commit,
        image=target.image,
        order=options.order,
        highest_order=max((each for each in orders if each is not None), default=None),
        run_url=options.run_url,
        verified=options.verify,
        summary=release.summarise(look.plan),
        states={key: each.state for key, each in sorted(final.live.items())},
        switches=target.switches,
        smoke=target.smoke,
    )


async def _put_back(server: Server, environment: Environment, look: Survey, say: Say) -> str:
    names = {n for each in look.live.values() for n in each.state["triggers"]}
    names |= {n for c in look.plan.changes for n in (c.after or {}).get("triggers", ())}
    problem = ""
    for attempt in range(RESTORE_ATTEMPTS):
        try:
            now = await server.read(environment, names)
            restored = await apply.restore(server, look.plan, look.live, now, say)
        except Exception as error:
            problem = explain(error)
            await asyncio.sleep(2**attempt)
        else:
            what = f"put back {len(restored)} deployments" if restored else "nothing was changed"
            return f"The server holds what it held before: {what}."
    return f"Putting back failed: {problem} Deploy again when the server is well."


async def _foreign(server: Server, look: Survey, adopt: bool) -> dict[str, Live]:
    """Prefect takes over a deployment of the same flow and name silently; this asks first."""
    new = [change.key for change in look.plan.of("create")]
    found = await server.named(new) if new else {}
    if found and not adopt:
        raise DeployerError(
            *(
                f"{key} exists already and is not ours: rename the entry, "
                "or take it over with --adopt."
                for key in found
            )
        )
    return found


def _with_adopted(look: Survey, adopted: dict[str, Live]) -> Survey:
    changes = tuple(
        plan.Change(
            change.key,
            "update",
            adopted[change.key].state,
            change.after,
            plan.difference(adopted[change.key].state, change.after),
        )
        if change.key in adopted and change.action == "create"
        else change
        for change in look.plan.changes
    )
    return Survey(Plan(changes), {**look.live, **adopted}, look.latest)


def _refuse_older(latest: Release | None, order: int | None) -> None:
    highest = latest.highest_order if latest else None
    if order is not None and highest is not None and order < highest:
        raise DeployerError(
            f"Run {order} is older than run {highest}, which is deployed: nothing was changed. "
            "To go back, use `deployer rollback`."
        )


def _brake(wanted: Plan, limit: int) -> None:
    gone = wanted.of("delete")
    owned = len(wanted.of("update", "unchanged", "delete"))
    new = [change.after["flow"] for change in wanted.of("create") if change.after]
    renamed = 0
    for change in gone:
        if change.before and change.before["flow"] in new:
            new.remove(change.before["flow"])
            renamed += 1
    share = 100 * (len(gone) - renamed) / owned if owned else 0
    if owned >= BRAKE_FROM and share > limit:
        raise DeployerError(
            f"This would delete {len(gone) - renamed} of {owned} deployments, more than the "
            f"{limit} % of --prune-limit: if that is meant, deploy with --prune-limit 100."
        )


def _converged(final: Plan) -> None:
    if not final.empty:
        left = [
            f"{change.key}: {', '.join(change.fields) or change.action}"
            for change in final.of("create", "update", "delete")
        ]
        raise DeployerError(f"The server does not hold what was deployed: {'; '.join(left)}.")


class _Clock:
    """Seconds between calls, by the name of the step that ended."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def __call__(self, step: str) -> None:
        now = time.monotonic()
        self.seconds[step] = round(now - self._last, 2)
        self._last = now
