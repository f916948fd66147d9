"""What `up` asks of this machine: ports, containers, signals, settings. Standard library only."""
# ruff: noqa: T201 - it speaks to a person

from __future__ import annotations

import os
import signal
import socket
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from deployer.errors import DeployerError
from tools import ROOT, processes
from tools.build import call

if sys.platform != "win32":
    import fcntl

HOME = ROOT / ".prefect"
HOST = "127.0.0.1"


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port


def answers(url: str) -> bool:
    """Tell whether an address answers."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except OSError:
        return False


def attempt(*command: str) -> None:
    """Run a command that cleans up; what is gone already is no failure."""
    with suppress(DeployerError):
        call(*command)


def remove_containers(label: str) -> None:
    """Remove the containers that bear a label, running or not."""
    with suppress(DeployerError):
        found = call("docker", "ps", "--all", "--quiet", "--filter", f"label={label}")
        if found:
            attempt("docker", "rm", "--force", "--volumes", *found.split())


def catch_signals() -> None:
    """Turn SIGTERM into what Ctrl-C is to Python, an exception that lets everything be ended."""
    for number in processes.SIGNALS:
        signal.signal(number, signal.default_int_handler)


def isolate(url: str) -> None:
    """Point this process and its children at this server; their home is the project's own.

    Any other PREFECT_ variable is meant for another server, and might name its database or keys.
    """
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        del os.environ[name]
    os.environ.update(
        PREFECT_HOME=str(HOME),
        PREFECT_API_URL=f"{url}/api",
        PREFECT_SERVER_ANALYTICS_ENABLED="false",
        PREFECT_WORKER_QUERY_SECONDS="1",
        DO_NOT_TRACK="1",
    )
    os.chdir(ROOT)
    HOME.mkdir(exist_ok=True)


@contextmanager
def claimed(url: str) -> Iterator[None]:
    """Keep others from starting a server on the project's database, which has room for one.

    However this process ends, the system takes the lock back. On Windows there is none.

    Raises:
        DeployerError: somebody else has it.
    """
    with (HOME / "up.url").open("a+", encoding="utf-8") as file:
        if sys.platform != "win32":
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.seek(0)
                raise DeployerError(
                    f"`up` is running in this project already, with its UI at {file.read()}. "
                    "Two would share one database: end that one with Ctrl-C first."
                ) from None
        file.truncate(0)
        file.write(url)
        file.flush()
        yield
