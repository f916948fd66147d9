"""The worker's default command supervises a run in the image; a shorter command does not."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from tests.baking import bake_into
from tests.e2e.small import POOL
from tests.support.docker import Worker, docker
from tests.support.runs import deploy, is_final, start, wait_for
from tests.support.server import PrefectServer
from tests.support.waiting import eventually

FLOW = '''\
"""A flow that says by variables how far it came and which hooks ran."""

import time

from prefect import flow
from prefect.variables import Variable


def told(what):
    return lambda flow, flow_run, state: Variable.set(f"{what}_{flow_run.id.hex}", "yes")


@flow(on_cancellation=[told("cancellation")], on_crashed=[told("crash")])
def sleeps(seconds: int):
    from prefect.runtime import flow_run

    for _ in range(seconds):
        time.sleep(1)
    Variable.set("end_" + flow_run.id.replace("-", ""), "yes")
'''
# Like the kernel when it runs out of memory: SIGKILL, so no handler runs.
KILL_ENGINE = """\
import os, pathlib, signal
for process in pathlib.Path("/proc").glob("[0-9]*"):
    words = (process / "cmdline").read_bytes().split(b"\\0")
    if words[1:3] == [b"-m", b"prefect.engine"]:
        os.kill(int(process.name), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def image(
    docker_engine: None, template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The image of a project with one more flow."""
    project = bake_into(tmp_path_factory.mktemp("supervised"), template)
    (project.path / "flows" / "sleeps.py").write_text(FLOW)
    name = f"supervised-{uuid4().hex[:8]}"
    docker("build", "--tag", name, str(project.path), timeout=900)
    yield name
    for container in docker("ps", "-aq", "--filter", f"ancestor={name}").splitlines():
        docker("rm", "--force", "--volumes", container)
    docker("rmi", "--force", name)


class Run:
    """A run of the sleeping flow, which is running."""

    def __init__(
        self, server: PrefectServer, image: str, seconds: int, command: str | None = None
    ) -> None:
        """Start the run and wait until the server has its state as running."""
        self.server = server
        variables = {"image": image, "image_pull_policy": "Never"}
        if command:
            variables["command"] = command
        name = uuid4().hex
        deployment = deploy(server, POOL, name, "flows.sleeps.sleeps", **variables)
        self.id = start(server, deployment, seconds=seconds)
        run = wait_for(
            server,
            self.id,
            lambda run: run["state"]["type"] == "RUNNING" and run["infrastructure_pid"],
        )
        self.container: str = run["infrastructure_pid"].rpartition(":")[2]

    def cancel(self) -> None:
        """Cancel it like the button in the UI."""
        state = {"type": "CANCELLING", "name": "Cancelling"}
        path = f"/flow_runs/{self.id}/set_state"
        answer = self.server.request("POST", path, {"state": state})
        assert answer["status"] == "ACCEPT", answer

    def wait_for_end(self) -> str:
        """Wait until the run is in a final state and return the state's type."""
        state: str = wait_for(self.server, self.id, is_final)["state"]["type"]
        return state

    def wait_for_exit(self) -> int:
        """Wait until the container has ended and return its exit code."""
        return int(docker("wait", self.container, timeout=300))

    def reported(self, what: str) -> bool:
        """Return whether the flow or one of its hooks has set this run's Variable `what`."""
        body = {"variables": {"name": {"any_": [f"{what}_{UUID(self.id).hex}"]}}}
        return bool(self.server.request("POST", "/variables/filter", body))


def test_a_run_that_is_cancelled_ends_with_its_hook_and_its_container(
    server: PrefectServer, worker: Worker, image: str
) -> None:
    run = Run(server, image, seconds=600)
    run.cancel()
    assert run.wait_for_end() == "CANCELLED"
    eventually(lambda: run.reported("cancellation"))
    assert run.wait_for_exit() == 0
    assert not run.reported("end")


def test_a_run_whose_process_is_killed_has_crashed_and_its_hook_runs(
    server: PrefectServer, worker: Worker, image: str
) -> None:
    run = Run(server, image, seconds=600)
    subprocess.run(["docker", "exec", run.container, "python", "-c", KILL_ENGINE], check=True)
    assert run.wait_for_end() == "CRASHED"
    eventually(lambda: run.reported("crash"))


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_run_whose_container_is_ended_has_crashed(
    server: PrefectServer, worker: Worker, image: str, end: str
) -> None:
    run = Run(server, image, seconds=600)
    # Longer than the default, so that exit code 143 proves that nothing had to be killed.
    docker(end, *(["--time=60"] if end == "stop" else []), run.container)
    assert run.wait_for_end() == "CRASHED"
    assert run.wait_for_exit() == {"stop": 143, "kill": 137}[end]


def test_the_engine_alone_goes_on_when_its_run_is_cancelled_so_it_is_not_offered(
    server: PrefectServer, worker: Worker, image: str
) -> None:
    """If this fails, Prefect now supports it: then update docs/start-latency.md."""
    run = Run(server, image, seconds=30, command="python -m prefect.engine")
    run.cancel()
    assert run.wait_for_exit() == 0
    eventually(lambda: run.reported("end"))
    found = server.request("GET", f"/flow_runs/{run.id}")
    assert found["state"]["type"] == "CANCELLING"
