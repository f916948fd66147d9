"""Starts programs and ends them with everything that they started. Standard library only."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from deployer.errors import DeployerError

SIGNALS = (signal.SIGINT, signal.SIGTERM)
Program = subprocess.Popen[bytes]
READY_WITHIN = 90.0
ENDS_WITHIN = 10.0


@contextmanager
def deferred_signals() -> Iterator[None]:
    """Let a signal wait until what was begun in here is finished."""
    waiting: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        waiting.append(number)

    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if waiting:
        raise KeyboardInterrupt


def end_with_parent() -> None:
    """Send this process SIGTERM when the one that started it is gone, even if that was killed."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    if os.name == "posix":
        threading.Thread(target=watch, daemon=True).start()


def start(command: list[str], log: Path, ready: Callable[[], bool]) -> Program:
    """Start a program that Ctrl-C does not reach, and wait until it is ready.

    Args:
        command: the program and its arguments.
        log: the file for its output.
        ready: tells whether it can be used.

    Raises:
        DeployerError: it ended, or was not ready in time; nothing of it is left.
    """
    with deferred_signals(), log.open("wb") as output:
        program = subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait(program, ready)
    except DeployerError as error:
        stop(program)
        last = log.read_text(errors="replace").splitlines()[-20:]
        raise DeployerError(f"{' '.join(command[:4])}: {error}", *last) from None
    except BaseException:
        stop(program)
        raise
    return program


def wait(program: Program, ready: Callable[[], bool]) -> None:
    """Wait until a program is ready.

    Raises:
        DeployerError: it ended, or was not ready in time.
    """
    end = time.monotonic() + READY_WITHIN
    while not ready():
        if program.poll() is not None:
            raise DeployerError(f"it ended with exit code {program.returncode}.")
        if time.monotonic() > end:
            raise DeployerError(f"it was not ready within {READY_WITHIN:.0f} seconds.")
        time.sleep(0.1)


def stop(program: Program) -> None:
    """End a program and all that descends from it: asked first, killed if it does not listen."""
    members = family(program.pid)
    if os.name != "posix":
        program.terminate()
    # A worker waits for its runs: they are asked too, so that they report their end to the server.
    for number in members:
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGTERM)
    end = time.monotonic() + ENDS_WITHIN
    while program.poll() is None and time.monotonic() < end:
        members |= family(program.pid)
        time.sleep(0.1)
    while members & running().keys() and time.monotonic() < end:
        time.sleep(0.1)
    for number in members & running().keys():
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    with suppress(ProcessLookupError):
        program.kill()
    program.wait()


def family(head: int) -> set[int]:
    """Return a process and all that descends from it, as far as it still runs."""
    parents = running()
    members = {head}
    while more := {number for number, parent in parents.items() if parent in members} - members:
        members |= more
    return members & parents.keys()


def running() -> dict[int, int]:
    """Return the parent of every process of this machine but zombies; nothing on Windows."""
    if Path("/proc/self/stat").exists():
        table = []
        for file in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                # `1234 (its name) S 1 …`: state and parent come after the name.
                state, parent = file.read_text().rsplit(")", 1)[1].split()[:2]
                table.append((file.parent.name, parent, state))
    elif os.name == "posix":
        command = ["ps", "-A", "-o", "pid=,ppid=,stat="]
        answer = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
        table = [
            (fields[0], fields[1], fields[2])
            for fields in map(str.split, answer.stdout.splitlines())
        ]
    else:
        return {}
    return {int(number): int(parent) for number, parent, state in table if state[0] != "Z"}
