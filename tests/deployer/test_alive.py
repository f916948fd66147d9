"""Progress messages ("signs") appear while a slow command still runs, on pipes and terminals.

The slow parts of these tests wait until a message was written, so no test depends on timing.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from deployer import alive

from tests.baking import ROOT, TEMPLATE_FOLDER, Project
from tests.support.silence import record
from tests.support.waiting import eventually

# A program that waits until a file, the output of the tested command, contains a text.
WAIT = """\
import pathlib, sys, time
end = time.monotonic() + 60
while sys.argv[1] not in pathlib.Path(sys.argv[2]).read_text():
    if time.monotonic() > end:
        sys.exit("no sign came")
    time.sleep(0.05)
print("it was seen")
"""
SLOW_IMPORT = f"""\
import os, runpy, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "prefect":
            sys.meta_path.remove(self)
            sys.argv, kept = ["", "deployer check 0:0", os.environ["OUTPUT"]], sys.argv
            exec({WAIT!r})
            sys.argv = kept

if "OUTPUT" in os.environ:
    sys.meta_path.insert(0, Finder())
"""

STEP = f"""\
import os, sys
from contextlib import ExitStack
from tools.up.steps import Up

with Up(ExitStack(), False, 1).step("server"):
    sys.argv = ["", "server 0:0", os.environ["OUTPUT"]]
    exec({WAIT!r})
