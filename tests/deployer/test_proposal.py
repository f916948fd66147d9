"""The weekly update on GitHub: its pull request and its issue."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tools import github, proposal

from tests.baking import run

Git = Callable[..., str]


@pytest.mark.parametrize(
    ("option", "said"),
    [("--gone", "This project is up to date."), ("--proposed", "A pull request has it.")],
)
def test_the_issue_is_closed_with_the_true_reason(
    option: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = list[Any]()
    found = {"number": 5, "user": {"login": github.AUTHOR}, "body": github.marked("update", "")}

    def api(method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        return [found] if method == "GET" else sent.append(body)

    monkeypatch.setenv("GITHUB_REPOSITORY", "Acme/Flows")
    monkeypatch.setattr(github, "api", api)
    monkeypatch.setattr("sys.stdin", io.StringIO("Updated."))
    assert github.main(["update", option]) == 0
    assert sent == [{"body": said}, {"state": "closed"}]


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    """`git(*words)` runs git in a repository with one commit and a local remote."""
    (tmp_path / "Acme").mkdir()
    work = tmp_path / "work"
    run("git", "init", "--quiet", "--bare", tmp_path / "Acme/Flows", folder=tmp_path)
    run("git", "init", "--quiet", work, folder=tmp_path)
    (work / ".cruft.json").write_text("1")
    monkeypatch.setenv("GITHUB_SERVER_URL", tmp_path.as_uri())
    monkeypatch.setenv("GITHUB_REPOSITORY", "Acme/Flows")
    monkeypatch.setattr("tools.proposal.ROOT", work)
    monkeypatch.setattr("tools.build.ROOT", work)

    def git(*words: str) -> str:
        return run("git", *words, folder=work).stdout.strip()

    git("add", ".")
    git("commit", "--quiet", "--message=First")
    return git


class Hub:
    """A stand-in for GitHub's API for pull requests."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pulls, self.sent = list[dict[str, Any]](), list[Any]()
        monkeypatch.setattr(github, "api", self.api)

    def api(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        if method == "GET":
            return self.pulls
        self.sent.append((method, body))
        if method == "POST":
            number = len(self.pulls) + 3
            self.pulls.append({"number": number, "state": "open", "merged_at": None})
        return self.pulls[-1]

    def close(self, sha: str, merged_at: str | None) -> None:
        """Close the newest pull request, with this last commit."""
        self.pulls[-1] |= {"state": "closed", "merged_at": merged_at, "head": {"sha": sha}}


def proposed(git: Git, version: str) -> tuple[bool, str]:
    """Propose a version of the template, starting from a clean main branch."""
    work = Path(git("rev-parse", "--show-toplevel"))
    (work / ".cruft.json").write_text(version)
    packed = proposal.pack()
    git("reset", "--quiet", "--hard")
    done = proposal.propose(packed, f"Updated to {version}.", os.environ)
    git("reset", "--quiet", "--hard")
    return done


def tip(git: Git) -> str:
    return git("ls-remote", os.environ["GITHUB_SERVER_URL"] + "/Acme/Flows").partition("\t")[0]


def test_a_push_keeps_approvals_and_what_somebody_else_committed(
    git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Hub(monkeypatch)
    assert proposed(git, "2") == (True, "Opened pull request 3.")
    first = tip(git)
    # The commit starts no check; the text of the pull request must not turn off later checks.
    git("fetch", "--quiet", f"{os.environ['GITHUB_SERVER_URL']}/Acme/Flows", first)
    message = git("show", "--no-patch", "--format=%B", first)
    assert message == "Update the template\n\n\nskip-checks: true"
    text = hub.sent[-1][1]["body"]
    assert text.startswith("Updated to 2.\n\nNo check has started")
    assert "skip-checks" not in text
    git("commit", "--quiet", "--allow-empty", "--message=main goes on")
    assert proposed(git, "2") == (True, "Edited pull request 3.")
    assert tip(git) == first
    assert proposed(git, "3")[0]
    assert tip(git) != first

    # Another person's commit stays; the proposal mentions it only if there is a new version.
    there = f"{os.environ['GITHUB_SERVER_URL']}/Acme/Flows"
    git("fetch", "--quiet", there, proposal.BRANCH)
    git("checkout", "--quiet", "-b", "mine", "FETCH_HEAD")
    (Path(git("rev-parse", "--show-toplevel")) / "mine.txt").write_text("mine")
    git("add", ".")
    git("commit", "--quiet", "--message=Mine")
    git("push", "--quiet", there, f"mine:{proposal.BRANCH}")
    git("checkout", "--quiet", "-")
    mine = tip(git)
    assert proposed(git, "3")[0]
    calls = len(hub.sent)
    for merged in (None, "2026-11-28T10:00:00Z"):
        done, said = proposed(git, "4")
        assert not done
        assert "has a commit of another author, so it stays" in said
        assert (tip(git), len(hub.sent)) == (mine, calls)
        hub.close(mine, merged)

    # GitHub keeps the branch after a merge; main contains its commits.
    assert proposed(git, "4") == (True, "Opened pull request 4.")
    assert tip(git) != mine
