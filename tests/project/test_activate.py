"""The hook that sets PREFECT_HOME while a virtual environment is active, in real shells."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.baking import Project

SHELLS = {
    "bash": ("activate", "set -eu\n"),
    "zsh": ("activate", "set -eu\n"),
    "fish": ("activate.fish", ""),
    "tcsh": ("activate.csh", 'set prompt=""\n'),
}
MAKERS = {
    "uv": ["uv", "venv", "--quiet", ".venv"],
    "venv": [sys.executable, "-m", "venv", "--without-pip", ".venv"],
}


@pytest.fixture(params=MAKERS)
def project(bake: Callable[..., Project], request: pytest.FixtureRequest) -> Project:
    """A project with a quote in its folder's name, and the hook installed twice."""
    made = bake()
    moved = Path(shutil.move(made.path, made.path.parent / "it's here"))
    project = Project(moved)
    project.run(*MAKERS[request.param])
    for _ in range(2):
        project.run(sys.executable, ".activate-hooks/.activate-hooks.py", ".venv")
    return project


# bash, and those of the other shells that are installed.
@pytest.mark.parametrize("shell", ["bash", *filter(shutil.which, ["zsh", "fish", "tcsh"])])
@pytest.mark.parametrize("before", [None, "/a home/of mine"])
def test_activating_sets_it_and_deactivating_brings_the_old_one_back(
    project: Project, shell: str, before: str | None
) -> None:
    script, options = SHELLS[shell]
    show = "sh -c 'echo \"${PREFECT_HOME-unset}\"'"
    activate = f"source .venv/bin/{script}"
    commands = f"{options}{activate}\n{show}\n{activate}\n{show}\ndeactivate\n{show}\n"
    env = ["env", "-u", "PREFECT_HOME", *([f"PREFECT_HOME={before}"] if before else [])]

    printed = project.run(*env, shell, "-c", commands).stdout.splitlines()

    home = str(project.path / ".prefect")
    assert printed == [home, home, before or "unset"]


def test_installing_twice_changes_nothing(project: Project) -> None:
    scripts = sorted((project.path / ".venv" / "bin").glob("[aA]ctivate*"))
    before = [script.read_text() for script in scripts]

    project.run(sys.executable, ".activate-hooks/.activate-hooks.py", ".venv")

    assert [script.read_text() for script in scripts] == before
    hooked = {script.name.lower() for script in scripts if "PREFECT_HOME" in script.read_text()}
    assert {"activate", "activate.fish", "activate.csh", "activate.ps1"} <= hooked


@pytest.mark.parametrize("maker", MAKERS)
def test_removing_the_hook_leaves_every_script_as_it_was(
    bake: Callable[..., Project], maker: str
) -> None:
    project = bake()
    project.run(*MAKERS[maker])
    scripts = sorted((project.path / ".venv" / "bin").glob("*activate*"))
    before = [script.read_text() for script in scripts]

    hook = [sys.executable, ".activate-hooks/.activate-hooks.py", ".venv"]
    project.run(*hook)
    assert [script.read_text() for script in scripts] != before
    project.run(*hook, "--remove")

    assert [script.read_text() for script in scripts] == before


def test_without_an_environment_it_says_what_to_do(bake: Callable[..., Project]) -> None:
    answer = bake().run(
        sys.executable, ".activate-hooks/.activate-hooks.py", "nowhere", exit_code=1
    )

    assert "nowhere is no virtual environment: create one with `uv venv`" in answer.stderr
