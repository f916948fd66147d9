"""Start a fresh server for a project's deploys, and query it."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from tempfile import TemporaryDirectory

from bench.project import DEPLOYER, Declared
from tests.support.postgres import temporary_postgres
from tests.support.server import PrefectServer

SETTLED = 3  # checks in a row, two seconds apart, with the same number of runs
RUNS = 3  # runs that a server schedules ahead per schedule, if they are at least an hour apart
PATIENCE = 180  # seconds; a busy scheduler may leave runs to its next full loop, a minute later
# With this the server logs a line per request.
LOGGED = {"PREFECT_SERVER_LOGGING_LEVEL": "INFO"}
REQUEST = re.compile(r'"(GET|POST|PUT|PATCH|DELETE) /api/')
# Before 3.9.1 Prefect read every file of the system's time zones for each schedule with a zone.
ZONES_OF_PACKAGE = {"PYTHONTZPATH": ""}


@contextmanager
def fresh_server(made: Declared, *, postgres: bool, zones: bool) -> Iterator[PrefectServer]:
    """Run an empty server with the work pool of the project.

    Args:
        made: the project; its environment is set to this server.
        postgres: whether the database is PostgreSQL instead of SQLite.
        zones: whether the server reads time zones from the package tzdata.
    """
    with ExitStack() as stack:
        env = LOGGED | (ZONES_OF_PACKAGE if zones else {})
        if postgres:
            url = stack.enter_context(temporary_postgres()).url
            env |= {"PREFECT_API_DATABASE_CONNECTION_URL": url}
        home = stack.enter_context(TemporaryDirectory(prefix="bench-server-"))
        server = stack.enter_context(PrefectServer(sys.executable, home, env=env))
        # The server's own settings are not set for its clients.
        made.env = {name: value for name, value in server.env.items() if name not in env}
        made.run(*DEPLOYER, "setup", "deployer")
        yield server


def requests(server: PrefectServer) -> int:
    """Return how many requests the server has answered so far."""
    return len(REQUEST.findall(server.output))


def settle(server: PrefectServer, schedules: int = 0) -> None:
    """Wait until the scheduler has created the runs of the last deploy.

    Args:
        server: the server.
        schedules: the least number of schedules of a deployment.

    Raises:
        RuntimeError: after PATIENCE seconds runs are missing, or their number still changes.
    """
    wanted = server.request("POST", "/deployments/count", {}) * schedules * RUNS
    seen: list[int] = []
    deadline = time.monotonic() + PATIENCE
    while len(seen) < SETTLED or len(set(seen[-SETTLED:])) > 1 or seen[-1] < wanted:
        if time.monotonic() > deadline:
            raise RuntimeError(f"The server has {seen[-1]} runs, not a steady {wanted} or more.")
        time.sleep(2)
        seen.append(server.request("POST", "/flow_runs/count", {}))


def rows_on(server: PrefectServer, environment: str) -> list[int]:
    """Return the sorted values of the parameter `rows` of an environment's deployments."""
    where = {"deployments": {"tags": {"all_": [f"environment:{environment}"]}}}
    found: list[int] = []
    while True:
        page = server.request("POST", "/deployments/filter", {**where, "offset": len(found)})
        found += [row["parameters"]["rows"] for row in page]
        if not page:
            return sorted(found)
