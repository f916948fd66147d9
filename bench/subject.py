"""A generated project with a catalog of any size, and a fresh server that it deploys to."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.measure import Cost, measure
from tests.baking import Project, bake_into, copy_template
from tests.support.server import PrefectServer, without_prefect

# The same catalog twice on one server, under two names: each side creates its own deployments.
ENVIRONMENTS = """\
project = "bench"

[deployer]
work_pool = "bench"
work_pool_type = "process"
name_suffix = "-deployer"

[yaml]
work_pool = "bench"
work_pool_type = "process"
name_suffix = "-yaml"
"""
FLOW = '''\
from prefect import flow


@flow
def {name}(rows: int = 1, label: str = "x", day: str | None = None) -> None:
    """Do what flow {name} does.

    Args:
        rows: how many.
        label: what they are called.
        day: the day that they are of.
    """
'''
CATALOG = """\
from importlib import import_module

from deployer.catalog import Deployment
from prefect.schedules import Cron, Interval

# Every second one has a schedule.
KINDS = [[], [Cron("0 3 * * *", timezone="Europe/Berlin")], [], [Interval(3600)]]
CATALOG = [
    Deployment(
        getattr(import_module(f"flows.bench_{{n:04}}"), f"bench_{{n:04}}"),
        "main",
        parameters={{"rows": {rows}}},
        schedules=KINDS[n % 4],
        tags=["bench"],
    )
    for n in range({size})
]
"""
DEPLOY_ALL = (Path(sys.executable).parent / "prefect", "deploy", "--all")
DEPLOYER = (sys.executable, "-m", "deployer")
SETTLED = 3  # looks at the server, two seconds apart, in which the number of runs stays the same


@dataclass
class Subject:
    """A project of `size` deployments of as many flows.

    Attributes:
        project: where it is.
        size: how many deployments; with 0 the catalog is empty.
        env: the environment of its commands.
    """

    project: Project
    size: int
    env: Mapping[str, str] = field(default_factory=dict)

    def write(self, path: str, text: str) -> None:
        """Write a file of the project."""
        (self.project.path / path).write_text(text, encoding="utf-8")

    def declare(self, rows: int) -> None:
        """Give every deployment this value of its parameter, in the catalog and in prefect.yaml."""
        self.write("deployments/catalog.py", CATALOG.format(rows=rows, size=self.size))
        done = subprocess.run(
            [*DEPLOYER, "export", "yaml"],
            cwd=self.project.path,
            env=dict(self.env),
            capture_output=True,
            text=True,
            check=True,
        )
        self.write("prefect.yaml", done.stdout)

    def run(self, *command: str | Path) -> Cost:
        """Measure one command."""
        return measure(command, self.project.path, self.env)

    def deployer(self, *arguments: str) -> Cost:
        """Measure one command of the deployer."""
        return self.run(*DEPLOYER, *arguments)


@contextmanager
def subject(size: int) -> Iterator[Subject]:
    """Make a project with the template's default answers and a catalog of this size."""
    with TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        template = copy_template(folder / "template")
        with quiet_stdout():
            made = Subject(bake_into(folder / "out", template), size)
        made.write("deployments/environments.toml", ENVIRONMENTS)
        for number in range(size):
            flow = f"bench_{number:04}"
            made.write(f"flows/{flow}.py", FLOW.format(name=flow))
        made.write("deployments/catalog.py", CATALOG.format(rows=1, size=size))
        made.env = without_prefect(os.environ) | {"PREFECT_HOME": str(folder / "home")}
        yield made


@contextmanager
def fresh_server(made: Subject) -> Iterator[PrefectServer]:
    """Run a server with an empty database and Prefect's default settings, and a work pool on it."""
    with (
        TemporaryDirectory(prefix="bench-server-") as home,
        PrefectServer(sys.executable, home) as server,
    ):
        made.env = server.env
        made.deployer("setup", "deployer")
        made.declare(1)
        made.run(DEPLOY_ALL[0], "deploy", "--help")  # so that no measured run is the first one
        yield server


@contextmanager
def quiet_stdout() -> Iterator[None]:
    """Keep what other programs print, such as the template's hooks, out of the report."""
    sys.stdout.flush()
    kept = os.dup(1)
    with Path(os.devnull).open("wb") as nothing:
        os.dup2(nothing.fileno(), 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def settle(server: PrefectServer) -> None:
    """Wait until the scheduler has created the runs of what was deployed last."""
    seen: list[int] = []
    while len(seen) < SETTLED or len(set(seen[-SETTLED:])) > 1:
        time.sleep(2)
        seen.append(server.request("POST", "/flow_runs/count", {}))


def rows_on(server: PrefectServer, environment: str) -> list[int]:
    """Return the value of the parameter of every deployment of an environment."""
    where = {"deployments": {"tags": {"all_": [f"environment:{environment}"]}}}
    found: list[int] = []
    while True:
        page = server.request("POST", "/deployments/filter", {**where, "offset": len(found)})
        found += [row["parameters"]["rows"] for row in page]
        if not page:
            return found
