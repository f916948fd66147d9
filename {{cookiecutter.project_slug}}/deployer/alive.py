"""Signs of life for a person who waits, before two seconds of silence. Standard library only.

On a terminal a sign is a line with the time that has passed, which the next text replaces.
Elsewhere it is a plain line. Where CI is set there is none: nobody waits, and the log stays.
The signs come from a thread that imports nothing: often it is an import that takes so long.

`python -m deployer.alive WHAT COMMAND …` runs a command that itself is silent for long, and prints
what that wrote where it fails.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

SILENCE = 1.2  # seconds after which a sign is due
REDRAWN = 0.2  # seconds between two looks of the line on a terminal
SPINNER = "|/-\\"  # what every terminal and encoding has


class Signs(threading.Thread):
    """What is being waited for.

    Attributes:
        what: its name, as a person reads it.
        drawn: whether the line can be drawn again and again in its place.
        wanted: whether somebody reads the signs.
        shown: characters of the line that stand on the terminal now.
    """

    def __init__(self, what: str, leave_terminal: bool) -> None:
        super().__init__(daemon=True)
        self.what = what
        self.out: TextIO | None = sys.stderr  # None where it is closed: `2>&-`
        dull = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        is_terminal = self.out is not None and self.out.isatty()
        self.drawn = is_terminal and not dull
        unread = self.out is None or os.environ.get("CI") or (is_terminal and leave_terminal)
        self.wanted = not unread
        self.shown = 0
        self.began = self.last = time.monotonic()
        self.lock = threading.Lock()
        self.ended = threading.Event()

    def run(self) -> None:
        """Give signs until the end."""
        while self.wanted and not self.ended.wait(REDRAWN):
            with self.lock:
                if self.shown or time.monotonic() - self.last >= SILENCE:
                    self.sign()

    def sign(self) -> None:
        """Give one."""
        self.last = time.monotonic()
        minutes, seconds = divmod(int(self.last - self.began), 60)
        line = f"{self.what} {minutes}:{seconds:02}"
        if not self.drawn:
            self.write(f"{line}\n")
            return
        turn = SPINNER[int((self.last - self.began) / REDRAWN) % len(SPINNER)]
        line = f"{turn} {line}"[: shutil.get_terminal_size().columns - 1]
        self.shown = len(line)
        # Whoever else writes to the terminal begins in the first column, and so writes over it.
        self.write(f"{line}\r")

    def clear(self) -> None:
        """Make room for text, which is a sign of life itself."""
        with self.lock:
            if self.shown:
                self.write(" " * self.shown + "\r")
            self.shown, self.last = 0, time.monotonic()

    def write(self, text: str) -> None:
        """Write at once; a reader who has gone is nobody to write to."""
        if self.out is None:
            return
        with suppress(OSError, ValueError):
            self.out.write(text)
            self.out.flush()


_signs: list[Signs] = []


@contextmanager
def alive(what: str, *, leave_terminal: bool = False) -> Iterator[None]:
    """Give signs of life while the body runs.

    Args:
        what: what is being waited for.
        leave_terminal: give none on a terminal, where the body shows by itself how far it is, or
            may ask for something.
    """
    end()
    _signs.append(Signs(what, leave_terminal))
    _signs[-1].start()
    try:
        yield
    finally:
        end()


def clear() -> None:
    """Make room on the terminal: called before anything is printed."""
    for signs in _signs:
        signs.clear()


def end() -> None:
    """Give no more signs: called before what goes on for ever."""
    while _signs:
        signs = _signs.pop()
        signs.ended.set()
        signs.join()
        signs.clear()


def main(argv: list[str]) -> int:
    """Run a command and return its exit code."""
    what, *command = argv
    try:
        with alive(what):
            done = subprocess.run(  # noqa: S603
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
            )
    except KeyboardInterrupt:
        return 130
    if done.returncode and sys.stderr is not None:
        sys.stderr.buffer.write(done.stdout)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
