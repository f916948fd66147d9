"""A fresh server that a project deploys to, and what it holds."""

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

SETTLED = 3  # looks at the server, two seconds apart, in which the number of runs stays the same
RUNS = 3  # that a server keeps ahead for each schedule, if they are at least an hour apart
PATIENCE = 180  # seconds; what a busy scheduler leaves out waits for its next full turn, a minute
# The server's log then has a line for each request.
LOGGED = {"PREFECT_SERVER_LOGGING_LEVEL": "INFO"}
REQUEST = re.compile(r'"(GET|POST|PUT|PATCH|DELETE) /api/')
# Before 3.9.1 Prefect read a folder of the system, file by file, for each schedule's time zone.
ZONES_OF_PACKAGE = {"PYTHONTZPATH": ""}


@contextmanager
def fresh_server(made: Declared, *, postgres: bool, zones: bool) -> Iterator[PrefectServer]:
    """Run an empty server with the work pool of the project.

    Args:
        made: the project, whose commands then deploy to the server.
        postgres: its database is PostgreSQL instead of SQLite.
        zones: it takes time zones from the package tzdata.
    """
    with ExitStack() as stack:
        env = LOGGED | (ZONES_OF_PACKAGE if zones else {})
        if postgres:
            url = stack.enter_context(temporary_postgres()).url
            env |= {"PREFECT_API_DATABASE_CONNECTION_URL": url}
        home = stack.enter_context(TemporaryDirectory(prefix="bench-server-"))
        server = stack.enter_context(PrefectServer(sys.executable, home, env=env))
        # What is set for the server is not set for its clients.
        made.env = {name: value for name, value in server.env.items() if name not in env}
        made.run(*DEPLOYER, "setup", "deployer")
        yield server


def requests(server: PrefectServer) -> int:
    """Return how many requests the server has answered so far."""
    return len(REQUEST.findall(server.output))


def settle(server: PrefectServer, schedules: int = 0) -> None:
    """Wait until the scheduler has created the runs of what was deployed last.

    Args:
        server: the one that was deployed to.
        schedules: how many each of its deployments has at least.

    Raises:
        RuntimeError: runs are missing after a long time.
    """
    wanted = server.request("POST", "/deployments/count", {}) * schedules * RUNS
    seen: list[int] = []
    deadline = time.monotonic() + PATIENCE
    while len(seen) < SETTLED or len(set(seen[-SETTLED:])) > 1 or seen[-1] < wanted:
        if time.monotonic() > deadline:
            raise RuntimeError(f"The server has {seen[-1]} runs, not {wanted}, or not for long.")
        time.sleep(2)
        seen.append(server.request("POST", "/flow_runs/count", {}))


def rows_on(server: PrefectServer, environment: str) -> list[int]:
    """Return the value of the parameter `rows` of every deployment of an environment, in order."""
    where = {"deployments": {"tags": {"all_": [f"environment:{environment}"]}}}
    found: list[int] = []
    while True:
        page = server.request("POST", "/deployments/filter", {**where, "offset": len(found)})
        found += [row["parameters"]["rows"] for row in page]
        if not page:
            return sorted(found)
