"""A committed project, and commands whose processes the tests can find."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from tests.baking import Project, bake_into, run
from tests.support.waiting import eventually

MARK = "TEST_COMMAND"


@dataclass
class Command:
    """A running command, with an environment variable that all its descendants inherit."""

    process: subprocess.Popen[str]
    log: Path
    mark: str

    @property
    def output(self) -> str:
        """What it has written so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait(self, timeout: float = 400) -> int:
        """Wait for its end and return the exit code."""
        return self.process.wait(timeout)

    def wait_for(self, text: str, timeout: float = 200) -> None:
        """Wait until its output contains a text."""

        def is_written() -> bool:
            is_running = self.process.poll() is None
            found = text in self.output
            assert found or is_running, self.output
            return found

        eventually(is_written, timeout, about=lambda: self.output)

    def survivors(self) -> dict[int, str]:
        """Return the command lines of its running processes by process id."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                marked = f"{MARK}={self.mark}".encode() in (folder / "environ").read_bytes()
                line = (
                    (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                )
            except OSError:
                continue
            if marked and line:
                found[int(folder.name)] = line
        return found

    def leaves_nothing(self, within: float = 15) -> None:
        """Fail if one of its processes still runs after these seconds."""
        eventually(lambda: not self.survivors(), within, about=lambda: self.output)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Command]]:
    """`start(folder, *command, **environment)` starts a command. It is killed after the test.

    Its HOME is empty; uv's cache and data are elsewhere.
    """
    if not Path("/proc/self/environ").exists():
        pytest.skip("this test finds processes in /proc, which only Linux has")
    commands: list[Command] = []
    home = tmp_path / "home"
    home.mkdir()
    cache = run("uv", "cache", "dir", folder=tmp_path).stdout.strip()

    def begin(folder: Path, *words: str, **environment: str) -> Command:
        mark = uuid4().hex
        log = tmp_path / f"{mark}.log"
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")
        }
        uv = {"UV_CACHE_DIR": cache, "XDG_DATA_HOME": str(tmp_path / "data")}
        env = {**kept, **uv, "HOME": str(home), MARK: mark, **environment}
        # As on a machine with only git, Python and uv: do not use this virtual environment.
        env.pop("VIRTUAL_ENV", None)
        with log.open("w") as output:
            process = subprocess.Popen(
                words,
                cwd=folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        commands.append(Command(process, log, mark))
        return commands[-1]

    yield begin
    for command in commands:
        for number in command.survivors():
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        command.process.wait()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The HOME of commands that `start` starts, empty at first."""
    return tmp_path / "home"


@pytest.fixture(scope="session")
def committed(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a first commit, in a folder with a space. Tests share its environment."""
    project = bake_into(tmp_path_factory.mktemp("a project"), template)
    project.run("git", "init", "--quiet")
    project.run("git", "add", "--all")
    project.run("git", "commit", "--quiet", "--message=First commit")
    return project


@pytest.fixture
def nox(committed: Project) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`nox(session, *options)` runs a nox session of the committed project."""

    def call(
        session: str, *options: str, exit_code: int = 0, **env: str
    ) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "nox", "--session", session, "--", *options]
        return committed.run(*command, exit_code=exit_code, env=env, timeout=600)

    return call
