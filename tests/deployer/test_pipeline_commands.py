"""Commands that the workflows use: drift, left-over previews, names and comments."""

from __future__ import annotations

import io
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from deployer.errors import DeployerError

from tests.deployer.conftest import DeployerProject
from tests.support.server import PrefectServer

FLOW = """\
from prefect import flow

@flow
def greet(name: str = "you") -> None:
    \"\"\"Greet.\"\"\"
"""
CATALOG = """\
from deployer.catalog import Deployment
from flows.greeting import greet
from prefect.schedules import Cron

CATALOG = [Deployment(greet, "daily", schedules=[Cron("0 3 * * *")]), Deployment(greet, "manual")]
"""
ENVIRONMENTS = """\
project = "pipeline"
[production]
work_pool = "pipeline"
work_pool_type = "process"
[preview]
work_pool = "pipeline"
name_suffix = "-{label}"
"""


@pytest.fixture
def project(project: DeployerProject) -> DeployerProject:
    project.write("flows/greeting.py", FLOW)
    project.write("deployments/catalog.py", CATALOG)
    project.write("deployments/environments.toml", ENVIRONMENTS)
    return project


def ok(project: DeployerProject, *args: str) -> str:
    done = project.deployer(*args)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def names(server: PrefectServer) -> list[str]:
    where = {"deployments": {"tags": {"all_": ["project:pipeline"]}}}
    return sorted(row["name"] for row in server.request("POST", "/deployments/filter", where))


def test_drift_and_left_over_previews(project: DeployerProject, server: PrefectServer) -> None:
    ok(project, "setup", "production")
    plan = ("plan", "production", "--released", "--detailed-exitcode")
    for form in ("text", "markdown"):
        assert "Nothing was released in production yet" in ok(project, *plan, "--format", form)
    assert json.loads(ok(project, *plan, "--format", "json"))["changes"] == []

    deployed = ok(project, "deploy", "production", "--no-verify", "--format", "markdown")
    assert re.search(r"\[greet/daily\]\(http\S+/deployments/deployment/[0-9a-f-]{36}\)", deployed)
    # Drift is compared with the release, not with the current catalog.
    project.write("deployments/catalog.py", "no python")
    assert project.deployer(*plan).returncode == 0

    ours = {"name": {"any_": ["manual"]}, "tags": {"all_": ["project:pipeline"]}}
    (row,) = server.request("POST", "/deployments/filter", {"deployments": ours})
    path = f"/deployments/{row['id']}"
    server.request("PATCH", path, {"paused": True})
    assert project.deployer(*plan).returncode == 0  # an operator's switch is no drift
    server.request("PATCH", path, {"parameters": {"name": "me"}})
    drifted = project.deployer(*plan)
    assert drifted.returncode == 2, drifted.stderr
    assert 'parameters.name: "me" → null' in drifted.stdout
    accepting = project.deployer(*plan, "--format", "markdown").stdout
    assert 'Deployment(greet, name="manual", parameters={"name": "me"}),' in accepting

    project.write("deployments/catalog.py", CATALOG)
    for label in ("pr-1", "pr-2", "pr-30"):
        ok(project, "deploy", "preview", "--label", label, "--no-verify")
    gone = ok(project, "destroy", "preview", "--all-but", "pr-2", "pr-3")
    assert "deleted greet/daily-pr-1\n" in gone
    assert names(server) == ["daily", "daily-pr-2", "manual", "manual-pr-2"]
    assert "Nothing is left over" in ok(project, "destroy", "preview", "--all-but", "pr-2")
    ok(project, "destroy", "preview", "--all-but")
    assert names(server) == ["daily", "manual"]


class GitHub:
    """A stand-in for `gh`: answers by the last part of the path, and records writes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **answers: Any) -> None:
        from tools import github

        self.answers, self.written = answers, list[tuple[Any, ...]]()
        monkeypatch.setenv("GITHUB_REPOSITORY", "Acme/Flows")
        monkeypatch.setattr(github, "api", self.api)

    def api(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Return the answer, or record a write."""
        if method != "GET":
            return self.written.append((method, path, body))
        answer = self.answers[path.partition("?")[0].rpartition("/")[2]]
        if isinstance(answer, Exception):
            raise answer
        return answer


def row(body: str, login: str = "github-actions[bot]", **more: Any) -> dict[str, Any]:
    return {"id": 1, "number": 5, "body": body, "user": {"login": login}, **more}


def test_a_comment_is_found_by_its_marker_and_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    from tools import github

    mine = github.marked("preview", "old")
    strange = row(mine, "somebody", id=2)
    hub = GitHub(monkeypatch, comments=[row("hello"), strange, row(mine, id=3), row(None or "")])
    github.comment(7, "x" * 70_000)
    ((method, path, body),) = hub.written
    assert (method, path) == ("PATCH", "repos/Acme/Flows/issues/comments/3")
    assert len(body["body"]) == 65_536
    assert body["body"].startswith("<!-- deployer: preview -->\nxxx")
    assert body["body"].endswith("the summary of the run has more.\n")

    hub = GitHub(monkeypatch, comments=[strange])
    github.comment(7, "text")
    assert [each[:2] for each in hub.written] == [("POST", "repos/Acme/Flows/issues/7/comments")]


