"""Reports which flows ran, and how long each step took."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import httpx
from rich import box
from rich.console import JustifyMethod
from rich.table import Table

from deployer.errors import DeployerError
from tools.up.local import HTTP


def ask(url: str, path: str, filters: dict[str, Any] | None = None) -> Any:
    """Send a request to the server at this address, and return its answer.

    Raises:
        DeployerError: it does not answer.
    """
    request = ("GET" if filters is None else "POST", f"{url}/api{path}")
    try:
        answer = HTTP.request(*request, json=filters)
        return answer.raise_for_status().json()
    except httpx.HTTPError as error:
        raise DeployerError(f"The server at {url} does not answer: {error}.") from None


def report(url: str, began: datetime, steps: Sequence[tuple[str, float]]) -> Iterator[Table | str]:
    """Return the deployments with their runs since the start, and the time each step took."""
    since = {"flow_runs": {"start_time": {"after_": began.isoformat()}}}
    runs = ask(url, "/flow_runs/filter", since)
    flows = {flow["id"]: flow["name"] for flow in ask(url, "/flows/filter", {})}
    deployments = ask(url, "/deployments/filter", {"sort": "NAME_ASC"})
    rows = []
    completed = 0
    for deployment in deployments:
        name = f"{flows[deployment['flow_id']]}/{deployment['name']}"
        # Subflow runs belong to no deployment, and what is still scheduled did not run.
        own = [run for run in runs if run["deployment_id"] == deployment["id"]]
        own = [run for run in own if run["state_type"] not in ("SCHEDULED", "PENDING")]
        completed += sum(run["state_type"] == "COMPLETED" for run in own)
        rows += [
            (name, run["name"], run["state_name"], f"{run['total_run_time']:.1f}") for run in own
        ] or [(name, "-", "-", "-")]
    took = [*steps, ("in all", sum(seconds for _, seconds in steps))]
    yield table("deployment", "run", "state", "seconds", rows=rows)
    yield ""
    yield table("step", "seconds", rows=((name, f"{seconds:.1f}") for name, seconds in took))
    yield ""
    yield f"{len(deployments)} deployments, {completed} completed runs"


def table(*headers: str, rows: Iterable[tuple[str, ...]]) -> Table:
    """Return rows as a table whose last column has numbers."""
    result = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for header in headers:
        justify: JustifyMethod = "right" if header == headers[-1] else "left"
        result.add_column(header, justify=justify, overflow="fold")
    for row in rows:
        result.add_row(*row)
    return result
