"""`flow.serve()` of the catalog: the flows run in this process, for development."""

from __future__ import annotations

from typing import cast

import prefect
from prefect.deployments.runner import RunnerDeployment

from deployer import plan, release
from deployer import spec as specs
from deployer.catalog import Deployment
from deployer.environment import Environment
from deployer.errors import DeployerError
from deployer.server import Server
from deployer.writers import options


async def refuse_deployed(server: Server, environment: Environment) -> None:
    """Refuse an environment that was deployed to.

    Serving would wipe its job variables, and pause its schedules on Ctrl-C.

    Raises:
        DeployerError: there is a release, or a deployment of ours with a work pool.
    """
    owned = await server.read(environment, set())
    pools = [each for each in owned.values() if each.spec["work_pool"]]
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
    wanted = plan.settle(specs.declared(entry, environment), None, None)
    return cast(RunnerDeployment, entry.flow.to_deployment(**options(entry, wanted)))
