"""Repositories whose workflows act runs: ours, and those made from Prefect's page on CI/CD."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.base import build_stand_in
from bench.project import DEPLOYER, bake
from bench.samples import OURS
from tests.baking import Project
from tests.support.act import Act, WorkflowRun
from tests.support.docker import Registry, bridge_address, docker
from tests.support.server import PrefectServer

PAGE_FILES = Path(__file__).parent / "page"
PAGE, CACHED = "Prefect's page", "the page, `cache: pip`"
NO_CACHE = "BENCH_NO_CACHE"
POOL = "docker-pool"  # the default answer
NAMES = {"hourly", "manual", "nightly"}
DEPLOY_YML = ".github/workflows/deploy.yml"
PAGE_YML = ".github/workflows/deploy-prefect-flow.yaml"
# Parts of our project that the page's side has no equivalent of; they are removed.
LEFT_OUT = {
    DEPLOY_YML: r"(?s)  tests:\n.*?\n(?=  image:\n)|    needs: tests\n",
    "deployments/catalog.py": r"        smoke=.*\n",
    "deployments/environments.toml": r"(?s)\[staging\]\n.*?(?=\[production\])",
}
GIT = "[user]\n  name = Bench\n  email = bench@example.com\n[commit]\n  gpgSign = false\n"
PYTHON, CACHE = '          python-version: "3.12"\n', '          cache: "pip"\n'


@dataclass
class Side:
    """One of the repositories.

    Attributes:
        who: the side's name in the samples.
        repository: the repository.
        workflow: file name of the workflow that a push runs.
        suffix: suffix of its deployments' names.
        edits: number of lines added so far.
    """

    who: str
    repository: Act
    workflow: str
    suffix: str = ""
    edits: int = 0

    def edit(self, path: str, pattern: str, replacement: str) -> None:
        """Change a file, and commit.

        Raises:
            RuntimeError: the pattern does not occur in the file.
        """
        file = self.repository.project / path
        text, times = re.subn(pattern, replacement, file.read_text())
        if not times:
            raise RuntimeError(f"{path} has no match for {pattern!r}: update the benchmark")
        file.write_text(text)
        self.repository.commit(f"Edit {path}")

    def add_line(self, path: str) -> None:
        """Add a line to a file, and commit."""
        self.edits += 1
        self.edit(path, r"\Z", f"\n# Edit {self.edits}.\n")

    def push(self) -> float:
        """Push, and return the seconds that the workflow took.

        Raises:
            RuntimeError: a job did not succeed.
        """
        start = time.perf_counter()
        check_success(self.repository.run("push", self.workflow, {"ref": "refs/heads/main"}))
        return time.perf_counter() - start


@dataclass
class Place:
    """The server and the registry that all sides deploy to."""

    server: PrefectServer
    registry: Registry

    def rows(self, side: Side) -> dict[str, dict[str, Any]]:
        """Return the deployments of one side, by their names in the catalog."""
        rows = self.server.request("POST", "/deployments/filter", {"limit": 200})
        named = {row["name"]: row for row in rows}
        return {name: named[name + side.suffix] for name in NAMES if name + side.suffix in named}

    def image(self, side: Side) -> str:
        """Return the image of all deployments of a side.

        Raises:
            RuntimeError: a deployment is missing, or they have different images.
        """
        rows = self.rows(side)
        found = {row["job_variables"]["image"] for row in rows.values()}
        if rows.keys() != NAMES or len(found) != 1:
            raise RuntimeError(f"{side.who}: deployments {[*rows]} have the images {found}")
        return str(found.pop())


@contextmanager
def without_cache() -> Iterator[None]:
    """Let the workflows build their images as on a new machine, without the engine's cache.

    The stand-in for build-push-action and the page's deploy.py read the variable.
    """
    os.environ[NO_CACHE] = "1"
    try:
        yield
    finally:
        del os.environ[NO_CACHE]


def check_success(run: WorkflowRun) -> None:
    """Raise RuntimeError if a workflow run did not succeed, because its time means nothing."""
    if run.exit_code or not run.jobs or {*run.jobs.values()} != {"success"}:
        raise RuntimeError(f"{run.jobs}\n{run.output[-6000:]}")


@contextmanager
def sides() -> Iterator[tuple[Place, dict[str, Side]]]:
    """Run a server and a registry, create the repositories and yield them by side."""
    with TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        (folder / "gitconfig").write_text(GIT)
        os.environ |= {"GIT_CONFIG_GLOBAL": str(folder / "gitconfig"), "GIT_CONFIG_NOSYSTEM": "1"}
        project = bake(folder)
        with (
            base_image(project),
            Registry(folder / "registry") as registry,
            PrefectServer(sys.executable, folder / "server", host=bridge_address()) as server,
        ):
            project.run(*DEPLOYER, "setup", "production", env=server.env)

            def repository(project: Path, name: str) -> Act:
                variables = {
                    "PREFECT_API_URL": server.api_url,
                    "REGISTRY": registry.address,
                    "REGISTRY_USERNAME": "somebody",
                    "IMAGE": f"{registry.address}/acme/{name}",  # only the page's workflow reads it
                }
                return Act(
                    project,
                    folder / f"act-{name}",
                    name=f"acme/{name}",
                    variables=variables,
                    secrets={"REGISTRY_PASSWORD": "something"},
                )

            def page(who: str, name: str) -> Side:
                copy = shutil.copytree(PAGE_FILES, folder / name)
                shutil.copytree(project.path / "flows", copy / "flows")
                for each in ("requirements.txt", "README.md"):
                    shutil.copy(project.path / each, copy)
                return Side(who, repository(copy, name), Path(PAGE_YML).name, "-page")

            made = {PAGE: page(PAGE, "page"), CACHED: page(CACHED, "cached")}
            made[CACHED].edit(PAGE_YML, PYTHON, rf"\g<0>{CACHE}")
            ours = Side(OURS, repository(project.path, "ours"), Path(DEPLOY_YML).name)
            for path, pattern in LEFT_OUT.items():
                ours.edit(path, pattern, "")
            yield Place(server, registry), {OURS: ours, **made}


@contextmanager
def base_image(project: Project) -> Iterator[None]:
    """Tag the stand-in with the project's requirements with the name of Prefect's base image."""
    from prefect.utilities.dockerutils import get_prefect_image_name  # takes a second

    name = get_prefect_image_name()
    before = docker("images", "--quiet", "--no-trunc", name)
    build_stand_in(project, name, "filled")
    try:
        yield
    finally:
        docker("rmi", "--force", name)
        if before:
            docker("tag", before, name)
