"""Create deployments through the API, without the deployer, start flow runs and wait for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support.server import PrefectServer
from tests.support.waiting import eventually

FINAL = frozenset({"COMPLETED", "FAILED", "CANCELLED", "CRASHED"})


def deploy(
    server: PrefectServer, pool: str, name: str, entrypoint: str, **job_variables: Any
) -> str:
    """Create a deployment of a flow, by its entrypoint, and return the deployment's id."""
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
    """Create a flow run that starts now and return its id."""
    body = {"state": {"type": "SCHEDULED"}, "parameters": parameters}
    made = server.request("POST", f"/deployments/{deployment}/create_flow_run", body)
    return str(made["id"])


def wait_for(
    server: PrefectServer,
    run: str,
    condition: Callable[[dict[str, Any]], bool],
    within: float = 300,
) -> dict[str, Any]:
    """Read a flow run until the condition holds and return it.

    Raises:
        TimeoutError: the condition did not hold within `within` seconds.
    """

    def read() -> dict[str, Any]:
        found: dict[str, Any] = server.request("GET", f"/flow_runs/{run}")
        return found

    def look() -> dict[str, Any] | None:
        found = read()
        return found if condition(found) else None

    return eventually(look, within, about=lambda: read()["state"])


def is_final(run: dict[str, Any]) -> bool:
    """Return whether a flow run is in a final state."""
    return run["state"]["type"] in FINAL
