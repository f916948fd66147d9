"""The commands that generate a project: cookiecutter and cruft."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.bake.answering import DEFAULTS, assert_says
from tests.baking import Project, run
from tests.support.history import commit

FILE = "deployments/environments.toml"

# A sitecustomize.py: every Python with its folder on PYTHONPATH loads it, also those of hooks.
NO_NETWORK = """
import socket

def refuse(*_):
    raise OSError("there is no network in this test")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
"""


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Return environment variables that keep Python off the network."""
    folder = tmp_path_factory.mktemp("offline")
    (folder / "sitecustomize.py").write_text(NO_NETWORK)
    return {"PYTHONPATH": str(folder)}


@pytest.fixture
def repository(template: Path, tmp_path: Path) -> Path:
    """The template in a git repository of its own, at a path with a space."""
    path = shutil.copytree(template, tmp_path / "a template")
    run("git", "init", "--quiet", folder=path)
    commit(path, "The template")
    return Path(path)


def test_nothing_reaches_the_network_under_the_offline_settings(
    offline: Mapping[str, str], tmp_path: Path
) -> None:
    attempt = "import socket; socket.create_connection(('127.0.0.1', 1))"
    done = run(sys.executable, "-c", attempt, folder=tmp_path, env=offline, exit_code=1)
    assert "there is no network in this test" in done.stderr


def test_cookiecutter_makes_a_project_offline_and_says_what_to_do_next(
    template: Path, tmp_path: Path, offline: Mapping[str, str]
) -> None:
    done = run(
        "cookiecutter",
        template,
        "--no-input",
        "--output-dir=some projects",
        folder=tmp_path,
        env=offline,
    )
    assert_says(Project(tmp_path / "some projects/my-prefect-flows"), DEFAULTS)
    assert [line.strip() for line in done.stdout.splitlines() if line.startswith("  ")] == [
        "cd 'some projects/my-prefect-flows'",
        'git init -b main && git add . && git commit -m "First commit"',
        "uvx nox -s dev && uvx nox -s up",
    ]


def test_the_first_two_commands_it_says_work_as_they_are(template: Path, tmp_path: Path) -> None:
    done = run("cookiecutter", template, "--no-input", folder=tmp_path)
    first_two = [line for line in done.stdout.splitlines() if line.startswith("  ")][:2]
    script = " && ".join([*first_two, "git status --porcelain && git log --format=%s"])
    assert run("bash", "-c", script, folder=tmp_path).stdout.endswith("\nFirst commit\n")


def test_answers_can_be_typed(template: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cookiecutter", str(template)],
        cwd=tmp_path,
        input='It\'s "mine"\nmine\nOne \\ two\n2\n\n',
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert_says(
        Project(tmp_path / "mine"),
        {
            "project_name": 'It\'s "mine"',
            "project_slug": "mine",
            "description": "One \\ two",
            "work_pool_type": "kubernetes",
            "work_pool_name": "kubernetes-pool",
        },
    )


def test_bad_answers_end_the_command_with_an_error(template: Path, tmp_path: Path) -> None:
    answers = ["project_slug=../Flows", "work_pool_name=prefect-x"]
    done = run("cookiecutter", template, "--no-input", *answers, folder=tmp_path, exit_code=1)
    assert "project_slug is '../Flows': it must" in done.stderr
    assert "work_pool_name is 'prefect-x': it must" in done.stderr
    # Cookiecutter may print its own traceback; the hook must not add one.
    assert 'pre_gen_project.py"' not in done.stderr
    assert done.stderr.count("Traceback") <= 1
    assert list(tmp_path.iterdir()) == []


def test_cruft_makes_the_same_project_offline(
    repository: Path, tmp_path: Path, bake: Callable[..., Project], offline: Mapping[str, str]
) -> None:
    baked = bake()
    run("cruft", "create", repository, "--no-input", folder=tmp_path, env=offline)
    made = Project(tmp_path / "my-prefect-flows")
    assert made.files() == sorted([*baked.files(), ".cruft.json"])
    origins = {re.findall("origin = .*", each.read(FILE))[0]: each for each in (made, baked)}
    assert len(origins) == 2, "two projects must not have the same origin"
    for path in baked.files():
        texts = {each.read(path).replace(origin, "") for origin, each in origins.items()}
        assert len(texts) == 1, path