"""


class Screen(io.StringIO):
    """A text stream that may claim to be a terminal."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal

    def wait_for(self, text: str) -> None:
        """Wait until a text was written."""
        eventually(lambda: text in self.getvalue(), 60, about=self.getvalue)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Screen]]:
    """`screen(terminal, **environment)` replaces stderr; messages come almost without delay."""

    def make(terminal: bool, **environment: str) -> Screen:
        made = Screen(terminal)
        monkeypatch.setattr(sys, "stderr", made)
        for name in ("CI", "NO_COLOR"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("TERM", "xterm")
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return made

    monkeypatch.setattr(alive, "SILENCE", 0.02)
    monkeypatch.setattr(alive, "UPDATE_INTERVAL", 0.01)
    yield make
    alive.end()


def test_a_pipe_gets_whole_lines_for_as_long_as_it_lasts(screen: Callable[..., Screen]) -> None:
    out = screen(False)
    with alive.alive("server"):
        eventually(lambda: out.getvalue().count("\n") >= 2, 60, about=out.getvalue)
    ended = out.getvalue()

    assert set(ended.splitlines()) <= {f"server 0:{second:02}" for second in range(60)}
    assert ended.endswith("\n")


def test_a_terminal_gets_one_line_that_makes_room_for_text(screen: Callable[..., Screen]) -> None:
    out = screen(True)
    with alive.alive("server"):
        out.wait_for("| server 0:0")
        alive.clear()
        out.write("text")

    assert "\n" not in out.getvalue()
    assert "\x1b" not in out.getvalue()
    assert f"{' ' * len('| server 0:00')}\rtext" in out.getvalue()
    assert out.getvalue().endswith(("text", " \r"))


@pytest.mark.parametrize("how", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_that_is_to_be_plain_gets_lines(
    screen: Callable[..., Screen], how: dict[str, str]
) -> None:
    out = screen(True, **how)
    with alive.alive("server"):
        out.wait_for("server 0:0")

    assert "\r" not in out.getvalue()


@pytest.mark.parametrize(
    ("terminal", "environment", "leave"),
    [(False, {"CI": "true"}, False), (True, {"CI": "true"}, False), (True, {}, True)],
)
def test_there_are_none_in_ci_nor_on_a_terminal_that_the_body_writes_to(
    screen: Callable[..., Screen], terminal: bool, environment: dict[str, str], leave: bool
) -> None:
    out = screen(terminal, **environment)

    with alive.alive("server", leave_terminal=leave):
        (signs,) = alive._signs
        signs.join(20)
        assert not signs.is_alive(), "the thread must end: there is nothing to print"

    assert out.getvalue() == ""


@pytest.mark.parametrize("code", [0, 3])
def test_a_closed_stderr_gets_none_and_changes_no_exit_code(
    monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(sys, "stderr", None)

    with alive.alive("server"):
        (signs,) = alive._signs
        signs.join(20)
        assert not signs.is_alive(), "the thread must end: there is nothing to print"

    assert alive.main(["server", "sh", "-c", f"echo why; exit {code}"]) == code


def test_what_goes_on_for_ever_ends_them(screen: Callable[..., Screen]) -> None:
    out = screen(False)
    with alive.alive("flows"):
        out.wait_for("flows 0:0")
        (signs,) = alive._signs
        alive.end()
        assert not signs.is_alive()


def output(tmp_path: Path, command: list[str], folder: Path, **env: str) -> str:
    """Run a command that must succeed and may read its own output, and return the output."""
    log = tmp_path / "output"
    given = {**os.environ, **env, "OUTPUT": str(log)}
    given.pop("CI", None)
    with log.open("w") as file:
        done = subprocess.run(
            [str(log) if word == "OUTPUT" else word for word in command],
            cwd=folder,
            env=given,
            stdout=file,
            stderr=subprocess.STDOUT,
            timeout=120,
        )
    assert done.returncode == 0, log.read_text()
    return log.read_text()


def test_the_deployer_gives_a_sign_before_prefect_is_imported(
    default_project: Project, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(SLOW_IMPORT)
    command = [sys.executable, "-m", "deployer", "check"]

    text = output(tmp_path, command, default_project.path, PYTHONPATH=str(tmp_path))

    assert text.index("deployer check 0:0") < text.index("it was seen")
    assert "are fine" in text


def test_an_installation_gives_a_sign_before_uv_is_done(tmp_path: Path) -> None:
    log = tmp_path / "output"
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text(
        f"#!{sys.executable}\nimport sys\nsys.argv[1:] = ['some.txt 0:0', {str(log)!r}]\n{WAIT}"
    )
    uv.chmod(0o755)
    (tmp_path / "some.txt").write_text("")
    path = os.pathsep.join([str(uv.parent), os.environ["PATH"]])
    command = [sys.executable, "-m", "tools.install", str(tmp_path / ".venv"), "some.txt"]

    text = output(tmp_path, command, tmp_path, PATH=path, PYTHONPATH=str(ROOT / TEMPLATE_FOLDER))

    first, *_ = text.splitlines()
    assert first == "Installing the packages of some.txt …"
    assert text.index("some.txt 0:0") < text.index("it was seen")


def test_a_step_of_up_says_its_name_and_then_gives_signs_until_it_is_done(tmp_path: Path) -> None:
    python = str(ROOT / TEMPLATE_FOLDER)

    text = output(tmp_path, [sys.executable, "-c", STEP], tmp_path, PYTHONPATH=python)

    assert text.startswith("server …\nserver 0:0")
    assert text.endswith("it was seen\n")


def test_a_silent_command_gets_signs_and_is_heard_only_where_it_fails(tmp_path: Path) -> None:
    wait = tmp_path / "wait.py"
    wait.write_text(WAIT)
    command = [sys.executable, str(ROOT / TEMPLATE_FOLDER / "deployer" / "alive.py"), "poetry.lock"]

    text = output(tmp_path, [*command, sys.executable, str(wait), "lock 0:0", "OUTPUT"], tmp_path)
    assert set(text.splitlines()) <= {f"poetry.lock 0:{second:02}" for second in range(60)}

    broken = [*command, sys.executable, "-c", "print('why'); raise SystemExit(3)"]
    failed = subprocess.run(broken, capture_output=True, text=True, env={**os.environ, "CI": "1"})
    assert (failed.returncode, failed.stdout, failed.stderr) == (3, "", "why\n")


@pytest.mark.parametrize("terminal", [False, True])
def test_a_silence_is_measured_with_what_came_before_it(tmp_path: Path, terminal: bool) -> None:
    script = "import time; print('one', flush=True); time.sleep(4); print('two')"

    found = record([sys.executable, "-c", script], tmp_path, os.environ, terminal=terminal)

    seconds, before = found.longest
    assert (found.exit_code, before) == (0, "one")
    assert seconds >= 3
    assert found.output.split() == ["one", "two"]
