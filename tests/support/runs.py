"""Deployments of one flow each, made without the deployer, and their runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.support.server import PrefectServer

FINAL = frozenset({"COMPLETED", "FAILED", "CANCELLED", "CRASHED"})


def deploy(
    server: PrefectServer, pool: str, name: str, entrypoint: str, **job_variables: Any
) -> str:
    """Create a deployment of the flow of a module and return its id."""
    flow = {"name": entrypoint.rpartition(".")[2].replace("_", "-")}
    body = {
        "name": name,
        "flow_id": server.request("POST", "/flows/", flow)["id"],
        "entrypoint": entrypoint,
        "work_pool_name": pool,
        "job_variables": job_variables,
    }
    return str(server.request("POST", "/deployments/", body)["id"])


def start(server: PrefectServer, deployment: str, **parameters: Any) -> str:
    """Create a run for now and return its id."""
    body = {"state": {"type": "SCHEDULED"}, "parameters": parameters}
    made = server.request("POST", f"/deployments/{deployment}/create_flow_run", body)
    return str(made["id"])


def wait_for(
    server: PrefectServer,
    run: str,
    condition: Callable[[dict[str, Any]], bool],
    within: float = 300,
) -> dict[str, Any]:
    """Read a run until the condition holds and return it.

    Raises:
        TimeoutError: it did not come to that.
    """
    end = time.monotonic() + within
    while True:
        found: dict[str, Any] = server.request("GET", f"/flow_runs/{run}")
        if condition(found):
            return found
        if time.monotonic() > end:
            state = found["state"]
            raise TimeoutError(f"{state['name']} after {within:.0f} s: {state['message']}")
        time.sleep(0.3)


def is_final(run: dict[str, Any]) -> bool:
    """Return whether a run is over."""
    return run["state"]["type"] in FINAL
