"""Find problems of a work pool and its queue, such as that no worker polls it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import datetime
from typing import Any

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import WorkPool
from prefect.utilities.templating import find_placeholders

from deployer.api_errors import if_found
from deployer.catalog import Deployment
from deployer.environment import Environment
from deployer.errors import Finding
from deployer.project import FILE
from deployer.rules import hint
from deployer.spec import Spec

NO_WORKER = "No worker polls the"
FRESH = 60  # seconds since a worker's last poll; workers poll every 15


def missing(name: str, setup: str) -> Finding:
    """Return the finding that a work pool does not exist; `setup` is the command to create it."""
    return Finding(f"There is no work pool {name!r} on the server.", "`deploy` fails.", setup, True)


def others(environment: Environment, catalog: Iterable[Deployment]) -> list[str]:
    """Return the work pools that the catalog's entries use, without the environment's own."""
    named = {environment.pool(entry.options.get("work_pool_name")) for entry in catalog}
    return sorted(named - {environment.work_pool})


def mismatch(environment: Environment, name: str, pool: WorkPool | None) -> Iterator[Finding]:
    """Yield why a deploy refuses a work pool: it does not exist, or its type is not as declared."""
    kind, setup = environment.work_pool_type, environment.setup
    if pool is None:
        yield missing(name, setup)
    elif name == environment.work_pool and kind not in (None, pool.type):
        what = f"The work pool {name!r} is of type {pool.type}, and not {kind} as declared."
        why = "`deploy` refuses it: job variables differ between types of work pools."
        fix = f"correct {FILE}, or `prefect work-pool delete '{name}'` and `{setup}`"
        yield Finding(what, why, fix, True)


def unsuited(name: str, kind: str | None, image: str | None) -> Iterator[Finding]:
    """Yield why a deploy with or without this image is refused for a work pool of this type."""
    what = f"The work pool {name!r} is of type {kind}"
    if kind == "process" and image:
        what = f"{what}, which runs no images, and {image!r} was given."
        yield Finding(what, "`deploy` refuses it.", "leave --image out", True)
    elif kind not in (None, "process") and not image:
        what = f"{what}, whose runs need an image, and none was given."
        why = "`deploy` refuses that, and no image could be checked here."
        yield Finding(what, why, "add --image REFERENCE; `nox -s image` builds one")


def unknown_variables(specs: dict[str, Spec], pools: Iterable[WorkPool]) -> Iterator[str]:
    """Yield a sentence for each job variable that the template of its work pool does not define.

    A pool without a template is not checked: its worker decides which variables it accepts.
    """
    for pool in pools:
        known = _variables(pool.base_job_template)
        asked: dict[str, list[str]] = {}
        for key, spec in specs.items():
            if known and spec["work_pool"] == pool.name:
                for name in spec["job_variables"].keys() - known:
                    asked.setdefault(name, []).append(key)
        for name, (key, *more) in sorted(asked.items()):
            who = f"{key} and {len(more)} more have" if more else f"{key} has"
            helps = hint(name, known, f"it has {', '.join(sorted(known))}.")
            yield (
                f"{who} the job variable {name!r}, which the template of the work pool "
                f"{pool.name!r} does not have, so that Prefect would drop it silently; {helps}"
            )


def _variables(template: dict[str, Any]) -> set[str]:
    """Return the job variables that reach a run through this base job template."""
    configuration: dict[str, Any] = template.get("job_configuration", {})
    found: set[str] = {*template.get("variables", {}).get("properties", ())}
    found |= {each.name for each in find_placeholders(configuration)}
    return found | ({"env"} & configuration.keys())  # workers merge env even without a placeholder


async def start_problems(
    client: PrefectClient, pool: WorkPool, queue_name: str, now: datetime, setup: str
) -> AsyncIterator[Finding]:
    """Yield why no run would start: a pause, no such queue, or no worker that polls it."""
    name = pool.name
    where = f"work queue {queue_name!r} of the work pool {name!r}"
    queue = await if_found(client.read_work_queue_by_name(queue_name, name))
    if pool.is_paused:
        resume = f"prefect work-pool resume '{name}'"
        yield Finding(f"The work pool {name!r} is paused.", "No run starts.", resume, True)
    if queue is None:
        what = f"There is no {where}."
        why = "Prefect creates it at the first deploy, without the declared priority and limit."
        yield Finding(what, why, setup)
        return
    if queue.is_paused:
        resume = f"prefect work-queue resume '{queue_name}' --pool '{name}'"
        yield Finding(f"The {where} is paused.", "No run starts.", resume, True)
    polled = queue.last_polled
    needs_worker = not (pool.is_push_pool or pool.is_managed_pool)
    if needs_worker and not (polled and (now - polled).total_seconds() < FRESH):
        last = f"; the last poll was at {polled:%Y-%m-%d %H:%M} UTC" if polled else ""
        why = "Runs wait until a worker polls it, and a deploy with smoke runs fails."
        start = f"prefect worker start --pool '{name}'"
        yield Finding(f"{NO_WORKER} {where}{last}.", why, start, True)
