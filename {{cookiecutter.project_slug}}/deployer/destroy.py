"""Removes what a project owns in an environment."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from deployer import environment_state, lock, release
from deployer.environment import Environment, select
from deployer.errors import DeployerError
from deployer.kinds import Resources
from deployer.server import Server


async def labels(server: Server, environment: Environment) -> list[str]:
    """Return the labels of which there are deployments, such as `pr-7`.

    Args:
        server: where they are.
        environment: one of them, with any label.
    """
    one, project = environment.marks
    prefix = one.removesuffix(str(environment.label))
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
        environment: whose.
        who: for the lock.
        lock_timeout: seconds to wait for another deployer.
        say: told about every step.

    Returns:
        One sentence for each thing that was deleted.
    """
    done = []
    pools = {environment.work_pool}
    async with lock.held(server, environment, who, lock_timeout, say) as mine:
        for key, live in (await server.read(environment, set())).items():
            await mine.confirm()
            await server.delete(live)
            pools |= {live.spec["work_pool"] or environment.work_pool}
            done.append(f"deleted {key}")
        resources = Resources(server, environment)
        for key, found in (await resources.read({}, every_kind=True)).items():
            await mine.confirm()
            await resources.delete(key, found)
            done.append(f"deleted {key}")
        records = await release.delete_all(server, environment)
        await environment_state.delete(server, environment)
        if records:
            done.append(f"deleted {records} release records")
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
        known: the environments.
        name: the one of them that there is one of for each label.
        keep: the labels of those that stay.
        who: for the locks.
        lock_timeout: seconds to wait for another deployer.
        say: told about every step.

    Returns:
        One sentence for each thing that was deleted.
    """
    kept = [select(known, name, label) for label in keep]
    found = await labels(server, select(known, name, "x"))  # any label would do
    gone = []
    for label in found:
        with suppress(DeployerError):  # the file has a table of its own for preview-eu
            if (each := select(known, name, label)) not in kept:
                gone.append(each)
    rest = (who, lock_timeout, say)
    return [line for each in gone for line in await destroy(server, each, *rest)]
