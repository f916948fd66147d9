"""The unmodified update.yml: if the template has changed, it opens an issue or a pull request."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.support.act import Act, WorkflowRun
from tests.support.history import append, begin, commit


def weekly(repository: Act) -> WorkflowRun:
    run = repository.run("schedule", "update.yml", {})
    assert run.jobs == {"look": "success", "tell": "success"}, run.output[-6000:]
    return run


def test_a_template_that_moved_on_is_an_issue_and_with_a_token_one_pull_request(
    template: Path, tmp_path: Path
) -> None:
    history = begin(template, tmp_path)
    repository = Act(history.make(tmp_path).path, tmp_path / "acting")
    repository.skip_tests()
    shutil.copy(history.programs / "uvx", repository.records)
    append(history.inside / "deployer/__init__.py", "\n# A line of the template.\n")
    commit(history.template, "The template goes on")
    before = repository.git("rev-parse", "main")

    weekly(repository)
    (issue,) = repository.github["issues"]
    assert issue["title"] == "The template has an update"
    assert "Updated from" in issue["body"]
    assert issue["body"].endswith("`uvx nox -s update` does the same on your machine.\n")
    assert repository.github["pulls"] == []

    repository.secrets |= {"UPDATE_TOKEN": "canary-update-token"}
    weekly(repository)
    (pull,) = repository.github["pulls"]
    assert (pull["title"], pull["head"], pull["base"]) == (
        "Update the template",
        "template-update",
        "main",
    )
    names = repository.git("diff", "--name-only", "main", "template-update").splitlines()
    assert names == [".cruft.json", "deployer/__init__.py"]
    (issue,) = repository.github["issues"]
    assert issue["state"] == "closed"
    message = repository.git("log", "-1", "--format=%B", "template-update")
    assert message.rstrip("\n").endswith("\n\n\nskip-checks: true")

    append(history.inside / "deployer/__init__.py", "\n# One more.\n")
    commit(history.template, "And on")
    edited = weekly(repository)
    (now,) = repository.github["pulls"]
    assert now["number"] == pull["number"]
    assert now["body"] != pull["body"]
    assert repository.git("show", "template-update:deployer/__init__.py").endswith("# One more.")
    assert repository.git("rev-parse", "main") == before
    assert "canary-update-token" not in edited.output
