"""The transcript in a project's page about deploying matches the real output."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.baking import Project
from tests.support.processes import end
from tests.support.server import PrefectServer

SAME = [
    (re.compile(r"\d+\.\d s\b"), "N s"),
    (re.compile(r"http://[\w.:]+/runs/flow-run/[0-9a-f-]{36}"), "URL"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "WHEN"),
    (re.compile(r"(WHEN  |release \d: )\S+"), r"\1WHO"),
    (re.compile(r" {2,}"), "  "),
]


def normal(text: str) -> str:
    """Return a text without the parts that differ from run to run."""
    for pattern, replacement in SAME:
        text = pattern.sub(replacement, text)
    return text.strip()


def transcript(readme: str) -> list[tuple[str, str]]:
    """Return the commands of the console block, each with its output."""
    (block,) = re.findall(r"```console\n(.*?)```", readme, re.DOTALL)
    parts = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


@pytest.fixture
def started(
    bake: Callable[..., Project], project_python: Path, tmp_path: Path
) -> Iterator[tuple[Project, dict[str, str]]]:
    """A default project, a server of its own, and a worker for its pool."""
    project = bake()
    with PrefectServer(project_python, tmp_path / "server") as server:
        programs = f"{Path(sys.executable).parent}{os.pathsep}{server.env['PATH']}"
        env = {**server.env, "PATH": programs, "PREFECT_WORKER_QUERY_SECONDS": "1"}
        setup = [sys.executable, "-m", "deployer", "setup", "local"]
        subprocess.run(setup, cwd=project.path, env=env, check=True, capture_output=True)
        command = ["prefect", "worker", "start", "--pool", "local", "--type", "process"]
        with (tmp_path / "worker.log").open("w") as log:
            worker = subprocess.Popen(command, cwd=project.path, env=env, stdout=log, stderr=log)
            try:
                yield project, env
            finally:
                end(worker)


def test_the_transcript_in_the_docs_is_what_happens(
    started: tuple[Project, dict[str, str]],
) -> None:
    project, env = started
    steps = transcript(project.read("docs/deploying.md"))
    assert len(steps) >= 6

    for command, expected in steps:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=project.path,
            env=env,
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert normal(done.stdout) == normal(expected), f"$ {command}\n{done.stdout}{done.stderr}"
