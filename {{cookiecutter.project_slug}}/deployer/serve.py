"""Serve the catalog with `prefect.serve`: the flows run from this process, for development."""

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

    Work pool, work queue and job variables do not apply, because no worker is involved.
    """
    prefect.serve(*(to_deployment(entry, environment) for entry in catalog))


def to_deployment(entry: Deployment, environment: Environment) -> RunnerDeployment:
    """Return an entry in the form that `prefect.serve` accepts."""
    wanted = plan.keep_switches(specs.declared(entry, environment), None, None)
    return cast(RunnerDeployment, entry.flow.to_deployment(**options(entry, wanted)))
