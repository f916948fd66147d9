"""One command measured as a person waits for it, sides that take turns, and medians."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryFile
from typing import TypeVar

Key = TypeVar("Key")


@dataclass(frozen=True)
class Cost:
    """What a command took.

    Attributes:
        seconds: from its start to its end.
        megabytes: the most memory that its process held at once.
    """

    seconds: float
    megabytes: float


def measure(command: Sequence[str | Path], folder: Path, env: Mapping[str, str]) -> Cost:
    """Run a command in a folder.

    Raises:
        RuntimeError: it failed; a figure of half the work would be worth nothing.
    """
    with TemporaryFile() as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            list(map(str, command)),
            cwd=folder,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            # Unlike getrusage(RUSAGE_CHILDREN) this is of one process alone.
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            said = output.read().decode(errors="replace")[-4000:]
            raise RuntimeError(
                f"{' '.join(map(str, command))} ended with {process.returncode}:\n{said}"
            )
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return Cost(seconds, usage.ru_maxrss / unit)


def rounds(sides: Sequence[Key], repeat: int) -> Iterator[list[Key]]:
    """Yield the sides once a round, every second time in reverse: none is always the first."""
    for number in range(repeat):
        yield list(sides if number % 2 else reversed(sides))


def medians(samples: Mapping[Key, Sequence[float]]) -> dict[Key, float]:
    """Return the median of each list of samples."""
    return {key: median(each) for key, each in samples.items()}


def load() -> str:
    """Return the machine's load over the last minute, for a person who judges the figures."""
    return f"{os.getloadavg()[0]:.1f}"


def say(what: str, seconds: float) -> None:
    """Print one sample on stderr as soon as it is there; stdout is for the report."""
    print(f"{what}: {seconds:.1f} s at load {load()}", file=sys.stderr, flush=True)
