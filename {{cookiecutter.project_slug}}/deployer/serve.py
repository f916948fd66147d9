"""`flow.serve()` of the catalog: the flows run in this process, for development."""

from __future__ import annotations

from typing import cast

import prefect
from prefect.deployments.runner import RunnerDeployment

from deployer import plan
from deployer import spec as specs
from deployer.catalog import Deployment
from deployer.environment import Environment
from deployer.writers import options


def serve(environment: Environment, catalog: list[Deployment]) -> None:
    """Serve checked entries until Ctrl-C; then their schedules are paused.

    Pool, queue and job variables are a worker's business and do not apply.
    """
    prefect.serve(*(to_deployment(entry, environment) for entry in catalog))


def to_deployment(entry: Deployment, environment: Environment) -> RunnerDeployment:
    """Return an entry as `prefect.serve` takes it."""
    wanted = plan.settle(specs.declared(entry, environment), None, None)
    return cast(RunnerDeployment, entry.flow.to_deployment(**options(entry, wanted)))
