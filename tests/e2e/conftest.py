"""A server, a registry, a worker and a repository, all real and all on this machine."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.baking import Project
from tests.support.act import Act
from tests.support.docker import Registry, Worker, bridge_address, need_docker
from tests.support.server import PrefectServer

POOL = "docker-pool"  # the default answer
_numbers = count(1)


@pytest.fixture(scope="session", autouse=True)
def _termination_is_an_interrupt() -> None:
    """Make SIGTERM, as from a time-out, end all that was started, like Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def docker_engine() -> None:
    """Skips the test, or fails it with CI set, where there is no Docker engine."""
    need_docker()


@pytest.fixture(scope="session")
def project_python() -> Path:
    """The interpreter of the tests, which has the very packages of the project's lock too."""
    return Path(sys.executable)


@pytest.fixture(scope="module")
def server(
    docker_engine: None, project_python: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrefectServer]:
    """A server that is reached under one address from here and from containers."""
    home = tmp_path_factory.mktemp("server")
    with PrefectServer(project_python, home, host=bridge_address()) as server:
        yield server


@pytest.fixture(scope="session")
def registry(docker_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry, which takes its images and their containers with it.

    One for all tests, because a push of layers that a registry has takes seconds, not a minute.
    """
    with Registry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


@pytest.fixture(scope="module")
def worker(server: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """A docker worker for the default pool."""
    with Worker(server, POOL, tmp_path_factory.mktemp("worker")) as worker:
        yield worker


@pytest.fixture
def repository(
    bake: Callable[..., Project], server: PrefectServer, registry: Registry, tmp_path: Path
) -> Act:
    """A fresh project, committed, with everything set that its workflows need.

    It has a name of its own, and with it an empty package in the registry.
    """
    return Act(
        bake().path,
        tmp_path,
        name=f"Acme/Weather-Flows-{next(_numbers)}",
        variables={
            "PREFECT_API_URL": server.api_url,
            "REGISTRY": registry.address,
            "REGISTRY_USERNAME": "canary-username",
        },
        secrets={"REGISTRY_PASSWORD": "canary-registry-password"},
    )


def make_small(repository: Act) -> None:
    """Leave one environment to be deployed to and one smoke run, and skip the project's tests."""
    repository.skip_tests()
    file = repository.project / "deployments" / "environments.toml"
    head, _, rest = file.read_text().partition("[staging]")
    file.write_text(head + rest[rest.index("[production]") :])
    repository.replace("deployments/catalog.py", "        smoke={},\n", "")
