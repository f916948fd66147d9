"""A self-hosted server: a restart loses nothing, and two processes share the load.

The settings for several processes come from compose.postgres.env; test_compose.py tests the compose
file itself.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.baking import Project
from tests.support.postgres import need_postgres, temporary_postgres
from tests.support.processes import Process, free_port
from tests.support.redis import Redis
from tests.support.server import PrefectServer
from tests.support.waiting import eventually

# A flow that is still running while the server is down.
LONG = """
import time
from pathlib import Path
from prefect import flow, task
from prefect.artifacts import create_markdown_artifact

@task
def before():
    Path("is-under-way").touch()

@task
def after():
    create_markdown_artifact(key="from-the-long-run", markdown="It went on.")

@flow
def long():
    before()
    while not Path("may-end").exists():
        time.sleep(0.1)
    after()

if __name__ == "__main__":
    long()
"""
KEPT = {
    "/deployments/filter": ("id", "name", "tags", "parameters", "schedules", "paused"),
    "/flow_runs/filter": ("id", "name", "deployment_id", "parameters", "created"),
    "/task_runs/filter": ("id", "name", "flow_run_id", "created"),
    "/artifacts/filter": ("id", "key", "data"),
    "/logs/filter": ("id", "message"),
    "/automations/filter": ("id", "name", "trigger", "actions"),
    "/variables/filter": ("id", "name", "value"),
}
EVENTS = 20
CHANNEL = "prefect_automation_changes"
STARTED = "prefect.server.events.actions - Started flow run"


def held(server: PrefectServer) -> dict[str, dict[str, Any]]:
    """Return the data that must not get lost, by kind and id."""
    return {
        path: {
            row["id"]: [row[name] for name in names]
            for row in server.request("POST", path, {"limit": 200})
        }
        for path, names in KEPT.items()
    }


def states(server: PrefectServer, kind: str, flow: str) -> list[str]:
    """Return the states of a flow's flow runs or task runs."""
    filters = {"flows": {"name": {"any_": [flow]}}}
    return [row["state_type"] for row in server.request("POST", f"/{kind}/filter", filters)]


def test_a_server_on_sqlite_that_is_restarted_has_lost_nothing(
    committed: Project, tmp_path: Path
) -> None:
    long = tmp_path / "long.py"
    long.write_text(LONG)
    with PrefectServer(sys.executable, tmp_path / "server") as server, ExitStack() as stack:
        for command in (["setup", "local"], ["deploy", "local", "--no-verify"]):
            committed.run(sys.executable, "-m", "deployer", *command, env=server.env)
        committed.run(sys.executable, "-m", "flows.advanced_flow", env=server.env)
        (deployment, *_) = server.request("POST", "/deployments/filter", {})
        server.request("POST", f"/deployments/{deployment['id']}/create_flow_run", {})
        server.request("POST", "/variables/", {"name": "kept", "value": [1, 2]})
        create_automation(server, deployment["id"])
        env = {**server.env, "PREFECT_CLIENT_MAX_RETRIES": "7"}  # four minutes
        run = subprocess.Popen([sys.executable, str(long)], cwd=tmp_path, env=env)
        stack.callback(run.kill)
        eventually((tmp_path / "is-under-way").exists)
        eventually(lambda: states(server, "task_runs", "long") == ["COMPLETED"])
        there = held(server)
        assert [path for path, rows in there.items() if not rows] == []

        # The run continues to its end while the server is down.
        server.stop()
        (tmp_path / "may-end").touch()
        server.start()

        assert_held(there, held(server))
        assert run.wait(300) == 0
        assert states(server, "flow_runs", "long") == ["COMPLETED"]
        eventually(lambda: states(server, "task_runs", "long") == ["COMPLETED"] * 2)
        there = held(server)
        assert "from-the-long-run" in {key for _, key, _ in there["/artifacts/filter"].values()}

        server.kill()
        server.start()

        assert_held(there, held(server))


def assert_held(before: dict[str, dict[str, Any]], now: dict[str, dict[str, Any]]) -> None:
    """Fail if a row is missing or has changed."""
    for path, rows in before.items():
        assert {identity: now[path].get(identity) for identity in rows} == rows, path


def create_automation(server: PrefectServer, deployment: str) -> None:
    """Create an automation that runs a deployment at every event `file.arrived`."""
    trigger = {
        "type": "event",
        "posture": "Reactive",
        "expect": ["file.arrived"],
        "for_each": ["prefect.resource.id"],
        "threshold": 1,
        "within": 0,
    }
    action = {"type": "run-deployment", "source": "selected", "deployment_id": deployment}
    body = {"name": "on arrival", "trigger": trigger, "actions": [action]}
    server.request("POST", "/automations/", body)


