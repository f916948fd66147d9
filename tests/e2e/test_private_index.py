"""The workflows of a project with a package from an index with a password.

The secret NETRC has the password, which must not appear in any log.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.small import SECRETS, Site, explain
from tests.support.act import Act
from tests.support.index import PrivateIndex, make_wheel, requirement

pytestmark = pytest.mark.usefixtures("preview_worker")

HOST = "127.0.0.1"
NETRC = SECRETS["NETRC"].replace("packages.invalid", HOST)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[PrivateIndex]:
    """An index with one package."""
    wheel = make_wheel(tmp_path, "acme_weather")
    _, _, _, login, _, password = NETRC.split()
    with PrivateIndex(HOST, wheel, login, password) as index:
        yield index


def ask_for(index: PrivateIndex, repository: Act, path: str, *, alone: bool = False) -> None:
    """Add the index's package to a requirements file, or make it the only one with `alone`."""
    file = repository.project / path
    others = "" if alone else file.read_text()
    file.write_text(f"--extra-index-url {index.url}\n\n{requirement(index.wheel)}{others}")
    repository.commit(f"Ask for another package in {path}")


def test_a_job_that_reaches_the_server_installs_with_the_secret_and_says_where_it_is_missing(
    clone: Act, site: Site, index: PrivateIndex
) -> None:
    clone.skip_tests(install=True)
    ask_for(index, clone, "requirements.txt")
    clone.secrets["NETRC"] = ""
    without = clone.run("schedule", "drift.yml", {})
    assert without.jobs == {"drift": "failure"}, explain(without)
    assert "lack of valid authentication credentials" in without.output
    assert not index.served

    clone.secrets["NETRC"] = NETRC
    run = clone.run("schedule", "drift.yml", {})
    assert run.jobs == {"drift": "success"}, explain(run)
    assert index.served
    assert "0 to change" in run.summaries["drift"]


def test_the_tests_install_with_the_secret_but_not_for_a_fork(
    clone: Act, site: Site, index: PrivateIndex
) -> None:
    clone.skip_tests(install=True)
    ask_for(index, clone, "requirements-dev.txt", alone=True)
    clone.secrets["NETRC"] = NETRC
    # As with the GitHub setting that sends secrets to workflows of forks.
    fork = clone.pull_request(number=12, fork=True)
    assert fork.jobs == {"tests": "failure", "image": "success", "pass": "failure"}, explain(fork)
    assert "lack of valid authentication credentials" in fork.output
    assert not index.served

    own = clone.pull_request(number=12)
    expected = dict.fromkeys(["tests", "image", "preview", "pass"], "success")
    assert own.jobs == expected, explain(own)
    assert index.served
    assert clone.pull_request("closed", 12).jobs == {"cleanup": "success"}

    served = index.served
    run = clone.push()
    assert run.jobs == dict.fromkeys(["tests", "image", "production"], "success"), explain(run)
    assert clone.records_of("nox")[-1] == "-s lint tests"
    assert index.served >= served
