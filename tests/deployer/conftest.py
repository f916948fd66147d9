"""Fixtures for the deployer, in this process or in its own, with a real Prefect server."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.baking import ROOT, TEMPLATE_FOLDER, Project
from tests.support.server import PrefectServer

# The deployer in the template's folder needs no rendering, so tests can import it from there.
sys.path.append(str(ROOT / TEMPLATE_FOLDER))


@dataclass(frozen=True)
class DeployerProject:
    """A generated project with files that tests may overwrite, and a server that it deploys to."""

    project: Project
    server: PrefectServer

    @property
    def path(self) -> Path:
        """The project's folder."""
        return self.project.path

    def write(self, path: str, text: str) -> None:
        """Write a file of the project."""
        file = self.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def read_pool(self) -> str:
        """Return the name of the first work pool in environments.toml."""
        text = (self.path / "deployments/environments.toml").read_text(encoding="utf-8")
        first, *_ = re.findall(r'work_pool = "([^"]+)"', text)
        return str(first)

    def deployer(
        self, *args: str, env: Mapping[str, str] | None = None, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run `python -m deployer` in the project; any exit code is fine."""
        return subprocess.run(
            [sys.executable, "-m", "deployer", *args],
            cwd=self.path,
            env={**self.server.env, "PYTHONDONTWRITEBYTECODE": "", **(env or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
        )


@pytest.fixture(scope="session")
def project_python() -> Path:
    """The interpreter of the tests, which also has the locked packages of a project."""
    return Path(sys.executable)


@pytest.fixture(scope="package")  # an idle server takes a tenth of a processor
def server(
    project_python: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrefectServer]:
    """One server for all tests. Each test uses an environment of its own."""
    with PrefectServer(project_python, tmp_path_factory.mktemp("prefect-server")) as server:
        yield server


@pytest.fixture
def project(bake: Callable[..., Project], server: PrefectServer) -> DeployerProject:
    """A fresh project."""
    return DeployerProject(bake(), server)
