"""One command, measured as a person would wait for it: interpreter start included."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile


@dataclass(frozen=True)
class Cost:
    """What a command took.

    Attributes:
        seconds: from its start to its end.
        megabytes: the most memory that the process held at once.
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
