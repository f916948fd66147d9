"""ci.yml as it is, for a pull request from a fork: no secret, no variable, nothing pushed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.baking import Project
from tests.support.act import Act, WorkflowRun
from tests.support.docker import docker

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture
def fork(docker_engine: None, bake: Callable[..., Project], tmp_path: Path) -> Iterator[Act]:
    """A repository whose workflows get nothing but a token that can read."""
    repository = Act(bake().path, tmp_path, name="Somebody/Weather-Flows")
    repository.skip_tests()
    yield repository
    docker("rmi", "--force", "pull-request")


def open_pull_request(repository: Act) -> WorkflowRun:
    """Run ci.yml as for a pull request that was just opened."""
    payload = {"action": "opened", "number": 7, "pull_request": {"number": 7}}
    return repository.run("pull_request", "ci.yml", payload)


def test_a_pull_request_is_tested_and_its_image_checked_without_any_secret(fork: Act) -> None:
    run = open_pull_request(fork)
    assert run.jobs == {"tests": "success", "image": "success"}, run.output[-6000:]
    assert fork.records_of("uvx") == ["nox -s lint tests"]
    assert "3 deployments and 4 environments are fine." in run.output
    assert fork.records_of("login-action") == []


def test_a_pull_request_with_a_parameter_that_no_flow_has_is_red(fork: Act) -> None:
    catalog = fork.project / "deployments" / "catalog.py"
    text = catalog.read_text()
    assert '"rows": 500' in text
    catalog.write_text(text.replace('"rows": 500', '"rosw": 500'))
    fork.commit("Wrong parameter")
    run = open_pull_request(fork)
    assert run.jobs == {"tests": "success", "image": "failure"}, run.output[-6000:]
    assert "rosw" in run.output
