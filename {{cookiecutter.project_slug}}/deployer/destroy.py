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

    Args:
        server: where they are.
        environment: the environment that owns them.
        who: who destroys, for the lock.
        lock_timeout: seconds to wait for another deployer.
        say: called if the lock is held by another deployer.

    Returns:
        One sentence for each thing that was deleted.
    """
    done = []
    pools = {environment.work_pool}
    async with lock.held(server, environment, who, lock_timeout, say) as held:
        for key, live in (await server.read(environment, set())).items():
            await held.confirm()
            await server.delete(live)
            pools |= {live.spec["work_pool"] or environment.work_pool}
            done.append(f"deleted {key}")
        resources = Resources(server, environment)
        for key, found in (await resources.read({}, every_kind=True)).items():
            await held.confirm()
            await resources.delete(key, found)
            done.append(f"deleted {key}")
        records = await release.delete_all(server, environment)
        await environment_state.delete(server, environment)
        if records:
            done.append(f"deleted {counted(records, 'release record')}")
        queue = environment.work_queue
        for pool in sorted(pools) if environment.own_queue else ():
            if await server.delete_queue(pool, str(queue)):
                done.append(f"deleted the work queue {queue}")
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
