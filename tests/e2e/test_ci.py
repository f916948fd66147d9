"""ci.yml as it is, for a pull request from a fork: no secret, no variable, nothing pushed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.baking import Project
from tests.support.act import Act
from tests.support.docker import docker

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture
def fork(docker_engine: None, bake: Callable[..., Project], tmp_path: Path) -> Iterator[Act]:
    """A repository whose workflows get nothing but a token that can read.

    A runner of one's own is set, but nothing listens to its label.
    """
    repository = Act(
        bake().path, tmp_path, name="Somebody/Weather-Flows", variables={"RUNNER": "private"}
    )
    repository.skip_tests()
    yield repository
    for name in docker("images", "--format", "{{.Repository}}:{{.Tag}}").splitlines():
        if name.startswith("ghcr.io/somebody/weather-flows/preview:"):
            docker("rmi", "--force", name)


@pytest.mark.parametrize("author", ["somebody", "dependabot[bot]"])
def test_a_pull_request_is_tested_and_its_image_checked_without_any_secret(
    fork: Act, author: str
) -> None:
    run = fork.pull_request(fork=author == "somebody", author=author)
    assert run.jobs == {"tests": "success", "image": "success"}, run.output[-6000:]
    assert fork.records_of("uvx") == ["nox -s tests --install-only", "nox -s lint tests"]
    assert "3 deployments and 4 environments are fine." in run.summaries["image"]
    assert fork.records_of("login-action") == []
    assert fork.records_of("gh") == []


def test_a_pull_request_with_a_parameter_that_no_flow_has_is_red(fork: Act) -> None:
    catalog = fork.project / "deployments" / "catalog.py"
    text = catalog.read_text()
    assert '"rows": 500' in text
    catalog.write_text(text.replace('"rows": 500', '"rosw": 500'))
    fork.commit("Wrong parameter")
    run = fork.pull_request(fork=True)
    assert run.jobs == {"tests": "success", "image": "failure"}, run.output[-6000:]
    assert "check: failed" in run.summaries["image"]
    assert "rosw" in run.summaries["image"]
