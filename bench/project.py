"""A generated project with a catalog of any size."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.measure import Cost, measure
from tests.baking import Project, copy_template, run

# Each side deploys the same catalog to one server, in an environment of its own.
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

[pipeline]
work_pool = "bench-docker"
work_pool_type = "docker"
name_suffix = "-pipeline"
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
DECLARED = """\
from importlib import import_module

from prefect.schedules import Cron, Interval
{imports}

SCHEDULES = [Cron("0 3 * * *", timezone="Europe/Berlin"), Interval(3600)][:{schedules}]
FLOWS = [getattr(import_module(f"flows.bench_{{n:04}}"), f"bench_{{n:04}}") for n in range({size})]
ROWS = [{first}, *[{rows}] * {size}]
"""
CATALOG = """\
CATALOG = [
    Deployment(flow, "main", parameters={"rows": rows}, schedules=SCHEDULES, tags=["bench"])
    for flow, rows in zip(FLOWS, ROWS)
]
"""
SCRIPT = """\
deploy(
    *[
        flow.to_deployment(
            "main-script",
            parameters={"rows": rows},
            schedules=SCHEDULES,
            tags=["bench", "environment:script"],
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
        for flow, rows in zip(FLOWS, ROWS)
    ],
    work_pool_name="bench",
    ignore_warnings=True,
)
"""
FOR_CATALOG = "\nfrom deployer.catalog import Deployment"
FOR_SCRIPT = "from prefect import deploy\nfrom prefect.types.entrypoint import EntrypointType"
DEPLOYER = (sys.executable, "-m", "deployer")
# It need not exist: no flow run is started, so nothing pulls it.
IMAGE = "registry.example.com/bench@sha256:" + "0" * 64


@dataclass
class Declared:
    """A project that declares `size` deployments, each of its own flow.

    Attributes:
        project: the generated project.
        size: number of deployments.
        schedules: number of schedules of each deployment.
        env: environment variables of its commands.
    """

    project: Project
    size: int
    schedules: int
    env: Mapping[str, str]

    def declare(self, first: int, rows: int) -> None:
        """Write the declarations of all sides: the catalog, `prefect.yaml` and `deploy.py`.

        The parameter `rows` is `first` in the first deployment and `rows` in all others.
        """
        values = {"size": self.size, "schedules": self.schedules, "first": first, "rows": rows}
        for path, imports, rest in (
            ("deployments/catalog.py", FOR_CATALOG, CATALOG),
            ("deploy.py", FOR_SCRIPT, SCRIPT),
        ):
            self.write(path, DECLARED.format(imports=imports, **values) + rest)
        done = self.project.run(*DEPLOYER, "export", "yaml", env=self.env)
        self.write("prefect.yaml", done.stdout)

    def write(self, path: str, text: str) -> None:
        """Write a file of the project."""
        (self.project.path / path).write_text(text, encoding="utf-8")

    def deploy_image(self) -> None:
        """Deploy as the pipeline's image does, which records that nothing differs afterwards."""
        self.project.run(*DEPLOYER, "setup", "pipeline", env=self.env)
        deploy = ("deploy", "pipeline", "--no-verify", "--image", IMAGE, "--order", "1")
        self.project.run(*DEPLOYER, *deploy, env={**self.env, "DEPLOYER_IMAGE": IMAGE})
        self.env = {**self.env, "GITHUB_REPOSITORY": "bench/bench"}  # as GitHub sets it

    def run(self, *command: str | Path) -> Cost:
        """Measure one command."""
        return measure(command, self.project.path, self.env)


def bake(folder: Path) -> Project:
    """Generate a project with the default answers in a folder, without any output."""
    template = copy_template(folder / "template")
    run("cookiecutter", "--no-input", "--output-dir", folder / "out", template, folder=folder)
    (path,) = (folder / "out").iterdir()
    return Project(path)


@contextmanager
def declared(size: int, schedules: int) -> Iterator[Declared]:
    """Generate a project with a catalog of this size. Its environment has no server yet."""
    with TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        env = {**os.environ, "PREFECT_HOME": str(folder / "home")}
        made = Declared(bake(folder), size, schedules, env)
        made.write("deployments/environments.toml", ENVIRONMENTS)
        for number in range(size):
            flow = f"bench_{number:04}"
            made.write(f"flows/{flow}.py", FLOW.format(name=flow))
        yield made
