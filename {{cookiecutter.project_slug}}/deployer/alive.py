"""Show that a slow step is still running, before two seconds of silence. Standard library only.

On a terminal the sign of life is a line with the elapsed time, which the next output overwrites.
In a pipe, in a file, or with NO_COLOR or TERM=dumb it is a plain line. If CI is set, there is none:
it would only fill the log.
A thread that imports nothing writes the signs, because the slow step is often an import.

`python -m deployer.alive WHAT COMMAND …` runs a command that prints nothing for a long time, and
prints its output only if it fails.
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

SILENCE = 1.2  # seconds without output after which a sign is written
UPDATE_INTERVAL = 0.2  # seconds between two updates of the line on a terminal
SPINNER = "|/-\\"  # ASCII, for every terminal and encoding


class Signs(threading.Thread):
    """The thread that writes signs of life for one slow step.

    Attributes:
        what: the name of the step, for people.
        drawn: whether the line can be overwritten in place.
        wanted: whether signs are written at all.
        shown: how many characters of the line are on the terminal now.
    """

    def __init__(self, what: str, leave_terminal: bool) -> None:
        super().__init__(daemon=True)
        self.what = what
        self.out: TextIO | None = sys.stderr  # None if it is closed: `2>&-`
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        is_terminal = self.out is not None and self.out.isatty()
        self.drawn = is_terminal and not plain
        unread = self.out is None or os.environ.get("CI") or (is_terminal and leave_terminal)
        self.wanted = not unread
        self.shown = 0
        self.began = self.last = time.monotonic()
        self.lock = threading.Lock()
        self.ended = threading.Event()

    def run(self) -> None:
        """Write signs until `ended` is set."""
        while self.wanted and not self.ended.wait(UPDATE_INTERVAL):
            with self.lock:
                if self.shown or time.monotonic() - self.last >= SILENCE:
                    self.sign()

    def sign(self) -> None:
        """Write one sign."""
        self.last = time.monotonic()
        minutes, seconds = divmod(int(self.last - self.began), 60)
        line = f"{self.what} {minutes}:{seconds:02}"
        if not self.drawn:
            self.write(f"{line}\n")
            return
        turn = SPINNER[int((self.last - self.began) / UPDATE_INTERVAL) % len(SPINNER)]
        line = f"{turn} {line}"[: shutil.get_terminal_size().columns - 1]
        self.shown = len(line)
        # The next output to the terminal begins in the first column, and so overwrites this line.
        self.write(f"{line}\r")

    def clear(self) -> None:
        """Erase the line before other output, which counts as a sign too."""
        with self.lock:
            if self.shown:
                self.write(" " * self.shown + "\r")
            self.shown, self.last = 0, time.monotonic()

    def write(self, text: str) -> None:
        """Write and flush; ignore a stream that the reader has closed."""
        if self.out is None:
            return
        with suppress(OSError, ValueError):
            self.out.write(text)
            self.out.flush()


_signs: list[Signs] = []


@contextmanager
def alive(what: str, *, leave_terminal: bool = False) -> Iterator[None]:
    """Write signs of life while the body runs.

    Args:
        what: the name of the slow step.
        leave_terminal: write none on a terminal, because the body shows its own progress there or
            may ask for input.
    """
    end()
    _signs.append(Signs(what, leave_terminal))
    _signs[-1].start()
    try:
        yield
    finally:
        end()


def clear() -> None:
    """Erase the line on the terminal: call this before printing anything."""
    for signs in _signs:
        signs.clear()


def end() -> None:
    """Stop the signs: call this before a step that runs until it is interrupted."""
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
