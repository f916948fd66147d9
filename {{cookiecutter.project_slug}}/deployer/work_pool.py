"""What can be wrong with an environment's work pool and work queue: told once, asked by many."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import datetime

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import WorkPool

from deployer.api_errors import if_found
from deployer.environment import Environment
from deployer.errors import Finding
from deployer.project import FILE

NOBODY = "No worker polls the"
FRESH = 60  # seconds since a worker's last poll; workers poll every 15


def missing(name: str, setup: str) -> Finding:
    """Say that there is no work pool of this name, and which command makes one."""
    return Finding(f"There is no work pool {name!r} on the server.", "`deploy` fails.", setup, True)


def mismatch(environment: Environment, pool: WorkPool | None) -> Iterator[Finding]:
    """Say why a deploy refuses a work pool: it is not there, or of another type."""
    name, kind, setup = environment.work_pool, environment.work_pool_type, environment.setup
    if pool is None:
        yield missing(name, setup)
    elif kind not in (None, pool.type):
        what = f"The work pool {name!r} is of type {pool.type}, and not {kind} as declared."
        why = "`deploy` refuses it: job variables of one type mean nothing to another."
        fix = f"correct {FILE}, or `prefect work-pool delete '{name}'` and `{setup}`"
        yield Finding(what, why, fix, True)


def unsuited(environment: Environment, kind: str | None, image: str | None) -> Iterator[Finding]:
    """Say why a deploy refuses an image, or its absence, for a work pool of this type."""
    what = f"The work pool {environment.work_pool!r} is of type {kind}"
    if kind == "process" and image:
        what = f"{what}, which runs no images, and {image!r} was given."
        yield Finding(what, "`deploy` refuses it.", "leave --image out", True)
    elif kind not in (None, "process") and not image:
        what = f"{what}, whose runs need an image, and none was given."
        why = "`deploy` refuses that, and no image was looked at."
        yield Finding(what, why, "add --image REFERENCE; `nox -s image` builds one")


async def standstill(
    client: PrefectClient, pool: WorkPool, queue_name: str, now: datetime, setup: str
) -> AsyncIterator[Finding]:
    """Say why no run would start: pool or queue is paused, there is no queue, or nobody polls."""
    name = pool.name
    where = f"work queue {queue_name!r} of the work pool {name!r}"
    queue = await if_found(client.read_work_queue_by_name(queue_name, name))
    if pool.is_paused:
        resume = f"prefect work-pool resume '{name}'"
        yield Finding(f"The work pool {name!r} is paused.", "No run starts.", resume, True)
    if queue is None:
        what = f"There is no {where}."
        why = "Prefect creates it with the first deploy, without its priority and limit."
        yield Finding(what, why, setup)
        return
    if queue.is_paused:
        resume = f"prefect work-queue resume '{queue_name}' --pool '{name}'"
        yield Finding(f"The {where} is paused.", "No run starts.", resume, True)
    polled = queue.last_polled
    needs_worker = not (pool.is_push_pool or pool.is_managed_pool)
    if needs_worker and not (polled and (now - polled).total_seconds() < FRESH):
        last = f"; the last one did at {polled:%Y-%m-%d %H:%M} UTC" if polled else ""
        why = "Runs wait until one does, and a deploy with smoke runs fails."
        start = f"prefect worker start --pool '{name}'"
        yield Finding(f"{NOBODY} {where}{last}.", why, start, True)
