"""Opens an issue when a workflow fails on main: `python3 -m tools.report WORKFLOW RUN`.

It closes the issue when the workflow works again. Standard library only.
"""
# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import argparse
import sys
from typing import Any

from deployer.errors import DeployerError
from tools import github

REPORTED = ("success", "failure", "timed_out", "startup_failure")
TOO_LONG = "exceeded the maximum execution time"
# How deploy.yml names its runs by hand, and those that deploy this commit to every environment.
BY_HAND, WHOLE = ("Plan ", "Deploy "), "Deploy all: the image of this commit"


def took_too_long(path: str, run: int) -> bool:
    """Tell whether a job of a cancelled run reached its `timeout-minutes`.

    For GitHub it is cancelled, as if somebody had cancelled it; only its annotation says more.
    """
    return any(
        TOO_LONG in (annotation["message"] or "")
        for job in github.api("GET", f"{path}/actions/runs/{run}/jobs?per_page=100")["jobs"]
        if job["conclusion"] == "cancelled"
        for annotation in github.rows(f"{path}/check-runs/{job['id']}/annotations")
    )


def ended(path: str, run: dict[str, Any]) -> str:
    """Return how a run ended: GitHub's conclusion, or `timed_out` if it took too long."""
    conclusion = str(run["conclusion"])
    if conclusion == "cancelled" and took_too_long(path, run["id"]):
        return "timed_out"
    return conclusion


def is_partial(run: dict[str, Any]) -> bool:
    """Tell whether a run by hand did not deploy this commit to every environment."""
    title = str(run["display_title"])
    by_hand = run["event"] == "workflow_dispatch" and title.startswith(BY_HAND)
    return by_hand and not title.startswith(WHOLE)


def newer(path: str, run: dict[str, Any]) -> tuple[dict[str, Any], str] | None:
    """Return the newest run of the same workflow on main that shows whether it works, if newer.

    Returns:
        the run, and how it ended.
    """
    listed = f"{path}/actions/workflows/{run['workflow_id']}/runs"
    found = github.api("GET", f"{listed}?branch=main&status=completed&per_page=100")
    for each in found["workflow_runs"]:
        if each["run_number"] > run["run_number"] and not is_partial(each):
            conclusion = ended(path, each)
            if conclusion in REPORTED:
                return each, conclusion
    return None


def report(workflow: str, number: int) -> str:
    """Open the issue about a workflow that fails on main, or close it once it works again.

    Args:
        workflow: its name.
        number: the ID of its run that has ended.

    Returns:
        what was done.

    Raises:
        DeployerError: gh is not installed, or GitHub refuses a request.
    """
    path = f"repos/{github.repository()}"
    run = github.api("GET", f"{path}/actions/runs/{number}")
    conclusion = ended(path, run)
    if conclusion not in REPORTED:
        return f"no change to an issue: the last run of {workflow} ended with {conclusion}"
    if is_partial(run):
        return "no change to an issue: this run did not deploy everything"
    # A run that waits for an approval can end after a newer one. The report of that one may be
    # missing, because GitHub drops a waiting report when a third one comes.
    run, conclusion = newer(path, run) or (run, conclusion)
    url = run["html_url"]
    text = f"[The last run]({url}) ended with {conclusion}.\n"
    solved = f"[It works again]({url})."
    gone = conclusion == "success"
    return github.issue(f"{workflow} fails on main", text, gone, f"failed {workflow}", solved)


def main(argv: list[str] | None = None) -> int:
    """Report one run, and print what was done."""
    parser = argparse.ArgumentParser(prog="python -m tools.report", description=__doc__)
    parser.add_argument("workflow", help="its name")
    parser.add_argument("run", type=int, help="the ID of its run that has ended")
    options = parser.parse_args(argv)
    try:
        print(report(options.workflow, options.run))
    except DeployerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
