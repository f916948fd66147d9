"""The first commit of a new project passes its pre-commit hooks.

The hooks come from PyPI and need only git.
"""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.baking import Project


@pytest.fixture(autouse=True)
def _no_switches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unset variables of the user or a CI system that change what pre-commit does."""
    for name in ("SKIP", "PRE_COMMIT_ALLOW_NO_CONFIG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def path_without_poetry(tmp_path: Path) -> str:
    """Return a PATH with only git and shells."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for program in ("git", "sh", "bash", "env"):
        if found := shutil.which(program):
            (folder / program).symlink_to(found)
    assert shutil.which("poetry", path=str(folder)) is None
    return str(folder)


@pytest.fixture
def project(bake: Callable[..., Project]) -> Project:
    """A new kubernetes project, which has the most files, with everything staged in git."""
    made = bake(project_name='Größe & "Co"', work_pool_type="kubernetes")
    made.run("git", "init", "--quiet")
    made.run("git", "add", ".")
    return made


def pre_commit(project: Project, path: str, exit_code: int = 0) -> str:
    command = [sys.executable, "-m", "pre_commit", "run", "--all-files"]
    return project.run(*command, exit_code=exit_code, env={"PATH": path}).stdout


def test_the_first_commit_passes_without_a_change_and_without_poetry(
    project: Project, path_without_poetry: str
) -> None:
    output = pre_commit(project, path_without_poetry)
    assert "Failed" not in output
    assert output.count("Passed") >= 10
    assert project.run("git", "diff").stdout == ""
    assert project.run("git", "ls-files", "--others", "--exclude-standard").stdout == ""


def test_a_stale_lock_is_refused_with_what_to_do(
    project: Project, path_without_poetry: str
) -> None:
    pyproject = project.path / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    pyproject.write_text(
        text.replace('"prefect>=3', '"python-slugify>=8",\n  "prefect>=3'), encoding="utf-8"
    )
    project.run("git", "add", ".")
    output = pre_commit(project, path_without_poetry, exit_code=1)
    assert output.count("Run `poetry lock` to fix the lock file.") == 3
    assert output.count("Failed") == 3


@pytest.mark.parametrize(
    "path", ["requirements.txt", "requirements-worker.txt", "requirements-dev.txt"]
)
def test_requirements_edited_by_hand_are_put_right(
    project: Project, path_without_poetry: str, path: str
) -> None:
    right = project.read(path)
    (project.path / path).write_text(right.replace("prefect==", "prefect==9"))
    project.run("git", "add", ".")
    output = pre_commit(project, path_without_poetry, exit_code=1)
    assert output.count("Failed") == 1
    assert project.read(path) == right


def test_code_that_ruff_can_mend_is_mended_and_the_commit_stopped(
    project: Project, path_without_poetry: str
) -> None:
    flow = project.path / "flows/basic_flow.py"
    right = flow.read_text()
    flow.write_text("import os\n" + right.replace('"', "'"))
    project.run("git", "add", ".")
    output = pre_commit(project, path_without_poetry, exit_code=1)
    assert "files were modified by this hook" in output
    assert "import os\n" not in flow.read_text()
