"""`flow.serve()` of the catalog: runs in this process, for development."""

from __future__ import annotations

from prefect import serve as prefect_serve

from deployer import state
from deployer.catalog import Deployment
from deployer.environment import Environment


def serve(environment: Environment, catalog: list[Deployment]) -> None:
    """Serve the catalog until Ctrl-C.

    Args:
        environment: whose suffix, tags and switches; pool, queue and job variables do not apply.
        catalog: checked entries.
    """
    deployments = []
    for entry in catalog:
        declared = state.declared(entry, environment)
        settled = plan.settle(declared, None, None)
        deployments.append(...)
    prefect_serve(*deployments)
