"""Carries a plan out, and puts back what was there when that fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from deployer import state as states
from deployer import write as writing
from deployer.answers import explain, is_refusal
from deployer.catalog import Deployment
from deployer.errors import DeployerError
from deployer.plan import Change, Plan, difference
from deployer.server import Live, Server
from deployer.state import State

Say = Callable[[str], None]


async def apply(
    server: Server, plan: Plan, live: dict[str, Live], entries: dict[str, Deployment], say: Say
) -> None:
    """Deploy what differs; switch off what leaves.

    Args:
        server: where to write.
        plan: what to change.
        live: what the plan was made from.
        entries: the catalog's entries by `FLOW/NAME`.
        say: told about every step.
    """

    async def write(change: Change) -> None:
        entry = entries[change.key]
        await _drop_nameless(server, live.get(change.key))
        await writing.deploy(entry, with_leaving(change))

    await carry_out(server, plan, live, write, say)


async def reinstate(server: Server, plan: Plan, live: dict[str, Live], say: Say) -> None:
    """Write recorded states: the code that declared them is not here."""

    async def write(change: Change) -> None:
        assert change.after is not None  # noqa: S101 - creations and updates have one
        await writing.put(server, change.after, live.get(change.key))

    await carry_out(server, plan, live, write, say)


async def carry_out(
    server: Server,
    plan: Plan,
    live: dict[str, Live],
    write: Callable[[Change], Awaitable[None]],
    say: Say,
) -> None:
    """Write every creation and update, and switch off every deployment that leaves.

    Raises:
        DeployerError: names every entry that the server refused.
    """
    changes = plan.of("create", "update")
    refused = []
    for number, change in enumerate(changes, 1):
        say(f"{number}/{len(changes)} {change.key}")
        try:
            await write(change)
        except Exception as error:
            refused.append(f"{change.key}: {explain(error)}")
            if not is_refusal(error):
                break  # the server is in trouble; a refused entry only names itself
    if refused:
        raise DeployerError(*refused)
    for change in plan.of("delete"):
        await writing.put(server, switched_off(live[change.key].state), live[change.key])


async def prune(server: Server, plan: Plan, now: dict[str, Live]) -> None:
    """Delete the deployments and schedules that left, which are switched off by now."""
    for change in plan.of("update"):
        after = change.after or {}
        for row in now[change.key].row["schedules"]:
            if row["slug"] not in after["schedules"]:
                await server.delete_schedule(now[change.key], row["id"])
    for change in plan.of("delete"):
        if change.key in now:
            await server.delete(now[change.key])


async def restore(
    server: Server, plan: Plan, before: dict[str, Live], now: dict[str, Live], say: Say
) -> list[str]:
    """Put back what a plan's changes found; return the keys that were written.

    Args:
        server: where to write.
        plan: what was tried, whether it arrived or not.
        before: what was there.
        now: what is there.
        say: told about every step.
    """
    restored = []
    for change in plan.of("create", "update", "delete"):
        old, new = before.get(change.key), now.get(change.key)
        if old is None and new is not None:
            await server.delete(new)
        elif old is not None and (new is None or difference(old.state, new.state)):
            await writing.put(server, old.state, new)
        else:
            continue
        say(f"put back {change.key}")
        restored.append(change.key)
    return restored


def with_leaving(change: Change) -> State:
    """Return the state to write: schedules that leave stay until the deploy is verified, off."""
    assert change.after is not None  # noqa: S101 - creations and updates have one
    live = (change.before or {}).get("schedules", {})
    leaving = {
        slug: {**schedule, "active": False}
        for slug, schedule in live.items()
        if slug not in change.after["schedules"] and not states.nameless(slug)
    }
    return {**change.after, "schedules": {**change.after["schedules"], **leaving}}


def switched_off(state: State) -> State:
    """Return a state that starts no runs."""
    schedules = {slug: {**each, "active": False} for slug, each in state["schedules"].items()}
    return {**state, "paused": True, "schedules": schedules}


async def _drop_nameless(server: Server, live: Live | None) -> None:
    """Delete schedules without a slug first: beside one of them Prefect replaces all the others."""
    if live is None:
        return
    for row in live.row["schedules"]:
        if row["slug"] is None:
            await server.delete_schedule(live, row["id"])
