"""Measure a command, let the sides take turns, and describe the machine."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import TypeVar

from bench.base import python_image
from tests.baking import ROOT, TEMPLATE_FOLDER, Project
from tests.support.docker import docker
from tests.support.postgres import programs

Key = TypeVar("Key")
LAUNCHER = [sys.executable, "-I", "-S", str(Path(__file__).with_name("launcher.py"))]
PEAK_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes


@dataclass(frozen=True)
class Cost:
    """Time and memory that a command used.

    Attributes:
        seconds: from its start to its end.
        megabytes: the largest resident set of its process, or of one that it waited for.
        output: what it printed.
    """

    seconds: float
    megabytes: float
    output: str = ""


def measure(command: Sequence[str | Path], folder: Path, env: Mapping[str, str]) -> Cost:
    """Run a command in a folder and return its cost.

    Raises:
        RuntimeError: the command failed, so its time means nothing.
    """
    with TemporaryFile() as file, TemporaryDirectory(prefix="bench-cost-") as place:
        written = Path(place) / "cost.json"
        process = subprocess.Popen(
            [*LAUNCHER, str(written), *map(str, command)],
            cwd=folder,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        try:
            process.wait()
        except BaseException:
            process.terminate()  # it stops the command, which stops its own children
            process.wait()
            raise
        file.seek(0)
        output = file.read().decode(errors="replace")
        if process.returncode:
            words = " ".join(map(str, command))
            raise RuntimeError(f"{words} ended with {process.returncode}:\n{output[-4000:]}")
        seconds, peak = json.loads(written.read_text())
    return Cost(seconds, peak * PEAK_UNIT / 1e6, output)


def rounds(sides: Sequence[Key], repeat: int) -> Iterator[list[Key]]:
    """Yield all sides once per round: first in their order, then reversed, and so on in turn."""
    for number in range(repeat):
        yield list(reversed(sides) if number % 2 else sides)


def load() -> float:
    """Return the machine's load average over the last minute."""
    return round(os.getloadavg()[0], 1)


def machine() -> str:
    """Describe the machine: architecture, cores, memory and kernel. Its host name is left out."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    kernel = f"{platform.system()} {platform.release().partition('-')[0]}"
    return f"{platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB, {kernel}"


def lacks(need: str) -> bool:
    """Return whether the machine lacks "Docker" or "PostgreSQL"; False if the need is empty."""
    if need == "PostgreSQL":
        return programs() is None
    if need == "Docker":
        try:
            docker("info")
        except (OSError, RuntimeError, subprocess.TimeoutExpired):
            return True
    return False


def versions(need: str) -> dict[str, str]:
    """Return the versions of Prefect and Python, and of what the part needs.

    With Docker, flows run in containers, whose Python is another.
    """
    found = {"Prefect": version("prefect"), "Python": platform.python_version()}
    if need == "Docker":
        found[need] = docker("version", "--format", "{{.Server.Version}}").partition("+")[0]
        found["images on"] = python_image(Project(ROOT / TEMPLATE_FOLDER))
    if need == "PostgreSQL" and (folder := programs()):
        done = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True)
        found[need] = done.stdout.split()[2]
    return found
