"""Find what is wrong with the Prefect server, the work pool, its workers and the images."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import WorkPool
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, get_current_settings, temporary_settings

from deployer import connection
from deployer import work_pool as work_pools
from deployer.api_errors import address, explain, if_found
from deployer.doctor import image as images
from deployer.environment import Environment
from deployer.errors import Finding
from deployer.resources import declared_template

TIMEOUT = 10  # seconds for one request; a slower server is reported as a problem


def text(findings: Sequence[Finding]) -> str:
    """Return findings for a terminal, the fatal ones first."""
    ordered = sorted(findings, key=lambda finding: not finding.fatal)
    shown = [
        f"{'error' if each.fatal else 'warning'}: {each.what}\n"
        f"    why: {each.why}\n"
        f"    fix: {each.fix}"
        for each in ordered
    ]
    return "\n\n".join(shown) or "No problem was found."


async def examine(environment: Environment, environ: Mapping[str, str]) -> list[Finding]:
    """Check everything that a deploy and its runs need.

    Args:
        environment: where to deploy, with the images that the runs use.
        environ: the environment variables that the process started with, including empty ones.
    """
    found = [
        Finding(
            f"{name} is set, but empty.",
            "A GitHub secret that is not set arrives as an empty variable. The deployer ignores "
            "it; Prefect's own commands use the empty value, and some crash.",
            f"unset {name}, or give the secret or variable of that name a value",
        )
        for name, value in sorted(environ.items())
        if name.startswith("PREFECT_") and not value
    ]
    pool = await _server(environment, found)
    kind = pool.type if pool else environment.work_pool_type
    if pool and kind != "process":
        found += _loopback(environment)
    found += work_pools.unsuited(environment.work_pool, kind, environment.image(None))
    for image in environment.given_images.values() if kind not in (None, "process") else ():
        found += images.examine(image, environment, _default_policy(pool))
    return found


async def _server(environment: Environment, found: list[Finding]) -> WorkPool | None:
    """Check the server, append what is wrong to `found`, and return the work pool."""
    pool = None
    if not get_current_settings().api.url:
        found.append(connection.UNSET)
        return None
    try:
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
            async with get_client(httpx_settings={"timeout": TIMEOUT}) as client:
                try:
                    now, version = await connection.probe(client)
                except Exception as error:
                    found.append(await connection.explain_failure(error, client))
                    return None
                found += connection.differences(now, version)
                pool = await if_found(client.read_work_pool(environment.work_pool))
                found += work_pools.mismatch(environment, environment.work_pool, pool)
                if pool:
                    found += _template(environment, pool)
                    place = (pool, environment.queue, now, environment.setup)
                    found += [each async for each in work_pools.start_problems(client, *place)]
                found += [each async for each in _secrets(client, environment)]
    except Exception as error:  # an unexpected error is a finding, too
        found.append(Finding(explain(error), "The rest was not checked.", "try again", True))
    return pool


def _template(environment: Environment, pool: WorkPool) -> Iterator[Finding]:
    if declared_template(environment) not in (None, pool.base_job_template):
        file = environment.base_job_template
        what = f"The work pool {pool.name!r} has another template than {file}."
        why = "Its runs get other resources and rights than the repository declares."
        yield Finding(what, why, environment.setup)


async def _secrets(client: PrefectClient, environment: Environment) -> AsyncIterator[Finding]:
    for block, variable in environment.secrets.items():
        ask = client.read_block_document_by_name(block, "secret", include_secrets=False)
        if await if_found(ask) is None:
            what = f"There is no Secret block {block!r} on the server."
            fix = f"{variable}=… {environment.setup}"
            yield Finding(what, "The flows that read it fail.", fix, True)


def _loopback(environment: Environment) -> Iterator[Finding]:
    url = address()
    host = urlsplit(url).hostname or ""
    is_here = host in ("localhost", "::1", "0.0.0.0") or host.startswith("127.")  # noqa: S104
    if is_here and environment.job_variables.get("network_mode") != "host":
        yield Finding(
            f"PREFECT_API_URL is {url}, and in a container {host} is the container itself.",
            "A worker passes this address on to its runs, which then cannot reach the server.",
            "start the server with `--host 0.0.0.0`, and the worker with "
            "PREFECT_API_URL=http://NAME-OF-THIS-MACHINE:4200/api",
        )


def _default_policy(pool: WorkPool | None) -> str | None:
    template: Any = pool.base_job_template if pool else {}
    properties = template.get("variables", {}).get("properties", {})
    policy: str | None = properties.get("image_pull_policy", {}).get("default")
    return policy
