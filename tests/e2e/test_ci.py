"""The unmodified ci.yml for a pull request from a fork: no secrets, no variables, no push.

A merge queue, which people with write access fill, gets only what a private package index asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.baking import Project
from tests.e2e.small import SECRETS
from tests.support.act import Act
from tests.support.docker import docker


@pytest.fixture
def fork(docker_engine: None, bake: Callable[..., Project], tmp_path: Path) -> Iterator[Act]:
    """A repository whose workflows get only a read-only token.

    The variable RUNNER names a self-hosted runner, but no runner has this label.
    """
    repository = Act(
        bake().path,
        tmp_path,
        name="Somebody/Weather-Flows",
        variables={"RUNNER": "private"},
        secrets={"NETRC": SECRETS["NETRC"]},
    )
    repository.private = True  # only private repositories may use self-hosted runners
    repository.skip_tests()
    yield repository
    for name in docker("images", "--format", "{{.Repository}}:{{.Tag}}").splitlines():
        if name.startswith("ghcr.io/somebody/weather-flows/preview:"):
            docker("rmi", "--force", name)


RAN = dict.fromkeys(["tests", "image", "pass"], "success")


@pytest.mark.parametrize("kind", ["User", "Bot"])
def test_a_pull_request_is_tested_and_its_image_checked_without_a_login(
    fork: Act, kind: str
) -> None:
    run = fork.pull_request(fork=kind == "User", kind=kind)
    assert run.jobs == RAN, run.output[-6000:]
    assert fork.records_of("nox") == ["-s lint tests"]
    assert "3 deployments and 5 environments are fine." in run.summaries["image"]
    # To a bot, GitHub gives only the secrets of Dependabot.
    assert fork.records_of("netrc") == ["" if kind == "User" else "given"]
    assert fork.records_of("login-action") == []
    assert fork.records_of("gh") == []


def test_a_pull_request_with_a_parameter_that_no_flow_has_is_red(fork: Act) -> None:
    catalog = fork.project / "deployments" / "catalog.py"
    text = catalog.read_text()
    assert '"rows": 500' in text
    catalog.write_text(text.replace('"rows": 500', '"rosw": 500'))
    fork.commit("Wrong parameter")
    run = fork.pull_request(fork=True)
    assert run.jobs == RAN | {"image": "failure", "pass": "failure"}, run.output[-6000:]
    assert "check: failed" in run.summaries["image"]
    assert "rosw" in run.summaries["image"]


def test_a_merge_queue_is_tested_and_pushes_nothing(fork: Act) -> None:
    run = fork.run("merge_group", "ci.yml", {"merge_group": {"head_ref": "gh-readonly-queue/1"}})
    assert run.jobs == RAN, run.output[-6000:]
    assert fork.records_of("netrc") == ["given"]
    assert fork.records_of("login-action") == []
    assert fork.records_of("gh") == []


def test_a_public_repository_with_a_runner_of_ones_own_is_refused(fork: Act) -> None:
    fork.private = False
    run = fork.pull_request(fork=True)
    assert run.jobs == RAN | {"image": "failure", "pass": "failure"}, run.output[-6000:]
    assert "RUNNER is private, and this repository is public" in run.output
