"""How long a flow run in a container takes from Submitting to Running."""

from __future__ import annotations

import sys
from collections.abc import Generator
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.images import images
from bench.measure import rounds
from bench.samples import Sample
from tests.support.docker import Worker, bridge_address
from tests.support.runs import deploy, is_final, start, wait_for
from tests.support.server import PrefectServer

HOW = """\
Seconds from the state Submitting to the state Running, as the server recorded them, for the basic
flow in a container of each of the images above. One worker starts one run at a time, and the images
take turns. The worker uses Prefect's own command. In Prefect's real base image the packages are
compiled and the standard library is not, so its start time lies between those of the two default
images here. The plot shows every run.
"""
ROW = "submitted to running"
POOL = "bench"
FLOW = "flows.basic_flow.basic_data_flow"


def measure(repeat: int) -> Generator[Sample]:
    """Yield the seconds of each run, with one server and one worker."""
    with (
        images() as made,
        TemporaryDirectory(prefix="bench-starts-") as name,
        PrefectServer(sys.executable, Path(name) / "server", host=bridge_address()) as server,
        Worker(server, POOL, Path(name) / "worker"),
    ):
        deployments = {}
        for who, image in made.items():
            image.build()
            variables = {"image": image.tag, "image_pull_policy": "Never"}
            path = {"env": {"PYTHONPATH": image.code}}
            name = image.tag.rpartition("/")[2]
            deployments[who] = deploy(server, POOL, name, FLOW, **variables, **path)
        for turns in rounds(list(made), repeat):
            for who in turns:
                yield Sample(ROW, "s", who, one(server, deployments[who]))


def one(server: PrefectServer, deployment: str) -> float:
    """Run a deployment once and return the seconds from Submitting to Running.

    Raises:
        RuntimeError: the run did not complete, so its time means nothing.
    """
    run = start(server, deployment, rows=5, output_path="/tmp/output.csv")  # noqa: S108
    state = wait_for(server, run, is_final)["state"]
    if state["type"] != "COMPLETED":
        raise RuntimeError(f"A run did not complete: {state['name']}, {state['message']}")
    states = server.request("GET", f"/flow_run_states/?flow_run_id={run}")
    at = {each["name"]: datetime.fromisoformat(each["timestamp"]) for each in states}
    seconds: float = (at["Running"] - at["Submitting"]).total_seconds()
    return seconds
