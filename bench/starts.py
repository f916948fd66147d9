"""How long a container takes from being submitted to a flow that runs in it."""

from __future__ import annotations

import sys
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.measure import medians, rounds, say
from bench.report import Report
from tests.support.docker import Worker, bridge_address
from tests.support.runs import deploy, is_final, start, wait_for
from tests.support.server import PrefectServer

POOL = "bench"
ENGINE = "python -m prefect.engine"
FLOW = "flows.basic_flow.basic_data_flow"
NOTE = """\
Median of {repeat} runs each, one at a time, taking turns, from the state Submitting to Running as
the server recorded them. `{engine}` starts one interpreter in the place of three;
it is here for what it gives and is not offered: a run that it executes cannot be cancelled
(docs/start-latency.md). Prefect's own base image has its packages compiled and the standard library
not: a default one starts between the two that are measured here.
"""


@dataclass(frozen=True)
class Start:
    """A way to run the basic flow.

    Attributes:
        name: what the report calls it.
        tag: the image.
        code: the folder of the project in there.
        command: what the worker passes; None is Prefect's own.
    """

    name: str
    tag: str
    code: str
    command: str | None = None

    def job_variables(self) -> dict[str, Any]:
        """Return what a deployment has to say for this."""
        image = {"image": self.tag, "image_pull_policy": "Never", "env": {"PYTHONPATH": self.code}}
        return image | ({"command": self.command} if self.command else {})


def starts(report: Report, ways: list[Start], repeat: int) -> None:
    """Measure all ways, on one server and one worker."""
    samples = defaultdict(list)
    with (
        TemporaryDirectory(prefix="bench-starts-") as name,
        PrefectServer(sys.executable, Path(name) / "server", host=bridge_address()) as server,
        Worker(server, POOL, Path(name) / "worker"),
    ):
        deployments = {
            way: deploy(server, POOL, f"way-{number}", FLOW, **way.job_variables())
            for number, way in enumerate(ways)
        }
        for each in rounds(ways, repeat):
            for way in each:
                samples[way].append(one(server, deployments[way]))
                say(f"{way.name}: submitted to running", samples[way][-1])
    found = medians(samples)
    first = found[ways[0]]
    rows = [[way.name, f"{found[way]:.1f}", f"{found[way] / first:.2f}"] for way in ways]
    report.table("Submitted to running", ["image, command", "s", "to the first"], rows)
    report.lines.append(NOTE.format(engine=ENGINE, repeat=repeat))


def one(server: PrefectServer, deployment: str) -> float:
    """Run a deployment once and return the seconds from Submitting to Running.

    Raises:
        RuntimeError: it did not complete; a figure of half the work would be worth nothing.
    """
    run = start(server, deployment, rows=5, output_path="/tmp/output.csv")  # noqa: S108
    state = wait_for(server, run, is_final)["state"]
    if state["type"] != "COMPLETED":
        raise RuntimeError(f"A run did not complete: {state['name']}, {state['message']}")
    states = server.request("GET", f"/flow_run_states/?flow_run_id={run}")
    at = {each["name"]: datetime.fromisoformat(each["timestamp"]) for each in states}
    seconds: float = (at["Running"] - at["Submitting"]).total_seconds()
    return seconds
