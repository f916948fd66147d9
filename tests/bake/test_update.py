"""`uvx nox -s update` brings changes of the template and keeps the files that belong to the user.

The template's history has two commits: its current files, and a change of them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.bake.answering import DEFAULTS, assert_says
from tests.baking import Project, run
from tests.support.history import History, append, begin, commit, replace

FILE = "deployments/environments.toml"
QUIET = {"CI": "1", "PYTHONDONTWRITEBYTECODE": "1"}  # no progress messages, no .pyc files


@pytest.fixture(scope="module")
def history(template: Path, tmp_path_factory: pytest.TempPathFactory) -> History:
    """The template after its second commit, with a project of the first commit beside it."""
    folder = tmp_path_factory.mktemp("history")
    history = begin(template, folder)
    made = history.make(folder)
    made.run("git", "init", "--quiet")
    commit(made.path, "First commit")

    # The second commit changes files of the template and files that belong to the user.
    inside = history.inside
    append(inside / "deployer/__init__.py", "\n# A line of the template.\n")
    (inside / "deployer/new.py").write_text("# A file of the template.\n")
    replace(inside / ".editorconfig", "root = true", "root = true # the template's")
    replace(inside / "pyproject.toml", '  "pytest>=9.0,<10",\n', "")
    append(inside / "flows/basic_flow.py", "\n# A change that is not wanted.\n")
    append(inside / "flows/advanced_flow.py", "\n# Nor this one.\n")
    append(inside / FILE, "\n# Nor another origin.\n")
    append(inside / "poetry.lock", "\n# Nor a lock that fits other dependencies.\n")
    commit(history.template, "The template goes on")
    return history


@pytest.fixture
def project(history: History, tmp_path: Path) -> Project:
    """A project of the first commit, with a user's changes."""
    made = history.programs.parent / "my-prefect-flows"
    project = Project(Path(shutil.copytree(made, tmp_path / made.name)))
    append(project.path / "flows/basic_flow.py", "\n# A person's line.\n")
    (project.path / "flows/mine.py").write_text("# A person's flow.\n")
    (project.path / "flows/advanced_flow.py").unlink()
    commit(project.path, "Work")
    return project