class Services(Process):
    """`prefect server services start`."""

    def __init__(self, folder: Path, name: str, env: dict[str, str]) -> None:
        super().__init__(folder / name)
        self.name = name
        self.env = env

    def command(self) -> list[str | Path]:
        return [sys.executable, "-m", "prefect", "server", "services", "start"]

    def environment(self) -> dict[str, str]:
        return {**self.env, "PREFECT_HOME": str(self.folder)}

    def is_ready(self) -> bool:
        # PostgreSQL keeps no notification for a process that does not listen yet.
        lines = ("Starting action message handler", f"Listening on Postgres channel: {CHANNEL}")
        return all(line in self.output for line in lines)


class Api(PrefectServer):
    """`prefect server start --no-services`."""

    def command(self) -> list[str | Path]:
        return [*super().command(), "--no-services"]


@pytest.fixture
def settings(default_project: Project, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The settings of compose.postgres.env, with local addresses and more logging."""
    need_postgres()
    lines = default_project.read("compose.postgres.env").splitlines()
    values = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    with Redis(tmp_path / "redis") as redis, temporary_postgres(free_port()) as postgres:
        values = {
            name: value.replace("redis://redis:6379", redis.url) for name, value in values.items()
        }
        yield values | {
            "PREFECT_SERVER_DATABASE_HOST": "127.0.0.1",
            "PREFECT_SERVER_DATABASE_PORT": str(postgres.port),
            "PREFECT_SERVER_DATABASE_NAME": "postgres",
            "PREFECT_SERVER_DATABASE_PASSWORD": "p@ss/w:rd",
            "PREFECT_SERVER_LOGGING_LEVEL": "INFO",
            "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "1",
        }


def test_two_processes_on_postgresql_and_redis_share_the_load(
    settings: dict[str, str], tmp_path: Path
) -> None:
    servers = [Api(sys.executable, tmp_path / name, env=settings) for name in ("one", "two")]
    one, two = servers
    migration = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"]
    subprocess.run(migration, env=one.environment(), check=True, capture_output=True, timeout=300)
    services = [Services(tmp_path, name, one.environment()) for name in ("first", "second")]
    with ExitStack() as stack:
        for process in (*servers, *services):
            stack.enter_context(process)

        # A deployment created at one server exists at the other.
        flow = one.request("POST", "/flows/", {"name": "loader"})["id"]
        hourly = {"schedule": {"interval": 3600}, "active": True}
        body = {"flow_id": flow, "name": "hourly", "schedules": [hourly]}
        scheduled = one.request("POST", "/deployments/", body)["id"]
        assert two.request("GET", f"/deployments/{scheduled}")["name"] == "hourly"
        arrival = two.request("POST", "/deployments/", {"flow_id": flow, "name": "arrival"})["id"]
        create_automation(one, arrival)

        # Each event starts exactly one run, and so does each time of a schedule.
        notified = "Received automation change notification: created"
        eventually(lambda: all(notified in process.output for process in services))
        for number in range(EVENTS):
            emit(servers[number % 2], number)
        eventually(lambda: len(runs(two, arrival)) >= EVENTS)
        eventually(lambda: len(runs(two, scheduled)) >= 3)
        time.sleep(5)  # time for runs that must not be created
        assert len(runs(one, arrival)) == EVENTS
        times = [run["expected_start_time"] for run in runs(one, scheduled)]
        assert len(times) == len(set(times))
        shares = [process.output.count(STARTED) for process in services]
        assert sum(shares) == EVENTS
        assert min(shares) > 0

        # One server and one services process are enough to continue.
        one.stop()
        services[0].stop()
        for number in range(EVENTS, EVENTS + 3):
            emit(two, number)
        eventually(lambda: len(runs(two, arrival)) >= EVENTS + 3)
        time.sleep(5)
        assert len(runs(two, arrival)) == EVENTS + 3


def emit(server: PrefectServer, number: int) -> None:
    """Send the event `file.arrived` to a server."""
    event = {
        "occurred": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "event": "file.arrived",
        "resource": {"prefect.resource.id": f"file.{number}"},
        "id": f"00000000-0000-4000-8000-{number:012}",
    }
    server.request("POST", "/events", [event])


def runs(server: PrefectServer, deployment: str) -> list[dict[str, Any]]:
    """Return the flow runs of a deployment."""
    chosen = {"deployments": {"id": {"any_": [deployment]}}}
    found: list[dict[str, Any]] = server.request("POST", "/flow_runs/filter", chosen)
    return found
