"""Starts programs, and ends them with all processes that they started."""

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

import psutil

from deployer.errors import DeployerError

SIGNALS = (signal.SIGINT, signal.SIGTERM)
READY_WITHIN = 180.0  # seconds; a new server takes a minute on a busy machine
ENDS_WITHIN = 10.0  # seconds


def catch_signals() -> None:
    """Let SIGTERM and a closed terminal raise KeyboardInterrupt, as Ctrl-C does."""
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler)
    # Windows has no SIGHUP, and `nohup` ignores it.
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
        signal.signal(signal.SIGHUP, _interrupt_once)


def _interrupt_once(number: int, _frame: FrameType | None) -> None:
    """Turn the first SIGHUP into SIGINT, which asyncio and Prefect handle too; ignore the others.

    A terminal that is closed sends SIGHUP, and the shell in it may send another.
    """
    signal.signal(number, signal.SIG_IGN)
    signal.raise_signal(signal.SIGINT)


def ignore_signals() -> None:
    """Let nothing interrupt the cleanup."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def deferred_signals() -> Iterator[None]:
    """Defer signals until the body is finished."""
    waiting: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _frame: waiting.append(number))
        for number in SIGNALS
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if waiting:
        raise KeyboardInterrupt


def end_with_parent() -> None:
    """Send this process SIGTERM when its parent has ended, even if that was killed."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    if os.name == "posix":
        threading.Thread(target=watch, daemon=True).start()


class Program(psutil.Popen):
    """A program that Ctrl-C does not reach.

    Attributes:
        log: the file for its output, named after the program.
    """

    def __init__(self, command: list[str], log: Path) -> None:
        """Start it."""
        self.log = log
        with log.open("wb") as output:
            super().__init__(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def check(self) -> None:
        """Check that it is running.

        Raises:
            DeployerError: it ended by itself; the end of its log says why.
        """
        if self.poll() is not None:
            raise DeployerError(
                f"The {self.log.stem} ended by itself, with exit code {self.returncode}. "
                f"The end of its log, {self.log}:",
                *self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:],
            )

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Wait until it can be used.

        Args:
            ready: returns whether it is ready.

        Raises:
            DeployerError: it ended, or was not ready in time.
        """
        end = time.monotonic() + READY_WITHIN
        self.check()  # first: if this program ended, another one may answer
        while not ready():
            if time.monotonic() > end:
                raise DeployerError(
                    f"The {self.log.stem} was not ready within {READY_WITHIN:.0f} seconds: "
                    f"its log is {self.log}."
                )
            time.sleep(0.1)
            self.check()


def stop(program: psutil.Popen) -> None:
    """End a program and all of its descendants: by SIGTERM, after ENDS_WITHIN by SIGKILL."""
    members = family(program)
    # A worker waits for its runs: SIGTERM makes them report their end to the server first.
    for member in members:
        with suppress(psutil.Error):
            member.terminate()
    end = time.monotonic() + ENDS_WITHIN
    while (alive := set(filter(is_alive, members))) and time.monotonic() < end:
        members |= family(program)
        time.sleep(0.1)
    for member in alive:
        with suppress(psutil.Error):
            member.kill()
    psutil.wait_procs(alive, ENDS_WITHIN)
    program.wait()


def family(program: psutil.Popen) -> set[psutil.Process]:
    """Return a program and all of its descendants; an empty set if it has ended."""
    with suppress(psutil.NoSuchProcess):
        return {program, *program.children(recursive=True)}
    return set()


def is_alive(process: psutil.Process) -> bool:
    """Tell whether a process runs; a zombie, which only waits for its parent, does not."""
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
