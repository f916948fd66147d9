"""Record a command's output with its times, and find the longest pause between two writes.

Use the seconds in reports, not in assertions (except in `nox -s soak`): a limit in seconds fails on
a busy machine. Other tests check the order of lines and events instead.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import pty
import re
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ENOUGH = 4096


@dataclass(frozen=True)
class Recording:
    """What a command wrote, and when.

    Attributes:
        exit_code: its exit code.
        writes: seconds since its start, and text, of each piece of its output.
        seconds: seconds until its end.
    """

    exit_code: int
    writes: list[tuple[float, str]]
    seconds: float

    @property
    def output(self) -> str:
        """All that it wrote."""
        return "".join(text for _, text in self.writes)

    @property
    def longest(self) -> tuple[float, str]:
        """The seconds of the longest silence and the line before it (empty if it came first)."""
        times = [0.0, *(at for at, _ in self.writes), self.seconds]
        silences = [after - before for before, after in itertools.pairwise(times)]
        written = itertools.accumulate((text for _, text in self.writes), initial="")
        seconds, before = max(zip(silences, written, strict=True))
        return seconds, re.split(r"[\r\n]", before.strip())[-1].strip()


def record(
    command: Sequence[str | Path],
    folder: Path,
    env: Mapping[str, str],
    *,
    terminal: bool = False,
) -> Recording:
    """Run a command to its end and record its output.

    Args:
        command: the program and its arguments.
        folder: where it runs.
        env: its whole environment.
        terminal: give it a terminal of its own instead of a pipe.
    """
    if terminal:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    else:
        ours, theirs = os.pipe()
    given = {**env, "TERM": "xterm-256color"}
    for name in ("CI", "NO_COLOR"):
        given.pop(name, None)
    writes: list[tuple[float, str]] = []
    start = time.monotonic()
    with subprocess.Popen(
        command,
        cwd=folder,
        env=given,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        while text := read(ours):
            writes.append((time.monotonic() - start, text.decode(errors="replace")))
        code = process.wait()
    os.close(ours)
    return Recording(code, writes, time.monotonic() - start)


def read(descriptor: int) -> bytes:
    """Return the next piece of output, empty at its end. A terminal's end is an OSError."""
    try:
        return os.read(descriptor, ENOUGH)
    except OSError:
        return b""
