"""A new user's first hour: the commands of the READMEs, one after the other, in one project.

Demo, own project, own flow, local deploy, push, change, rollback, update. Each command runs in a
terminal of its own; the report at the end lists its duration and its longest silence.

`nox -s soak` runs everything. Without DEPLOYER_SOAK the slowest steps are left out: the demo
(tests/project/test_up.py runs it), the commit hook (`check` runs the same) and locking a package
(the flow uses one that Prefect depends on anyway).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.baking import ROOT, Project, run
from tests.e2e.small import JOBS, deployments, explain, make_small
from tests.support.act import Act
from tests.support.docker import Registry, Worker
from tests.support.history import append, begin, commit, replace
from tests.support.server import PrefectServer
from tests.support.silence import Recording, record

WHOLE = bool(os.environ.get("DEPLOYER_SOAK"))
MOST_SILENCE = 2.0  # seconds
MODULE, PACKAGE = ("cowsay", "cowsay>=6,<7") if WHOLE else ("slugify", "python-slugify")
FLOW = f"""\
\"\"\"My own flow.\"\"\"

import {MODULE}
from prefect import flow, get_run_logger


@flow
def greet(name: str = "you") -> str:
    \"\"\"Greet somebody.\"\"\"
    text = f"hello {{name}} from {{{MODULE}.__name__}}"
    get_run_logger().info(text)
    return text
"""
TEST = """\
from flows.mine import greet


def test_it_greets_by_name() -> None:
    assert "hello me" in greet("me")
"""
ENTRY = '    Deployment(greet, name="mine", parameters={"name": "one"}, smoke={}),\n]\n'


class Walk:
    """The commands so far: command, seconds, seconds of longest silence, last line before it."""

    def __init__(self, home: Path) -> None:
        home.mkdir()
        uv = run("uv", "cache", "dir", folder=home).stdout.strip()
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
        own = {"HOME": str(home), "UV_CACHE_DIR": uv, "XDG_DATA_HOME": str(home / "data")}
        self.env = {**kept, **own, "PYTHONDONTWRITEBYTECODE": ""}
        self.env.pop("VIRTUAL_ENV", None)
        self.steps: list[tuple[str, float, float, str]] = []

    def type(self, command: str, folder: Path, *, exit_code: int = 0) -> Recording:
        """Run a command as if a person typed it in a terminal."""
        recording = record(["bash", "-c", command], folder, self.env, terminal=True)
        assert recording.exit_code == exit_code, f"{command}\n{recording.output}"
        self.steps.append((command, recording.seconds, *recording.longest))
        return recording

    def report(self) -> str:
        """Return the commands, one per line."""
        lines = [
            f"{took:6.1f} s, silent for {silent:4.1f} s  {command}  (after: {before[:60]!r})"
            for command, took, silent, before in self.steps
        ]
        return "\n".join(["", *lines])


@pytest.fixture
def walk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Walk]:
    """The walk. It prints its report even if a command fails."""
    made = Walk(tmp_path / "home")
    yield made
    with capsys.disabled():
        print(made.report())  # noqa: T201 - the report for a person


def readme(folder: Path, command: str) -> str:
    """Return a command, after checking that a folder's README contains it."""
    assert command in (folder / "README.md").read_text(encoding="utf-8"), command
    return command


@contextmanager
def step(name: str) -> Iterator[None]:
    """Add the name of a part of the walk to assertion errors."""
    try:
        yield
    except AssertionError as error:
        raise AssertionError(f"{name}: {error}") from error


