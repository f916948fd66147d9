"""A generated project with a catalog of any size, and a fresh server that it deploys to."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.measure import Cost, measure
from tests.baking import Project, copy_template, run
from tests.support.server import PrefectServer

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
class Declared:
    """A project that declares `size` deployments of as many flows.

    Attributes:
        project: where it is.
        size: how many deployments; with 0 the catalog is empty.
        env: the environment of its commands.
    """

    project: Project
    size: int
    env: Mapping[str, str]

    def declare(self, rows: int) -> None:
        """Give every deployment this value of its parameter, in the catalog and in prefect.yaml."""
        self.write("deployments/catalog.py", CATALOG.format(rows=rows, size=self.size))
        done = self.project.run(*DEPLOYER, "export", "yaml", env=self.env)
        self.write("prefect.yaml", done.stdout)

    def write(self, path: str, text: str) -> None:
        """Write a file of the project."""
        (self.project.path / path).write_text(text, encoding="utf-8")

    def run(self, *command: str | Path) -> Cost:
        """Measure one command."""
        return measure(command, self.project.path, self.env)


def bake(folder: Path) -> Project:
    """Make a project with the template's default answers in a folder, and print nothing."""
    template = copy_template(folder / "template")
    run("cookiecutter", "--no-input", "--output-dir", folder / "out", template, folder=folder)
    (path,) = (folder / "out").iterdir()
    return Project(path)


@contextmanager
def declared(size: int) -> Iterator[Declared]:
    """Make a project with a catalog of this size; its commands know no server yet."""
    with TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        env = {**os.environ, "PREFECT_HOME": str(folder / "home")}
        made = Declared(bake(folder), size, env)
        made.write("deployments/environments.toml", ENVIRONMENTS)
        for number in range(size):
            flow = f"bench_{number:04}"
            made.write(f"flows/{flow}.py", FLOW.format(name=flow))
        made.write("deployments/catalog.py", CATALOG.format(rows=1, size=size))
        yield made


@contextmanager
def fresh_server(made: Declared) -> Iterator[PrefectServer]:
    """Run an empty server with Prefect's default settings and the work pool of the project."""
    with (
        TemporaryDirectory(prefix="bench-server-") as home,
        PrefectServer(sys.executable, home) as server,
    ):
        made.env = server.env
        # Both commands run here for the first time, so that no measured run is the one that
        # compiles.
        made.run(*DEPLOYER, "setup", "deployer")
        made.run(DEPLOY_ALL[0], "deploy", "--help")
        yield server


def settle(server: PrefectServer) -> None:
    """Wait until the scheduler has created the runs of what was deployed last."""
    seen: list[int] = []
    while len(seen) < SETTLED or len(set(seen[-SETTLED:])) > 1:
        time.sleep(2)
        seen.append(server.request("POST", "/flow_runs/count", {}))


def rows_on(server: PrefectServer, environment: str) -> list[int]:
    """Return the value of the parameter `rows` of every deployment of an environment."""
    where = {"deployments": {"tags": {"all_": [f"environment:{environment}"]}}}
    found: list[int] = []
    while True:
        page = server.request("POST", "/deployments/filter", {**where, "offset": len(found)})
        found += [row["parameters"]["rows"] for row in page]
        if not page:
            return found
