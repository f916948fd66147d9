"""Start a program, wait until it is ready, and stop it with all its children."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from random import SystemRandom
from types import TracebackType
from typing import TYPE_CHECKING

from tests.support.waiting import eventually

if TYPE_CHECKING:
    from typing import Self

READY_WITHIN = 120.0
ENDS_WITHIN = 15.0


def free_port(host: str = "127.0.0.1") -> int:
    """Return a free port of this address, below those that the kernel gives to other programs."""
    # A seeded generator would give the same ports to every process of a test run.
    for port in SystemRandom().sample(range(20_000, 32_000), 100):
        with socket.socket() as listener, suppress(OSError):
            listener.bind((host, port))
            return port
    raise RuntimeError(f"100 ports of {host} were tried, and none of them is free.")


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process with SIGTERM, or with SIGKILL if that does not end it."""
    process.terminate()
    try:
        process.wait(ENDS_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Process:
    """A program in a process group of its own, with its output in a file.

    A subclass defines what to run (`command`), the environment (`environment`) and when the program
    is ready (`is_ready`).
    """

    name = "process"

    def __init__(self, folder: Path) -> None:
        """Prepare a program that runs in this folder and writes its log there."""
        self.folder = Path(folder)
        self.log = self.folder / f"{self.name}.log"
        self._popen: subprocess.Popen[bytes] | None = None

    def command(self) -> Sequence[str | Path]:
        """Return the command line."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """Return the environment, by default this process's own."""
        return dict(os.environ)

    def is_ready(self) -> bool:
        """Return whether the program is ready for use."""
        raise NotImplementedError

    @property
    def output(self) -> str:
        """What the program has written so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def start(self) -> Self:
        """Start the program and wait until it is ready."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._popen = subprocess.Popen(
                [os.fspath(part) for part in self.command()],
                cwd=self.folder,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            eventually(self._has_started, READY_WITHIN, about=lambda: self.output[-4000:])
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop the program and its children with SIGTERM, then with SIGKILL if it still runs."""
        popen, self._popen = self._popen, None
        if popen is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(popen.pid, number)
            except ProcessLookupError:
                break
            try:
                popen.wait(ENDS_WITHIN)
            except subprocess.TimeoutExpired:
                continue
            # The program has ended: kill the rest of its process group.
            try:
                os.killpg(popen.pid, signal.SIGKILL)
            except ProcessLookupError:
                break
        popen.wait()

    def kill(self) -> None:
        """Kill the program and its children."""
        popen, self._popen = self._popen, None
        if popen is not None:
            os.killpg(popen.pid, signal.SIGKILL)
            popen.wait()

    def restart(self) -> None:
        """Stop the program and start it again."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _has_started(self) -> bool:
        assert self._popen is not None
        code = self._popen.poll()
        if code is not None:
            raise RuntimeError(f"{self.name} ended with {code}:\n{self.output[-4000:]}")
        return self.is_ready()