def update(
    history: History, project: Project, *options: str, exit_code: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run the command of the nox session."""
    path = os.pathsep.join([str(history.programs), os.environ["PATH"]])
    command = [sys.executable, "-m", "tools.update", *options]
    return subprocess_run(project, command, {**QUIET, "PATH": path}, exit_code)


def subprocess_run(
    project: Project, command: list[str], env: dict[str, str], exit_code: int
) -> subprocess.CompletedProcess[str]:
    """Run a command with exactly the given PATH; `Project.run` would add the tests' programs."""
    done = subprocess.run(
        command, cwd=project.path, env={**os.environ, **env}, capture_output=True, text=True
    )
    assert done.returncode == exit_code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def changed(project: Project) -> list[str]:
    """Return the files with uncommitted changes."""
    listing = project.run("git", "status", "--porcelain", "--untracked-files=all").stdout
    return [line.split()[-1] for line in listing.splitlines()]


def test_what_is_new_comes_what_is_the_persons_stays_and_the_lock_follows(
    history: History, project: Project
) -> None:
    files, environments = project.files(), project.read(FILE)

    done = update(history, project)

    assert "The dependencies have changed, and are locked again." in done.stdout
    assert history.poetry_calls() == [
        "poetry lock",
        "poetry export --output=requirements.txt",
        "poetry export --with=worker --output=requirements-worker.txt",
        "poetry export --with=worker,dev --output=requirements-dev.txt",
    ]
    machinery = ["deployer/__init__.py", "deployer/new.py", "pyproject.toml"]
    assert changed(project) == [".cruft.json", ".editorconfig", *machinery]
    assert project.read("deployer/__init__.py").endswith("# A line of the template.\n")
    assert project.read("flows/basic_flow.py").endswith("# A person's line.\n")
    assert project.read(FILE) == environments
    gone = {"flows/advanced_flow.py"}
    assert set(project.files()) == {*files, "deployer/new.py", "flows/mine.py"} - gone
    assert_says(project, DEFAULTS)

    commit(project.path, "Update")
    again = update(history, project)
    assert "is up to date with" in again.stdout
    assert (changed(project), history.poetry_calls()) == ([], [])


def test_where_both_sides_changed_a_line_the_file_is_named_and_the_rest_is_there(
    history: History, project: Project
) -> None:
    replace(project.path / ".editorconfig", "root = true", "root = true # mine")
    commit(project.path, "My own way")

    done = update(history, project, exit_code=1)

    assert "Both sides changed .editorconfig: resolve the conflict by hand." in done.stdout
    assert done.stdout.count("Both sides") == 1
    text = project.read(".editorconfig")
    assert "# mine" in text
    assert "# the template's" in text
    assert "<<<<<<<" in text or project.has_file(".editorconfig.rej")
    assert project.has_file("deployer/new.py")
    assert project.read("flows/basic_flow.py").endswith("# A person's line.\n")
    assert history.poetry_calls() == []


def test_a_lock_that_fails_leaves_a_merge_and_says_so(history: History, project: Project) -> None:
    fails = history.programs / "uvx.fails"
    fails.write_text("Resolving dependencies...\nHTTP 401 of packages.invalid\n")
    outputs = project.path.parent / "outputs"
    try:
        path = os.pathsep.join([str(history.programs), os.environ["PATH"]])
        env = {**QUIET, "PATH": path, "GITHUB_OUTPUT": str(outputs)}
        command = [sys.executable, "-m", "tools.update", "--outputs"]
        done = subprocess_run(project, command, env, 0)
    finally:
        fails.unlink()

    assert "It is merged, but Poetry could not lock the dependencies: `uvx" in done.stdout
    assert "failed: HTTP 401 of packages.invalid\n" in done.stdout
    assert done.stdout.endswith("lock`, review all changes, and commit.\n")
    # No patch to propose as a pull request: the workflow opens an issue.
    state, report, patch = outputs.read_text().splitlines()
    assert (state, patch) == ("state=conflict", "patch=")
    assert "HTTP 401" in report
    assert "deployer/new.py" in changed(project)

    project.run("git", "reset", "--quiet", "--hard")
    project.run("git", "clean", "--quiet", "--force", "-d")
    (project.path / ".pre-commit-config.yaml").write_text("repos: []\n")
    commit(project.path, "No hooks")
    done = update(history, project, exit_code=1)
    assert "could not lock the dependencies: No hook of .pre-commit-config.yaml" in done.stdout
    assert done.stdout.endswith("`uvx poetry lock`, review all changes, and commit.\n")
    assert history.poetry_calls() == []


def test_what_has_to_be_put_right_first_is_a_sentence_and_nothing_is_touched(
    history: History, project: Project
) -> None:
    append(project.path / "flows/basic_flow.py", "\n# Not committed.\n")
    refused = update(history, project, exit_code=1)
    assert "commit or stash them first" in refused.stderr
    assert changed(project) == ["flows/basic_flow.py"]

    project.run("git", "rm", "--quiet", ".cruft.json")
    commit(project.path, "Forget it")
    refused = update(history, project, exit_code=1)
    assert "`uvx cruft@2.16.0 link gh:org/template` writes one." in refused.stderr
    # A project made by cookiecutter, without cruft, has the workflow too; there it does nothing.
    outputs = project.path.parent / "outputs"
    env = {**QUIET, "GITHUB_OUTPUT": str(outputs)}
    subprocess_run(project, [sys.executable, "-m", "tools.update", "--outputs"], env, 0)
    assert outputs.read_text().startswith("state=same\n")


def test_what_cruft_says_where_it_fails_is_shown(history: History, project: Project) -> None:
    failed = update(history, project, "--checkout", "no-such-tag", exit_code=1)

    assert "error: `uvx cruft@2.16.0 update` failed:" in failed.stderr
    assert "no-such-tag" in failed.stderr
    assert changed(project) == []


def test_one_cruft_is_pinned_and_it_is_the_one_that_is_tested(default_project: Project) -> None:
    pages = ["tools/update.py", "docs/updating.md"]
    found = {
        each
        for page in pages
        for each in re.findall(r"cruft@([\d.]+\d)", default_project.read(page))
    }

    assert found == {version("cruft")}


def test_without_cruft_git_merges_the_same(history: History, project: Project) -> None:
    """Run the commands that docs/updating.md gives in case cruft stops working."""
    page = project.read("docs/updating.md").partition("## If cruft stops working")[2]
    (patch,) = re.findall(r"`(git diff --no-index .+)`", page)
    folder = project.path.parent
    first = run("git", "rev-list", "--max-parents=0", "HEAD", folder=history.template).stdout
    for name, commit_ in (("old", first.strip()), ("new", "HEAD")):
        checkout = ["--no-input", f"--checkout={commit_}", f"--output-dir={folder / name}"]
        # With a plain path, cookiecutter would ignore --checkout and use the working tree.
        run("cookiecutter", f"git+{history.template.as_uri()}", *checkout, folder=folder)
    environments = project.read(FILE)

    script = patch.replace("NAME", "my-prefect-flows")
    project.run("bash", "-c", script)

    assert "requirements.txt" not in changed(project)
    assert project.read("deployer/__init__.py").endswith("# A line of the template.\n")
    assert project.has_file("deployer/new.py")
    assert project.read("flows/basic_flow.py").endswith("# A person's line.\n")
    assert project.read(FILE) == environments
