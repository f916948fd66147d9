"""What ran, and how long it took, for a terminal. Standard library only."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from deployer.errors import DeployerError


def ask(url: str, path: str, filters: dict[str, Any] | None = None) -> Any:
    """Read from the server at this address.

    Raises:
        DeployerError: it does not answer.
    """
    body = None if filters is None else json.dumps(filters).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/api{path}", body, headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.load(answer)
    except OSError as error:
        raise DeployerError(f"The server at {url} does not answer: {error}.") from None


def report(url: str, began: datetime, steps: Sequence[tuple[str, float]]) -> str:
    """Return the deployments with their runs since the start, and the time each step took."""
    since = {"flow_runs": {"start_time": {"after_": began.isoformat()}}}
    runs = ask(url, "/flow_runs/filter", since)
    flows = {flow["id"]: flow["name"] for flow in ask(url, "/flows/filter", {})}
    deployments = ask(url, "/deployments/filter", {"sort": "NAME_ASC"})
    rows = [("deployment", "run", "state", "seconds")]
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
    took = [(name, f"{seconds:.1f}") for name, seconds in steps]
    total = sum(seconds for _, seconds in steps)
    table = [("step", "seconds"), *took, ("in all", f"{total:.1f}")]
    summary = f"{len(deployments)} deployments, {completed} completed runs"
    return "\n".join([columns(rows), "", columns(table), "", summary])


def columns(rows: Sequence[tuple[str, ...]]) -> str:
    """Return rows as aligned columns, the first row underlined."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])
