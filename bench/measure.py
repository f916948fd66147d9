"""One command measured as a person waits for it, sides that take turns, and what they run on."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryFile
from typing import TypeVar

from tests.support.docker import docker
from tests.support.postgres import programs

Key = TypeVar("Key")


@dataclass(frozen=True)
class Cost:
    """What a command took.

    Attributes:
        seconds: from its start to its end.
        megabytes: the most memory that its process held at once.
        output: what it printed.
    """

    seconds: float
    megabytes: float
    output: str = ""


def measure(command: Sequence[str | Path], folder: Path, env: Mapping[str, str]) -> Cost:
    """Run a command in a folder.

    Raises:
        RuntimeError: it failed; a figure of half the work would be worth nothing.
    """
    with TemporaryFile() as file:
        start = time.perf_counter()
        process = subprocess.Popen(
            list(map(str, command)),
            cwd=folder,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        try:
            # Unlike getrusage(RUSAGE_CHILDREN) this is of one process alone.
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.terminate()  # what it has started, it ends
            process.wait()
            raise
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        file.seek(0)
        output = file.read().decode(errors="replace")
    if process.returncode:
        words = " ".join(map(str, command))
        raise RuntimeError(f"{words} ended with {process.returncode}:\n{output[-4000:]}")
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return Cost(seconds, usage.ru_maxrss / unit, output)


def rounds(sides: Sequence[Key], repeat: int) -> Iterator[list[Key]]:
    """Yield the sides once a round, every second time in reverse: none is always the first."""
    for number in range(repeat):
        yield list(sides if number % 2 else reversed(sides))


def load() -> float:
    """Return the machine's load over the last minute, for a person who judges the figures."""
    return round(os.getloadavg()[0], 1)


def machine() -> str:
    """Return what the machine is, without a name that only its owner knows it by."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    kernel = f"{platform.system()} {platform.release().partition('-')[0]}"
    return f"{platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB, {kernel}"


def lacks(need: str) -> bool:
    """Return whether the machine has no "Docker" or no "PostgreSQL"; nothing is always there."""
    if need == "PostgreSQL":
        return programs() is None
    if need == "Docker":
        try:
            docker("info")
        except (OSError, RuntimeError, subprocess.TimeoutExpired):
            return True
    return False


def versions(need: str) -> dict[str, str]:
    """Return the versions of what takes part in every row, and of what one part needs."""
    found = {"Prefect": version("prefect"), "Python": platform.python_version()}
    if need == "Docker":
        found[need] = docker("version", "--format", "{{.Server.Version}}").partition("+")[0]
    if need == "PostgreSQL" and (folder := programs()):
        said = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True)
        found[need] = said.stdout.split()[2]
    return found
