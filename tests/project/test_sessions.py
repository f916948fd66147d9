"""The nox sessions of a generated project, and the commands that the READMEs name."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from nox.command import CommandFailed

from tests.baking import ROOT, TEMPLATE_FOLDER, Project, path_with_tools, run
from tests.support.docker import docker, need_docker

Nox = Callable[..., subprocess.CompletedProcess[str]]
CONTENT = "Dockerfile .dockerignore requirements-uv.txt requirements.txt flows deployments deployer"


def sessions(folder: Path) -> set[str]:
    listing = run(sys.executable, "-m", "nox", "--list", folder=folder).stdout
    return set(re.findall(r"^[*-] (\S+) -> \S", listing, re.MULTILINE))


def test_dev_installs_what_the_commit_hook_runs_and_is_done_where_that_cannot_be_had() -> None:
    calls = list[str]()

    def run(*words: str, log: bool) -> None:
        calls.append(" ".join(words[1:]))
        if "install-hooks" in words:
            raise CommandFailed

    noxfile = runpy.run_path(str(ROOT / TEMPLATE_FOLDER / "noxfile.py"))
    # A real run takes half a minute, most of it to install hooks.
    noxfile["dev"](SimpleNamespace(env={}, run=run, warn=calls.append))

    *_, hook, hooks, warning = calls
    assert hook == "-m pre_commit install"
    assert hooks.startswith("-m deployer.alive commit hook ")
    assert "the first commit installs the rest" in warning


def test_a_new_project_passes_its_own_lint(nox: Nox, committed: Project) -> None:
    nox("lint")

    assert committed.run("git", "status", "--short").stdout == ""


def test_a_new_project_passes_its_own_tests(nox: Nox) -> None:
    assert re.search(r"=+ \d+ passed", nox("tests").stdout)


def test_options_reach_the_program(nox: Nox) -> None:
    assert "usage: pytest" in nox("tests", "--help").stdout


def test_check_needs_no_server(nox: Nox) -> None:
    answer = nox("check", PREFECT_API_URL="http://127.0.0.1:9/api").stdout

    assert "3 deployments and 5 environments are fine" in answer


def test_plan_without_a_server_is_a_sentence(nox: Nox) -> None:
    answer = nox("plan", exit_code=1, PREFECT_API_URL="http://127.0.0.1:9/api")

    assert "http://127.0.0.1:9/api" in answer.stdout + answer.stderr
    assert "Traceback" not in answer.stdout + answer.stderr


def test_lint_says_what_to_do_where_git_knows_no_file(
    bake: Callable[..., Project],
) -> None:
    project = bake()

    answer = project.run(sys.executable, "-m", "nox", "--session", "lint", exit_code=1)

    assert "`git init`" in answer.stderr


def test_the_image_is_named_by_its_content_committed_or_not(
    bake: Callable[..., Project],
) -> None:
    project = bake()
    command = [sys.executable, "-m", "tools.image", "--name-only"]

    answer = project.run(*command, exit_code=1)
    assert "`git init`" in answer.stderr

    project.run("git", "init", "--quiet")
    before = project.run(*command).stdout.strip()
    project.run("git", "add", "--all")
    assert project.run(*command).stdout.strip() == before

    # The tag that the pipeline computes on a clean checkout.
    pipeline = f"git ls-files -s -- {CONTENT} | git hash-object --stdin"
    tag = project.run("bash", "-c", pipeline).stdout.strip()
    assert before == f"my-prefect-flows:src-{tag[:40]}"

    (project.path / "README.md").write_text("Another text\n")
    assert project.run(*command).stdout.strip() == before
    (project.path / "flows" / "new_flow.py").write_text("")
    assert project.run(*command).stdout.strip() != before
    assert project.run("git", "diff", "--cached", "--name-only").stdout.count("new_flow") == 0


def test_the_image_is_built_once(nox: Nox) -> None:
    need_docker()
    name = nox("image").stdout.strip().splitlines()[-1]

    again = nox("image")

    assert docker("images", "--quiet", name)
    assert "already exists" in again.stdout + again.stderr


@pytest.mark.parametrize("folder", [ROOT, ROOT / TEMPLATE_FOLDER], ids=["template", "project"])
def test_every_session_has_a_description_and_the_readme_names_only_what_exists(
    folder: Path,
) -> None:
    readme = (folder / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:nox |`)-s (\w+)", readme))

    assert named, "the README does not name any session"
    if folder == ROOT:
        named -= {"up", "update"}  # sessions of a project
    assert named <= sessions(folder)
    listing = run(sys.executable, "-m", "nox", "--list", folder=folder).stdout
    assert re.findall(r"^[*-] \w+$", listing, re.MULTILINE) == []


def test_the_session_that_sets_github_up_passes_over_the_laptops_own_server(
    nox: Nox, tmp_path: Path
) -> None:
    owner = {"owner": {"login": "jo"}, "isInOrganization": False, "viewerCanAdminister": True}
    view = {"nameWithOwner": "jo/flows", "visibility": "PUBLIC", "url": "https://github.com/x"}
    (tmp_path / "hub.json").write_text(json.dumps({"login": "jo", "view": {**view, **owner}}))
    path = os.pathsep.join([str(ROOT / "tests/support/hub"), path_with_tools()])
    settings = {"HUB": str(tmp_path), "HOME": str(tmp_path), "PATH": path}

    output = nox("github", "--dry-run", exit_code=1, **settings).stdout

    assert "gh api --method PUT repos/jo/flows/environments/production --input -" in output
    assert "# variable PREFECT_API_URL of production: set it here" in output


def test_the_tasks_of_an_editor_run_sessions_that_exist() -> None:
    tasks = json.loads((ROOT / TEMPLATE_FOLDER / ".vscode" / "tasks.json").read_text())["tasks"]

    commands = [task["command"] for task in tasks]
    named = {command.removeprefix("uvx nox -s ") for command in commands} - {"uvx nox"}
    assert len(named) == len(commands) - 1
    assert named <= sessions(ROOT / TEMPLATE_FOLDER)


def test_every_session_of_a_project_is_in_its_readme() -> None:
    readme = (ROOT / TEMPLATE_FOLDER / "README.md").read_text(encoding="utf-8")

    # `uvx nox` without a session runs these two.
    unnamed = sessions(ROOT / TEMPLATE_FOLDER) - {"lint", "tests"}
    assert {name for name in unnamed if f"-s {name}" not in readme} == set()
