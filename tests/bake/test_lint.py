"""Ruff, hadolint and shellcheck find no mistakes, but do find those that a test adds.

tests/e2e/test_static.py checks the workflows.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.baking import ROOT, TEMPLATE_FOLDER, Project, run

SHELL = re.compile(rb"#!.*\b(ba|da|k)?sh\b")


def plant(project: Project, path: str, old: str, new: str) -> None:
    """Add a mistake to a file."""
    text = project.read(path)
    assert old in text, f"{path} has no {old!r}"
    (project.path / path).write_text(text.replace(old, new, 1), encoding="utf-8")


def test_ruff_finds_nothing_in_a_project(default_project: Project) -> None:
    default_project.run("ruff", "check", "--no-cache", ".")
    default_project.run("ruff", "format", "--no-cache", "--check", ".")


@pytest.mark.parametrize("folder", [".", TEMPLATE_FOLDER])
def test_ruff_finds_nothing_in_the_template_as_it_lies_there(folder: str) -> None:
    run("ruff", "check", "--no-cache", ".", folder=ROOT / folder)
    run("ruff", "format", "--no-cache", "--check", ".", folder=ROOT / folder)


@pytest.mark.parametrize(
    ("mistake", "rule"),
    [
        ("import os\n", "F401"),
        ("x = eval('1')\n", "S307"),
        ("def f(a):\n    return a\n", "ANN001"),
        ("print(1)\n", "T201"),
    ],
)
def test_ruff_sees_a_mistake_in_a_flow(
    bake: Callable[..., Project], mistake: str, rule: str
) -> None:
    project = bake()
    (project.path / "flows/mistake.py").write_text(f'"""A flow."""\n\n{mistake}')
    found = project.run("ruff", "check", "--no-cache", ".", exit_code=1).stdout
    assert rule in found


def test_ruff_sees_a_line_that_is_not_formatted(bake: Callable[..., Project]) -> None:
    project = bake()
    plant(project, "flows/basic_flow.py", " = ", "  =  ")
    project.run("ruff", "format", "--no-cache", "--check", ".", exit_code=1)


def test_hadolint_finds_nothing_in_the_dockerfile(default_project: Project) -> None:
    default_project.run("hadolint", "Dockerfile")


@pytest.mark.parametrize(
    ("instruction", "rule"),
    [
        ("RUN apt-get update && apt-get install git", "DL3008"),
        ("RUN cd /tmp && ls | wc -l", "DL4006"),
        ("ADD requirements.txt /app/", "DL3020"),
        ("USER root", "DL3002"),
    ],
)
def test_hadolint_sees_a_mistake_in_the_dockerfile(
    bake: Callable[..., Project], instruction: str, rule: str
) -> None:
    project = bake()
    plant(project, "Dockerfile", "\nENTRYPOINT", f"\n{instruction}\nENTRYPOINT")
    assert rule in project.run("hadolint", "Dockerfile", exit_code=1).stdout


def shell_scripts(project: Project) -> list[str]:
    return [
        path
        for path in project.files()
        if path.endswith(".sh") or SHELL.match((project.path / path).read_bytes()[:80])
    ]


def test_shellcheck_finds_nothing_in_the_shell_scripts(template: Path) -> None:
    scripts = shell_scripts(Project(template))
    assert scripts
    Project(template).run("shellcheck", *scripts)


def test_shellcheck_sees_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "mistake.sh").write_text("#!/bin/bash\nrm -rf $1/x\n")
    assert shell_scripts(Project(tmp_path)) == ["mistake.sh"]
    assert "SC2086" in run("shellcheck", "mistake.sh", folder=tmp_path, exit_code=1).stdout
