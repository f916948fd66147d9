"""Delete what a project owns in an environment."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from deployer import environment_state, lock, release
from deployer.environment import Environment, select
from deployer.errors import DeployerError, counted
from deployer.kinds import Resources
from deployer.server import Server


async def labels(server: Server, environment: Environment) -> list[str]:
    """Return the labels that have deployments, such as `pr-7`.

    Args:
        server: where they are.
        environment: the environment of previews, with any label.
    """
    mark, project = environment.marks
    prefix = mark.removesuffix(str(environment.label))
    rows = await server.pages("/deployments/filter", {"deployments": {"tags": {"all_": [project]}}})
    ours = [row["tags"] for row in rows if environment.owns(row["tags"])]
    found = {tag for tags in ours for tag in tags if tag.startswith(prefix)}
    return sorted(tag.removeprefix(prefix) for tag in found)


async def destroy(
    server: Server,
    environment: Environment,
    who: str,
    lock_timeout: float,
    say: Callable[[str], None],
) -> list[str]:
    """Delete deployments, resources and release records, and the work queue of a preview.

    Deployments are deleted last, because `labels` finds a preview by them: whatever an interrupted
    call leaves, the next one deletes. Until then nothing starts their runs.

    Args:
        server: where they are.
        environment: the environment that owns them.
        who: who destroys, for the lock.
        lock_timeout: seconds to wait for another deployer.
        say: called if the lock is held by another deployer.

    Returns:
        One sentence for each thing that was deleted.

    Raises:
        DeployerError: another deployer holds the lock, or took it over.
    """
    done = []
    pools = {environment.work_pool}
    async with lock.held(server, environment, who, lock_timeout, say) as held:
        deployments = await server.read(environment, set())
        for live in deployments.values():
            await held.confirm()
            await server.delete_starters(live)
            pools |= {live.spec["work_pool"] or environment.work_pool}
        resources = Resources(server, environment)
        for key, found in (await resources.read({}, every_kind=True)).items():
            await held.confirm()
            await resources.delete(key, found)
            done.append(f"deleted {key}")
        await held.confirm()
        if records := await release.delete_all(server, environment):
            done.append(f"deleted {counted(records, 'release record')}")
        await held.confirm()
        await environment_state.delete(server, environment)
        queue = environment.work_queue
        for pool in sorted(pools) if environment.own_queue else ():
            await held.confirm()
            if await server.delete_queue(pool, str(queue)):
                done.append(f"deleted the work queue {queue}")
        for key, live in deployments.items():
            await held.confirm()
            await server.delete(live)
            done.append(f"deleted {key}")
    return done or [f"{environment.project} owns nothing in {environment.name}."]


async def sweep(
    server: Server,
    known: dict[str, Environment],
    name: str,
    keep: list[str],
    who: str,
    lock_timeout: float,
    say: Callable[[str], None],
) -> list[str]:
    """Destroy all previews except those of some labels.

    Args:
        server: where they are.
        known: all environments, by name.
        name: the environment of previews, which exists once for each label.
        keep: the labels of the previews to keep.
        who: who destroys, for the locks.
        lock_timeout: seconds to wait for another deployer.
        say: called if a lock is held by another deployer.

    Returns:
        One sentence for each thing that was deleted.
    """
    kept = [select(known, name, label) for label in keep]
    found = await labels(server, select(known, name, "x"))  # any label will do
    gone = []
    for label in found:
        with suppress(DeployerError):  # not a preview: preview-eu has a table of its own
            if (each := select(known, name, label)) not in kept:
                gone.append(each)
    rest = (who, lock_timeout, say)
    return [line for each in gone for line in await destroy(server, each, *rest)]
