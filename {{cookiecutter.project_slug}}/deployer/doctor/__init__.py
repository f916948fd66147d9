"""What is wrong between this machine, the Prefect server, the workers and the image."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import WorkPool
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, get_current_settings, temporary_settings

from deployer.answers import explain
from deployer.doctor import connection
from deployer.doctor import image as images
from deployer.doctor.finding import Finding as Finding
from deployer.doctor.finding import text as text
from deployer.environment import FILE, Environment
from deployer.setup import declared_template
from deployer.verify import FRESH

PATIENCE = 10  # seconds for one answer; a server that needs more has a problem worth naming


async def examine(
    environment: Environment, image: str | None, environ: Mapping[str, str]
) -> list[Finding]:
    """Look at everything that a deploy and its runs need.

    Args:
        environment: where to deploy.
        image: reference of the image that the runs use.
        environ: the environment variables as they were given, empty ones too.
    """
    found = [
        Finding(
            f"{name} is set, but empty.",
            "An unset secret of GitHub arrives like this. The deployer leaves it out; Prefect's "
            "own commands take it for a value, and some crash.",
            f"unset {name}, or give the secret or variable of that name a value",
            False,
        )
        for name, value in sorted(environ.items())
        if name.startswith("PREFECT_") and not value
    ]
    pool, about_server = await _server(environment)
    found += about_server
    kind = pool.type if pool else environment.work_pool_type
    if kind == "process" and image:
        found.append(
            Finding(
                f"The work pool {environment.work_pool!r} is of type process, which runs no "
                f"images, and {image!r} was given.",
                "`deploy` refuses it.",
                "leave --image out",
                True,
            )
        )
    elif kind and kind != "process":
        if pool:
            found += _loopback(environment)
        found += images.examine(image, environment, _default_policy(pool))
    return found


async def _server(environment: Environment) -> tuple[WorkPool | None, list[Finding]]:
    """Look at the server; where it cannot be reached, nothing else of it is looked at."""
    api = get_current_settings().api
    if not api.url:
        return None, [connection.UNSET]
    found: list[Finding] = []
    pool = None
    try:
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
            async with get_client(httpx_settings={"timeout": PATIENCE}) as client:
                try:
                    answer = await connection.probe(client)
                except Exception as error:
                    return None, [await connection.problem(error, client, api)]
                found += connection.clock(answer) + connection.versions(answer)
                pool = await _read_pool(client, environment)
                found += await _pool(client, environment, pool, answer.now)
                found += await _secrets(client, environment)
    except Exception as error:  # what nobody thought of is a finding all the same
        found.append(Finding(explain(error), "The rest was not looked at.", "try again", True))
    return pool, found


async def _read_pool(client: PrefectClient, environment: Environment) -> WorkPool | None:
    try:
        return await client.read_work_pool(environment.work_pool)
    except ObjectNotFound:
        return None


async def _pool(
    client: PrefectClient, environment: Environment, pool: WorkPool | None, now: datetime
) -> list[Finding]:
    name, queue_name = environment.work_pool, environment.work_queue or "default"
    setup = _command("setup", environment)
    if pool is None:
        what = f"There is no work pool {name!r} on the server."
        return [Finding(what, "`deploy` fails.", setup, True)]
    found = []
    if environment.work_pool_type not in (None, pool.type):
        found.append(
            Finding(
                f"The work pool {name!r} is of type {pool.type}, but {FILE} says "
                f"{environment.work_pool_type}.",
                "`deploy` refuses it: job variables of one type mean nothing to another.",
                f"correct {FILE}, or `prefect work-pool delete '{name}'` and `{setup}`",
                True,
            )
        )
    declared = declared_template(environment)
    if declared not in (None, pool.base_job_template):
        what = f"The work pool {name!r} has another template than {environment.base_job_template}."
        why = "Its runs get other resources and rights than the repository says."
        found.append(Finding(what, why, setup, False))
    if pool.is_paused:
        resume = f"prefect work-pool resume '{name}'"
        what = f"The work pool {name!r} is paused."
        found.append(Finding(what, "No run starts.", resume, True))
    try:
        queue = await client.read_work_queue_by_name(queue_name, name)
    except ObjectNotFound:
        what = f"There is no work queue {queue_name!r} in the work pool {name!r}."
        why = "Prefect creates it with the first deploy, without its priority and limit."
        return [*found, Finding(what, why, setup, False)]
    if queue.is_paused:
        resume = f"prefect work-queue resume '{queue_name}' --pool '{name}'"
        what = f"The work queue {queue_name!r} of the work pool {name!r} is paused."
        found.append(Finding(what, "No run starts.", resume, True))
    polled = queue.last_polled
    needs_worker = not (pool.is_push_pool or pool.is_managed_pool)
    if needs_worker and not (polled and (now - polled).total_seconds() < FRESH):
        last = f"; the last one did at {polled:%Y-%m-%d %H:%M} UTC" if polled else ""
        found.append(
            Finding(
                f"No worker polls the work queue {queue_name!r} of the work pool {name!r}{last}.",
                "Runs wait until one does, and a deploy with smoke runs fails.",
                f"prefect worker start --pool '{name}'",
                True,
            )
        )
    return found


async def _secrets(client: PrefectClient, environment: Environment) -> list[Finding]:
    found = []
    for block, variable in environment.secrets.items():
        try:
            await client.read_block_document_by_name(block, "secret", include_secrets=False)
        except ObjectNotFound:
            what = f"There is no Secret block {block!r} on the server."
            mend = f"{variable}=… {_command('setup', environment)}"
            found.append(Finding(what, "The flows that read it fail.", mend, True))
    return found


def _loopback(environment: Environment) -> list[Finding]:
    url = connection.shown(get_current_settings().api)
    host = urlsplit(url).hostname or ""
    is_here = host in ("localhost", "::1", "0.0.0.0") or re.match(r"127\.", host)  # noqa: S104
    if not is_here or environment.job_variables.get("network_mode") == "host":
        return []
    return [
        Finding(
            f"PREFECT_API_URL is {url}, and in a container {host} is the container itself.",
            "A worker hands its own address on to its runs: with this one they cannot report.",
            "start the server with `--host 0.0.0.0`, and the worker with "
            "PREFECT_API_URL=http://NAME-OF-THIS-MACHINE:4200/api",
            False,
        )
    ]


def _default_policy(pool: WorkPool | None) -> str | None:
    template: Any = pool.base_job_template if pool else {}
    properties = template.get("variables", {}).get("properties", {})
    policy: str | None = properties.get("image_pull_policy", {}).get("default")
    return policy


def _command(command: str, environment: Environment) -> str:
    """Return a command for an environment; a preview's name is the table's and its label."""
    name = environment.name
    if environment.label:
        name = f"{name.removesuffix(f'-{environment.label}')} --name {environment.label}"
    return f"python -m deployer {command} {name}"
