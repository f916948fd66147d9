"""Fixtures: a real server, registry, worker and repository on this machine."""

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
def _sigterm_is_interrupt() -> None:
    """Handle SIGTERM, for example from a timeout, like Ctrl-C: stop all started programs."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def docker_engine() -> None:
    """Skip the test (fail with CI set) if there is no Docker engine."""
    need_docker()


@pytest.fixture(scope="session")
def project_python() -> Path:
    """The interpreter of the tests, which also has the locked packages of a project."""
    return Path(sys.executable)


@pytest.fixture(scope="module")
def server(
    docker_engine: None, project_python: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrefectServer]:
    """A server without authentication, with one address for this machine and its containers."""
    home = tmp_path_factory.mktemp("server")
    with PrefectServer(project_python, home, host=bridge_address()) as server:
        yield server


@pytest.fixture(scope="package")
def registry(docker_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry without a password. Its images and their containers are removed at the end."""
    with Registry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


@pytest.fixture(scope="package")
def private_registry(
    docker_engine: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Registry]:
    """A registry with a password. Its images and their containers are removed at the end.

    All tests share it: pushing layers that a registry already has takes seconds, not a minute.
    """
    with Registry(tmp_path_factory.mktemp("private-registry"), login=True) as registry:
        yield registry


@pytest.fixture(scope="module")
def worker(server: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """A docker worker for the default work pool."""
    with Worker(server, small.POOL, tmp_path_factory.mktemp("worker")) as worker:
        yield worker


@pytest.fixture
def repository(
    bake: Callable[..., Project],
    server: PrefectServer,
    private_registry: Registry,
    tmp_path: Path,
) -> Act:
    """A new project with a first commit, and all variables and secrets that its workflows need.

    Its name is unique, so its package in the registry is empty.
    """
    project = bake()
    environments = project.path / "deployments" / "environments.toml"
    # The same origin each time: on the module's server all of these are the same project.
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
    """A small project in production, behind a gateway. It takes a minute, so tests share it."""
    folder = tmp_path_factory.mktemp("site")
    with small.site(project_python, template, private_registry, folder) as site:
        yield site


@pytest.fixture(scope="package")
def preview_worker(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """A worker for the small project's previews, separate from the worker of production."""
    folder = tmp_path_factory.mktemp("preview-worker")
    with Worker(site.server, small.PREVIEW_POOL, folder) as worker:
        site.logs.append(worker.log)
        yield worker


@pytest.fixture
def clone(site: Site, tmp_path: Path) -> Iterator[Act]:
    """A clone of the small project's repository, with production as after the first push.

    After the test it checks that no log or record contains a secret.
    """
    site.reset()
    made = site.origin.copy(tmp_path)
    site.gateway.writes.clear()
    yield made
    site.assert_no_leaked_secret(made)