def test_one_issue_is_opened_edited_and_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    from tools import github

    hub = GitHub(monkeypatch, issues=[])
    github.issue("Drift", "a", gone=False)
    github.issue("Drift", "", gone=True)
    body = github.marked("drift", "a")
    assert hub.written == [("POST", "repos/Acme/Flows/issues", {"title": "Drift", "body": body})]

    # A person's edit in the browser changes the ends of the lines.
    hub = GitHub(monkeypatch, issues=[row("another"), row(body.replace("\n", "\r\n"))])
    github.issue("Drift", "a", gone=False)
    assert hub.written[0][:2] == ("PATCH", "repos/Acme/Flows/issues/5")

    hub = GitHub(monkeypatch, issues=[row("another"), row(body)])
    github.issue("Drift", "a", gone=False)
    assert hub.written == []
    github.issue("Drift", "b", gone=False)
    github.issue("Drift", "", gone=True)
    assert [each[:2] for each in hub.written] == [
        ("PATCH", "repos/Acme/Flows/issues/5"),
        ("POST", "repos/Acme/Flows/issues/5/comments"),
        ("PATCH", "repos/Acme/Flows/issues/5"),
    ]
    assert hub.written[-1][2] == {"state": "closed"}


@pytest.mark.parametrize(("kind", "owner"), [("User", "users"), ("Organization", "orgs")])
def test_only_images_of_closed_pull_requests_are_deleted(
    monkeypatch: pytest.MonkeyPatch, kind: str, owner: str
) -> None:
    from tools import github

    tags = [["pr-1-src-a"], ["pr-1-src-b", "pr-2-src-b"], ["pr-10-src-c"], [], ["pr-4-src-d"]]
    versions = [
        {"id": number, "name": "sha256:0", "metadata": {"container": {"tags": each}}}
        for number, each in enumerate(tags)
    ]
    path = f"{owner}/Acme/packages/container/flows%2Fpreview"

    def deleted(label: str | None, found: Any) -> list[str]:
        answers = {"Acme": {"type": kind}, "versions": found, "pulls": pulls}
        hub = GitHub(monkeypatch, **answers)
        github.delete_images(label or "")
        return [each[1] for each in hub.written]

    pulls = [{"number": 2}, {"number": 1}]
    assert deleted("pr-1", versions) == [f"{path}/versions/0"]
    assert deleted(None, versions) == [f"{path}/versions/{number}" for number in (2, 3, 4)]
    assert deleted(None, versions[2:3]) == [path]
    missing = DeployerError("`gh api` failed: Not Found (HTTP 404)")
    assert deleted(None, missing) == []


def test_gh_that_refuses_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tools import github

    gh = tmp_path / "gh"
    gh.write_text("#!/bin/sh\necho 'gh: Bad credentials (HTTP 401)' >&2\nexit 1\n")
    gh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("GITHUB_REPOSITORY", "Acme/Flows")
    monkeypatch.setattr("sys.stdin", io.StringIO("text"))
    assert github.main(["comment", "7"]) == 1
    assert "Bad credentials" in capsys.readouterr().err
    for page, rows in (("1", [{"number": 3}] * github.PAGE), ("2", [{"number": 9}])):
        (tmp_path / f"page={page}").write_text(json.dumps(rows))
    # As the gh of Debian and Ubuntu, it knows no `--slurp`.
    gh.write_text(f"#!/bin/sh\n[ $# = 4 ] && cat {tmp_path}/${{4##*&}}\n")
    assert github.main(["previews"]) == 0
    assert capsys.readouterr().out.split() == ["pr-3"] * github.PAGE + ["pr-9"]


@pytest.mark.parametrize(
    ("answer", "status", "expected"),
    [
        ("echo sha256:1", 0, "sha256:1"),
        ("echo 'ERROR: r/n:t: not found' >&2; exit 1", 0, ""),
        ("echo 'ERROR: 403 Forbidden' >&2; exit 1", 0, ""),
        ("echo 'ERROR: dial tcp: connect: connection refused' >&2; exit 1", 1, ""),
        ("echo 'ERROR: unexpected status: 503 Service Unavailable' >&2; exit 1", 1, ""),
    ],
)
def test_a_registry_that_is_down_is_not_one_without_the_image(
    project: DeployerProject, tmp_path: Path, answer: str, status: int, expected: str
) -> None:
    docker = tmp_path / "docker"
    docker.write_text(f"#!/bin/sh\n{answer}\n")
    docker.chmod(0o755)
    project.project.run("git", "init", "--quiet")
    path = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    command = ["python", "-m", "tools.image", "--repository=r/n", "--digest"]
    done = project.project.run(*command, exit_code=status, env=path)
    assert done.stdout.strip() == expected
    if status:
        assert "Nothing was built" in done.stderr


def test_the_registry_is_asked_for_the_very_name_that_is_given(
    project: DeployerProject, tmp_path: Path
) -> None:
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\necho "$4"\n')
    docker.chmod(0o755)
    path = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = project.project.run("python", "-m", "tools.image", "--digest", "r/other:t", env=path)
    assert done.stdout == "r/other:t\n"


def test_label_and_platform_are_part_of_the_images_name(project: DeployerProject) -> None:
    project.project.run("git", "init", "--quiet")
    command = ["python", "-m", "tools.image", "--repository=r/n", "--name-only"]
    plain = project.project.run(*command).stdout.strip()
    same = project.project.run(*command, "--platform=", "--label=").stdout.strip()
    other = project.project.run(*command, "--platform=linux/arm64", "--label=pr-7").stdout.strip()
    assert re.fullmatch("r/n:src-[0-9a-f]{40}", plain)
    assert same == plain
    assert other == plain.replace(":", ":pr-7-") + "-linux-arm64"
