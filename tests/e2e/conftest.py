"""A server, a registry, a worker and a repository, all real and all on this machine."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.baking import Project
from tests.e2e import small
from tests.e2e.small import Site
from tests.support.act import Act
from tests.support.docker import Registry, Worker, bridge_address, need_docker
from tests.support.server import PrefectServer

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
    """A server that asks for nothing, under one address from here and from containers."""
    home = tmp_path_factory.mktemp("server")
    with PrefectServer(project_python, home, host=bridge_address()) as server:
        yield server


@pytest.fixture(scope="package")
def registry(docker_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that asks for nothing; it takes its images and their containers with it."""
    with Registry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


@pytest.fixture(scope="package")
def private_registry(
    docker_engine: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Registry]:
    """A registry with a password; it takes its images and their containers with it.

    One for all tests, because a push of layers that a registry has takes seconds, not a minute.
    """
    with Registry(tmp_path_factory.mktemp("private-registry"), login=True) as registry:
        yield registry


@pytest.fixture(scope="module")
def worker(server: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """A docker worker for the default pool."""
    with Worker(server, small.POOL, tmp_path_factory.mktemp("worker")) as worker:
        yield worker


@pytest.fixture
def repository(
    bake: Callable[..., Project],
    server: PrefectServer,
    private_registry: Registry,
    tmp_path: Path,
) -> Act:
    """A fresh project, committed, with everything set that its workflows need.

    It has a name of its own, and with it an empty package in the registry.
    """
    project = bake()
    environments = project.path / "deployments" / "environments.toml"
    # On the module's server it is the same project each time.
    text = re.sub('origin = ".*"', 'origin = "weather-flows"', environments.read_text())
    environments.write_text(text)
    return Act(
        project.path,
        tmp_path,
        name=f"Acme/Weather-Flows-{next(_numbers)}",
        variables={"PREFECT_API_URL": server.api_url, **private_registry.variables},
        secrets=private_registry.secrets,
    )


@pytest.fixture(scope="package")
def site(
    template: Path,
    project_python: Path,
    private_registry: Registry,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """A small project in production, behind a gateway; it takes a minute, so there is one."""
    folder = tmp_path_factory.mktemp("site")
    with small.site(project_python, template, private_registry, folder) as site:
        yield site


@pytest.fixture(scope="package")
def preview_worker(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """A worker for the small project's previews, which wait for none of production's."""
    folder = tmp_path_factory.mktemp("preview-worker")
    with Worker(site.server, small.PREVIEW_POOL, folder) as worker:
        site.logs.append(worker.log)
        yield worker


@pytest.fixture
def clone(site: Site, tmp_path: Path) -> Iterator[Act]:
    """The small project's repository, and production as its first push left it.

    After the test no secret may stand in any log or record.
    """
    site.settle()
    made = site.origin.copy(tmp_path)
    site.gateway.writes.clear()
    yield made
    site.assert_no_secret_was_told(made)
