"""The advanced flow's tasks on a Dask cluster: a scheduler process and two worker processes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import distributed
import pytest

from tests.bake.answering import parse_toml
from tests.baking import ROOT, TEMPLATE_FOLDER, Project
from tests.support.processes import Process, free_port
from tests.support.server import PrefectServer
from tests.support.waiting import eventually

# Small batches, so that there are enough tasks for both workers.
CODE = """
import json, sys
from flows import advanced_flow as module
module.BATCH = 40
print("RESULT", json.dumps(module.advanced_flow()))
print("LOADED", json.dumps(sorted({"distributed", "prefect_dask"} & sys.modules.keys())))
"""
WORKERS = ("one", "two")


class Dask(Process):
    """A process of the cluster, which can import the flows."""

    def __init__(self, folder: Path, project: Project, name: str, *options: str) -> None:
        self.name = name  # first: it is the name of the log, too
        super().__init__(folder)
        self.project = project
        self.options = options

    def command(self) -> list[str | Path]:
        return [sys.executable, "-m", "dask", *self.options]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(self.project.path)}

    def is_ready(self) -> bool:
        ready = "Registered to" if self.name in WORKERS else "Scheduler at"
        return ready in self.output


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    with PrefectServer(sys.executable, tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="module")
def scheduler(default_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a scheduler with two workers of one thread each."""
    folder = tmp_path_factory.mktemp("dask")
    address = f"tcp://127.0.0.1:{(port := free_port())}"
    here = ["--host", "127.0.0.1", "--no-dashboard"]
    options = ["scheduler", *here, "--port", str(port)]
    with Dask(folder, default_project, "scheduler", *options):
        one, two = (
            Dask(folder, default_project, name, "worker", address, *here, "--no-nanny", *rest)
            for name in WORKERS
            for rest in [["--name", name, "--nthreads", "1", "--local-directory", str(folder)]]
        )
        with one, two:
            yield address


def run(project: Project, server: PrefectServer, **env: str) -> tuple[list[Any], list[str]]:
    """Run the flow. Return its result, and the packages of Dask that it imported."""
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        cwd=project.path,
        env={**server.env, "PYTHONDONTWRITEBYTECODE": "1", **env},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = dict(re.findall(r"^(RESULT|LOADED) (.*)$", done.stdout, re.MULTILINE))
    return json.loads(lines["RESULT"]), json.loads(lines["LOADED"])


def measured(server: PrefectServer) -> list[str]:
    """Return the states of the task runs of `measure` on the server."""
    runs: list[dict[str, Any]] = []
    while page := server.request("POST", "/task_runs/filter", {"offset": len(runs)}):
        runs += page
    return [run["state_type"] for run in runs if run["name"].startswith("measure")]


def wait_for_completed(server: PrefectServer, number: int) -> None:
    """Wait until the server has exactly so many runs of `measure`, all of them completed.

    It records task runs from events, which it may read after the flow has ended.
    """
    wanted = ["COMPLETED"] * number
    eventually(lambda: measured(server) == wanted, about=lambda: measured(server))


def test_two_dask_workers_share_the_tasks_and_find_what_threads_find(
    default_project: Project, server: PrefectServer, scheduler: str
) -> None:
    expected, loaded = run(default_project, server)
    assert loaded == []
    batches = sum(-(-row["rows"] // 40) for row in expected)
    wait_for_completed(server, batches)

    with (
        distributed.Client(scheduler) as client,  # type: ignore[no-untyped-call]
        distributed.get_task_stream(client=client) as stream,
    ):
        names = {
            worker: details["name"]
            for worker, details in client.scheduler_info()["workers"].items()
        }
        found, loaded = run(default_project, server, TASK_RUNNER="dask", DASK_ADDRESS=scheduler)

    assert loaded == ["distributed", "prefect_dask"]
    assert found == expected
    done = [names[task["worker"]] for task in stream.data]
    assert len(done) == batches
    assert set(done) == set(WORKERS)
    wait_for_completed(server, 2 * batches)


@pytest.mark.parametrize("name", ["dask", "distributed", "prefect-dask"])
def test_dask_is_tested_in_the_version_of_the_lock(name: str) -> None:
    lock = parse_toml((ROOT / TEMPLATE_FOLDER / "poetry.lock").read_text(encoding="utf-8"))

    assert [version(name)] == [each["version"] for each in lock["package"] if each["name"] == name]
