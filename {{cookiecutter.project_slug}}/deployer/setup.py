"""Create what an environment needs before the first deploy, and keep it as declared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from typing import Any

from prefect.blocks.system import Secret
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.exceptions import ObjectAlreadyExists
from prefect.workers.utilities import get_default_base_job_template_for_infrastructure_type

from deployer import work_pool as work_pools
from deployer.api_errors import if_found
from deployer.environment import Environment
from deployer.errors import DeployerError
from deployer.resources import declared_template
from deployer.server import Server

# They replace Prefect's defaults in pools of a type: an image that is named by digest need not be
# pulled again, and a container that has ended is not needed any more.
DEFAULTS: dict[str, dict[str, Any]] = {
    "docker": {"image_pull_policy": "IfNotPresent", "auto_remove": True}
}


async def setup(
    server: Server, environment: Environment, values: Mapping[str, str], others: Iterable[str] = ()
) -> list[str]:
    """Create or update the work pool, the work queue and the Secret blocks.

    Args:
        server: where to write.
        environment: what is declared.
        values: the environment variables with the values of the secrets; they are never shown.
        others: names of other work pools that the catalog uses; a missing one is created like the
            environment's, and an existing one stays as it is.

    Returns:
        One sentence for each thing that was created or updated.

    Raises:
        DeployerError: a value is missing, or the pool exists with another type.
    """
    missing = [v for v in environment.secrets.values() if not values.get(v)]
    if missing:
        raise DeployerError(*(f"The environment variable {v} is not set: set it." for v in missing))
    done = [*await _pool(server, environment), *await _queue(server, environment)]
    for name in others:
        there = await if_found(server.client.read_work_pool(name))
        like = replace(environment, work_pool=name, work_pool_concurrency_limit=None)
        if there:
            like = replace(like, work_pool_type=there.type, base_job_template=None)
        done += await _pool(server, like)
    for block, variable in environment.secrets.items():
        await Secret(value=values[variable]).save(block, overwrite=True)  # type: ignore[arg-type]
        done.append(f"secret block {block} holds the value of {variable}")
    return done


async def _pool(server: Server, environment: Environment) -> list[str]:
    name, kind = environment.work_pool, environment.work_pool_type
    template = await _template(environment)
    limit = environment.work_pool_concurrency_limit
    pool = await if_found(server.client.read_work_pool(name))
    if pool is None:
        if kind is None:
            raise DeployerError(
                f"There is no work pool {name!r} and no work_pool_type to create it with: "
                f'add work_pool_type = "docker" to [{environment.table}].'
            )
        create = WorkPoolCreate(
            name=name, type=kind, base_job_template=template or {}, concurrency_limit=limit
        )
        try:
            await server.client.create_work_pool(create)
        except ObjectAlreadyExists:  # another setup was faster, or the first answer was lost
            return await _pool(server, environment)
        return [f"work pool {name} created ({kind})"]
    if other := [*work_pools.mismatch(environment, name, pool)]:
        raise DeployerError(*map(str, other))
    changes: dict[str, Any] = {}
    if environment.base_job_template and template != pool.base_job_template:
        changes["base_job_template"] = template
    if limit is not None and limit != pool.concurrency_limit:
        changes["concurrency_limit"] = limit
    if not changes:
        return [f"work pool {name} is there ({pool.type})"]
    await server.client.update_work_pool(name, WorkPoolUpdate(**changes))
    return [f"work pool {name} updated: {', '.join(changes)}"]


async def _template(environment: Environment) -> dict[str, Any] | None:
    if (declared := declared_template(environment)) is not None:
        return declared
    if environment.work_pool_type is None:
        return None
    found = await get_default_base_job_template_for_infrastructure_type(environment.work_pool_type)
    if found is None:
        raise DeployerError(
            f"Prefect has no work pool type {environment.work_pool_type!r}: check the spelling, "
            "and that its package is installed, such as prefect-docker."
        )
    template = deepcopy(found)
    for name, value in DEFAULTS.get(environment.work_pool_type, {}).items():
        template["variables"]["properties"][name]["default"] = value
    return template


async def _queue(server: Server, environment: Environment) -> list[str]:
    pool, name = environment.work_pool, environment.work_queue
    if name is None:
        return []
    changes = {
        "priority": environment.work_queue_priority,
        "concurrency_limit": environment.work_queue_concurrency_limit,
    }
    changes = {key: value for key, value in changes.items() if value is not None}
    find, create = server.client.read_work_queue_by_name, server.client.create_work_queue
    if await if_found(find(name, pool)) is None:
        with suppress(ObjectAlreadyExists):
            await create(name, work_pool_name=pool)
    queue = await find(name, pool)
    if any(getattr(queue, key) != value for key, value in changes.items()):
        await server.client.update_work_queue(queue.id, **changes)
    return [f"work queue {pool}/{name} is there"]
