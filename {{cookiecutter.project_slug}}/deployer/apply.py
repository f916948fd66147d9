"""Carries a plan out, and puts back what was there when that fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from deployer import patches, writers
from deployer import spec as specs
from deployer.api_errors import explain, is_refusal
from deployer.catalog import Deployment
from deployer.errors import DeployerError
from deployer.plan import Change, Plan, difference
from deployer.server import Live, Server
from deployer.spec import Spec
from deployer.uninterrupted import uninterrupted

Step = Callable[[str], Awaitable[None]]


async def apply(
    server: Server,
    plan: Plan,
    live: dict[str, Live],
    entries: dict[str, Deployment] | None,
    step: Step,
) -> None:
    """Write every creation and update, and switch off every deployment that leaves.

    Args:
        server: where to write.
        plan: what to change.
        live: what the plan was made from.
        entries: the catalog's entries by `FLOW/NAME`; None writes recorded specs, because the
            code that declared them is not here.
        step: told about every write before it; it raises when nothing may be written any more.

    Raises:
        DeployerError: names every entry that the server refused.
    """
    changes = plan.of("create", "update")
    refused = []
    with patches.asking_once(server.client):
        for number, change in enumerate(changes, 1):
            await step(f"{number}/{len(changes)} {change.key}")
            entry = entries[change.key] if entries is not None else None
            try:
                await uninterrupted(_write(server, change, live.get(change.key), entry))
            except Exception as error:
                refused.append(f"{change.key}: {explain(error)}")
                if not is_refusal(error):
                    break  # the server is in trouble; a refused entry only names itself
    if refused:
        raise DeployerError(*refused)
    for change in plan.of("delete"):
        await step(f"switching off {change.key}")
        off = switched_off(live[change.key].spec)
        await uninterrupted(writers.put(server, off, live[change.key]))


async def _write(
    server: Server, change: Change, live: Live | None, entry: Deployment | None
) -> None:
    if entry is None:
        await writers.put(server, with_leaving(change), live)
        return
    if live:
        # Beside a schedule without a slug Prefect replaces all the others.
        for row in live.row["schedules"]:
            if row["slug"] is None:
                await server.delete_schedule(live, row["id"])
    await writers.deploy(entry, with_leaving(change))


async def prune(server: Server, plan: Plan, now: dict[str, Live], step: Step) -> None:
    """Delete the deployments and schedules that left, which are switched off by now."""
    for change in plan.of("update"):
        live, after = now.get(change.key), change.after or {}
        for row in live.row["schedules"] if live else ():  # somebody may have deleted it
            if row["slug"] not in after["schedules"]:
                await step(f"deleting a schedule of {change.key}")
                await uninterrupted(server.delete_schedule(now[change.key], row["id"]))
    for change in plan.of("delete"):
        if change.key in now:
            await step(f"deleting {change.key}")
            await uninterrupted(server.delete(now[change.key]))


async def restore(
    server: Server, plan: Plan, before: dict[str, Live], now: dict[str, Live], step: Step
) -> list[str]:
    """Put back what a plan's changes found; return the keys that were written.

    Args:
        server: where to write.
        plan: what was tried, whether it arrived or not.
        before: what was there.
        now: what is there.
        step: told about every write before it; it raises when nothing may be written any more.
    """
    restored = []
    for change in plan.of("create", "update", "delete"):
        old, new = before.get(change.key), now.get(change.key)
        if not difference(old and old.spec, new and new.spec):
            continue
        await step(f"putting back {change.key}")
        if old is not None:
            await writers.put(server, old.spec, new)
        elif new is not None:
            await server.delete(new)
        restored.append(change.key)
    return restored


def with_leaving(change: Change) -> Spec:
    """Return the spec to write: schedules that leave stay until the deploy is verified, off."""
    assert change.after is not None  # noqa: S101 - creations and updates have one
    live = (change.before or {}).get("schedules", {})
    leaving = {
        slug: {**schedule, "active": False}
        for slug, schedule in live.items()
        if slug not in change.after["schedules"] and not specs.nameless(slug)
    }
    return {**change.after, "schedules": {**change.after["schedules"], **leaving}}


def switched_off(spec: Spec) -> Spec:
    """Return a spec that starts no runs."""
    schedules = {slug: {**each, "active": False} for slug, each in spec["schedules"].items()}
    triggers = {name: {**each, "enabled": False} for name, each in spec["triggers"].items()}
    return {**spec, "paused": True, "schedules": schedules, "triggers": triggers}
