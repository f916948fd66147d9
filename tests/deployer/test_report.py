"""The issue about a workflow that fails on main."""

from __future__ import annotations

from typing import Any

import pytest
from tools import github, report

HOME = "repos/Acme/Flows/actions"
OUT_OF_TIME = "The job has exceeded the maximum execution time of 1h0m0s"


def run(number: int, conclusion: str | None, title: str = "") -> dict[str, Any]:
    event = "workflow_dispatch" if title else "push"
    row = {"id": number, "run_number": number, "workflow_id": 9, "html_url": f"run-{number}"}
    return {**row, "conclusion": conclusion, "event": event, "display_title": title or "Edit"}


class GitHub:
    """Runs of one workflow on main, and the issues that are written about them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *runs: dict[str, Any]) -> None:
        self.answers: dict[str, Any] = {f"{HOME}/runs/{each['id']}": each for each in runs}
        self.answers |= {f"{HOME}/runs/{each['id']}/jobs": {"jobs": []} for each in runs}
        self.answers[f"{HOME}/workflows/9/runs"] = {"workflow_runs": [*runs]}
        self.issues = list[tuple[Any, ...]]()
        monkeypatch.setenv("GITHUB_REPOSITORY", "Acme/Flows")
        monkeypatch.setattr(github, "api", self.api)
        monkeypatch.setattr(github, "issue", self.issue)

    def api(self, method: str, path: str) -> Any:
        """Answer a GET."""
        assert method == "GET"
        return self.answers[path.partition("?")[0]]

    def issue(self, title: str, text: str, gone: bool, marker: str, solved: str) -> str:
        """Record what is said."""
        self.issues.append((title, marker, solved if gone else text))
        return "said"


@pytest.mark.parametrize("conclusion", ["failure", "timed_out", "startup_failure", "success"])
@pytest.mark.parametrize("workflow", ["Deploy", "Drift"])
def test_each_workflow_that_fails_on_main_has_one_issue(
    monkeypatch: pytest.MonkeyPatch, workflow: str, conclusion: str
) -> None:
    hub = GitHub(monkeypatch, run(7, conclusion))
    assert report.report(workflow, 7) == "said"
    good = conclusion == "success"
    text = f"[The last run](run-7) ended with {conclusion}.\n"
    text = "[It works again](run-7)." if good else text
    assert hub.issues == [(f"{workflow} fails on main", f"failed {workflow}", text)]


def test_a_run_that_took_too_long_has_failed_and_one_that_somebody_cancelled_has_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub = GitHub(monkeypatch, run(7, "cancelled"))
    jobs = [{"id": 1, "conclusion": "success"}, {"id": 2, "conclusion": "cancelled"}]
    hub.answers[f"{HOME}/runs/7/jobs"] = {"jobs": jobs}
    annotations = [{"message": None}, {"message": "The operation was canceled."}]
    hub.answers["repos/Acme/Flows/check-runs/2/annotations"] = annotations
    assert report.report("Deploy", 7).endswith("the last run of Deploy ended with cancelled")
    assert hub.issues == []
    annotations.append({"message": OUT_OF_TIME})
    report.report("Deploy", 7)
    assert "ended with timed_out" in str(hub.issues)


@pytest.mark.parametrize(
    "title",
    [
        "Plan all: the image of this commit",
        "Deploy staging: the image of this commit",
        "Deploy production: the image of this commit",
        "Deploy all: ghcr.io/acme/flows@sha256:1",
    ],
)
@pytest.mark.parametrize("conclusion", ["failure", "success"])
def test_a_run_by_hand_that_does_not_deploy_everything_says_nothing_about_main(
    monkeypatch: pytest.MonkeyPatch, title: str, conclusion: str
) -> None:
    hub = GitHub(monkeypatch, run(7, conclusion, title), run(6, "failure"))
    assert "did not deploy everything" in report.report("Deploy", 7)
    # Nor does it hide what an older run says.
    assert report.report("Deploy", 6) == "said"
    assert "run-6" in str(hub.issues)


def test_a_renewal_shows_whether_main_works(monkeypatch: pytest.MonkeyPatch) -> None:
    title = "Deploy all: the image of this commit, built again"
    hub = GitHub(monkeypatch, run(7, "success", title))
    report.report("Deploy", 7)
    assert "It works again" in str(hub.issues)


def test_a_title_of_a_commit_is_no_dry_run(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = GitHub(monkeypatch, run(7, "failure") | {"display_title": "Plan the week"})
    assert report.report("Deploy", 7) == "said"
    assert len(hub.issues) == 1


@pytest.mark.parametrize("mine", ["failure", "success"])
@pytest.mark.parametrize("theirs", ["success", "failure", "cancelled", None])
def test_a_run_that_ends_after_a_newer_one_says_what_that_one_says(
    monkeypatch: pytest.MonkeyPatch, mine: str, theirs: str | None
) -> None:
    hub = GitHub(monkeypatch, run(8, theirs), run(7, mine), run(6, "success"))
    report.report("Deploy", 7)
    shown, conclusion = (8, theirs) if theirs in ("success", "failure") else (7, mine)
    ((_, _, text),) = hub.issues
    assert f"run-{shown}" in text
    assert ("It works again" in text) == (conclusion == "success")


def test_an_older_success_does_not_close_the_issue_of_a_run_that_took_too_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub = GitHub(monkeypatch, run(8, "cancelled"), run(7, "success"))
    hub.answers[f"{HOME}/runs/8/jobs"] = {"jobs": [{"id": 2, "conclusion": "cancelled"}]}
    hub.answers["repos/Acme/Flows/check-runs/2/annotations"] = [{"message": OUT_OF_TIME}]
    report.report("Deploy", 7)
    assert "[The last run](run-8) ended with timed_out" in str(hub.issues)
