"""The tools that workflows run with the runner's own Python use only the standard library."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.baking import ROOT, TEMPLATE_FOLDER, Project, bake_into

# A Python with only the standard library and the current folder on its path.
BARE = (sys.executable, "-S", "-E", "-s")
WORKFLOWS = (ROOT / TEMPLATE_FOLDER / ".github").glob("*/**/*.yml")
TOOLS = sorted({m for each in WORKFLOWS for m in re.findall(r"python3 -m (\S+)", each.read_text())})
IMAGE = ("tools.image", "--name-only")
PLANTED = "\nimport pydantic\n"


@pytest.fixture(scope="module")
def project(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project in a git repository."""
    project = bake_into(tmp_path_factory.mktemp("bare"), template)
    project.run("git", "init", "--quiet")
    return project


def test_these_are_what_the_workflows_run() -> None:
    assert TOOLS == [
        "tools.github",
        "tools.install",
        "tools.pipeline",
        "tools.preflight",
        "tools.renew",
        "tools.report",
        "tools.run",
        "tools.update",
        "tools.vulnerabilities",
        "tools.workflow_settings",
    ]


@pytest.mark.parametrize(
    "tool", [*TOOLS, "tools.environments", "tools.image", "tools.setup_github"]
)
def test_a_tool_starts_without_a_package(project: Project, tool: str) -> None:
    assert f"usage: python -m {tool}" in project.run(*BARE, "-m", tool, "--help").stdout


def test_the_environments_are_listed_in_the_order_of_promotion(project: Project) -> None:
    listed = project.run(*BARE, "-m", "tools.environments", "--json")

    assert json.loads(listed.stdout) == [
        "local",
        "local-docker",
        "preview",
        "staging",
        "production",
    ]
    assert project.run(*BARE, "-m", "tools.environments").stdout.split() == json.loads(
        listed.stdout
    )


def test_the_image_is_named(project: Project) -> None:
    name = project.run(*BARE, "-m", *IMAGE).stdout.strip()

    assert re.fullmatch("my-prefect-flows:src-[0-9a-f]{40}", name)


@pytest.mark.parametrize(
    ("content", "tool", "fragment"),
    [
        ("[production", ("tools.environments", "--json"), "environments.toml is not valid TOML"),
        (None, ("tools.environments", "--json"), "environments.toml cannot be read: "),
        ("[production", IMAGE, "environments.toml is not valid TOML"),
        ("project = 1", IMAGE, "environments.toml: project is 1, but it has to be text"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence(
    bake: Callable[..., Project], content: str | None, tool: tuple[str, ...], fragment: str
) -> None:
    project = bake()
    project.run("git", "init", "--quiet")
    file = project.path / "deployments/environments.toml"
    file.unlink()
    if content is not None:
        file.write_text(content)

    done = project.run(*BARE, "-m", *tool, exit_code=1)

    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1
    assert fragment in done.stderr


@pytest.mark.parametrize(
    "module", ["deployer/__init__.py", "deployer/project.py", "tools/build.py"]
)
def test_a_package_that_is_imported_would_be_noticed(
    bake: Callable[..., Project], module: str
) -> None:
    project = bake()
    project.run("git", "init", "--quiet")
    with (project.path / module).open("a") as file:
        file.write(PLANTED)

    assert "No module named 'pydantic'" in project.run(*BARE, "-m", *IMAGE, exit_code=1).stderr
