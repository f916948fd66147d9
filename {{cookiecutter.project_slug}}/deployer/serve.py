"""`flow.serve()` of the catalog: the flows run in this process, for development."""

from __future__ import annotations

from typing import cast

import prefect
from prefect.deployments.runner import RunnerDeployment
from prefect.types.entrypoint import EntrypointType

from deployer import plan, release, state
from deployer.catalog import Deployment
from deployer.environment import Environment
from deployer.errors import DeployerError
from deployer.server import Server
from deployer.write import VERSION_TYPE


async def refuse_deployed(server: Server, environment: Environment) -> None:
    """Refuse an environment that was deployed to.

    Serving would wipe its job variables, and pause its schedules on Ctrl-C.

    Raises:
        DeployerError: there is a release, or a deployment of ours with a work pool.
    """
    owned = await server.read(environment, set())
    pools = [each for each in owned.values() if each.state["work_pool"]]
    if pools or await release.recent(server, environment):
        raise DeployerError(
            f"{environment.name} was deployed to, and serving would take its work pool away: "
            "start a worker instead (`nox -s worker`), or run "
            f"`python -m deployer destroy {environment.name}`."
        )


def serve(environment: Environment, catalog: list[Deployment]) -> None:
    """Serve checked entries until Ctrl-C; pool, queue and job variables do not apply."""
    prefect.serve(*(to_deployment(entry, environment) for entry in catalog))


def to_deployment(entry: Deployment, environment: Environment) -> RunnerDeployment:
    """Return an entry as `prefect.serve` takes it."""
    wanted = plan.settle(state.declared(entry, environment), None, None)
    made = entry.flow.to_deployment(
        name=wanted["name"],
        schedules=[state.to_schedule(*each) for each in wanted["schedules"].items()],
        paused=wanted["paused"],
        concurrency_limit=entry.options.get("concurrency_limit"),
        triggers=list(entry.options.get("triggers") or []),
        parameters=dict(entry.options.get("parameters") or {}),
        description=wanted["description"],
        tags=wanted["tags"],
        version=wanted["version"],
        version_type=VERSION_TYPE,
        enforce_parameter_schema=wanted["enforce_parameter_schema"],
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    return cast(RunnerDeployment, made)