def test_a_newcomer_gets_from_the_readme_to_a_project_that_is_deployed_and_updated(
    walk: Walk,
    template: Path,
    server: PrefectServer,
    worker: Worker,
    private_registry: Registry,
    tmp_path: Path,
) -> None:
    history = begin(template, tmp_path)
    if WHOLE:
        with step("demo"):
            shown = walk.type(readme(ROOT, "uvx nox -s demo"), history.template)
            assert re.search(r"3 deployments, [2-9] completed runs", shown.output)
    with step("own project"):
        create = readme(ROOT, "uvx cruft create gh:org/template").replace("cruft ", "cruft@2.16.0 ")
        create = create.replace("gh:org/template", f"'{history.template}' --no-input")
        walk.type(create, tmp_path)
        project = Project(tmp_path / "my-prefect-flows")
        first = 'git init -b main && git add . && git commit -m "First commit"'
        walk.type(readme(project.path, first), project.path)
        walk.type(readme(project.path, "uvx nox -s dev"), project.path)
    with step("own flow"):
        write_own_flow(project)
        if WHOLE:
            replace(project.path / "pyproject.toml", '  "httpx', f'  "{PACKAGE}",\n  "httpx')
            lock = readme(project.path, "uvx poetry lock")
            if "POETRY_PYPI_MIRROR_URL" in os.environ:
                plugin = "--with=poetry-plugin-pypi-mirror --from=poetry"
                lock = lock.replace("uvx", f"uvx {plugin}")
            walk.type(lock, project.path)
            walk.type("git add . && git commit -m 'My flow'", project.path, exit_code=1)
            assert f"{MODULE}==" in project.read("requirements.txt")
            walk.type("git add . && git commit -m 'My flow'", project.path)
            walk.type(readme(project.path, "uvx nox -s check"), project.path)
    with step("deployed here"):
        up = walk.type(f"{readme(project.path, 'uvx nox -s up')} -- --once", project.path)
        assert re.search(r"greet/mine +\S+ +Completed", up.output), up.output
        assert "4 deployments" in up.output

    project.run("git", "config", "core.hooksPath", "/dev/null")
    append(project.path / "README.md", "\nMine.\n")
    repository = Act(
        project.path,
        tmp_path / "acting",
        name="Acme/First-Hour",
        variables={"PREFECT_API_URL": server.api_url, **private_registry.variables},
        secrets=private_registry.secrets,
    )
    make_small(repository)
    with step("pushed"):
        pushed(repository)
        assert deployments(server)["mine"]["parameters"] == {"name": "one"}
    with step("changed"):
        repository.replace("deployments/catalog.py", '"name": "one"', '"name": "two"')
        pushed(repository)
        assert deployments(server)["mine"]["parameters"] == {"name": "two"}
    with step("rolled back"):
        readme(project.path, "gh workflow run rollback.yml -f environment=production")
        back = repository.dispatch("rollback.yml", environment="production")
        assert back.jobs == {"rollback": "success"}, explain(back)
        assert deployments(server)["mine"]["parameters"] == {"name": "one"}
    with step("updated"):
        append(history.inside / "deployer/__init__.py", "\n# A line of the template.\n")
        commit(history.template, "The template goes on")
        walk.type(readme(project.path, "uvx nox -s update"), project.path)
        assert project.read("deployer/__init__.py").endswith("# A line of the template.\n")
        assert "def greet" in project.read("flows/mine.py")
    if WHOLE:
        # No limit for cruft, Poetry and git, which are not ours.
        ours = [each for each in walk.steps if each[0].startswith("uvx nox")]
        assert [each for each in ours if each[2] > MOST_SILENCE] == []


def write_own_flow(project: Project) -> None:
    """Follow the README's section about flows."""
    (project.path / "flows/mine.py").write_text(FLOW)
    (project.path / "tests/test_mine.py").write_text(TEST)
    catalog = project.path / "deployments/catalog.py"
    replace(catalog, "\n]\n", f"\n{ENTRY}")
    imported = "from flows.basic_flow import basic_data_flow\n"
    replace(catalog, imported, f"{imported}from flows.mine import greet\n")


def pushed(repository: Act) -> None:
    """Push and check that every job succeeds. Existing images are not scanned or attested again."""
    done = repository.push()
    assert done.jobs.keys() >= {"tests", "image", "production"}, explain(done)
    assert done.jobs.keys() <= {*JOBS}, explain(done)
    assert {*done.jobs.values()} == {"success"}, explain(done)
