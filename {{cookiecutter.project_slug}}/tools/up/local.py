"""This machine's ports, and the project's PREFECT_HOME: its settings, database and lock."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from filelock import FileLock, Timeout

from deployer.errors import DeployerError
from tools import ROOT
from tools.up.database import prepare

HOME = ROOT / ".prefect"
HOST = "127.0.0.1"
# One client for all requests: creating one reads all certificates, 20 ms of processor time. It
# keeps no connection open, because the server could close it just as the next request is sent.
HTTP = httpx.Client(trust_env=False, timeout=30, limits=httpx.Limits(max_keepalive_connections=0))


def free_port() -> int:
    """Return a port of this machine that no process listens on."""
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def check_port(port: int) -> None:
    """Check that a server can listen on this port.

    Raises:
        DeployerError: it cannot, most often because another program does.
    """
    try:
        socket.create_server((HOST, port)).close()
    except (OSError, OverflowError) as error:
        raise DeployerError(
            f"Port {port} cannot be used: {error}. "
            "End the program that listens there, choose another port, or leave --port out."
        ) from None


def answers(url: str) -> bool:
    """Tell whether an address of this machine answers."""
    try:
        return HTTP.get(url, timeout=2).is_success
    except httpx.HTTPError:
        return False


def isolate(url: str, *, once: bool = False) -> None:
    """Point this process and its children at this server, with the project's own PREFECT_HOME.

    All other PREFECT_ variables are removed: they may name another server's database or keys.

    Args:
        url: the server's address.
        once: everything ends after the smoke runs, so their heartbeats are not needed.
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
    if once:
        # At its end, a flow that is not async waits up to a second for the thread that sends its
        # heartbeats, and so does each subflow. Only JSON can set this setting to null.
        os.environ["PREFECT_FLOWS"] = '{"heartbeat_frequency": null}'
    os.chdir(ROOT)


class AlreadyRunning(DeployerError):
    """A server is using the project's database already.

    Attributes:
        url: that server's address.
    """

    def __init__(self, url: str) -> None:
        super().__init__(
            f"A server is running in this project already, with its UI at {url}. "
            "Two would share one database: end that one with Ctrl-C first."
        )
        self.url = url


@contextmanager
def claimed(url: str) -> Iterator[None]:
    """Create the project's database, and lock it against a second server.

    The operating system releases the lock, however this process ends.

    Args:
        url: the address that the server is going to have.

    Raises:
        AlreadyRunning: a server is using it.
    """
    HOME.mkdir(exist_ok=True)
    address = HOME / "up.url"  # on Windows a locked file cannot be read
    try:
        lock = FileLock(HOME / "up.lock").acquire(timeout=0)
    except Timeout:
        raise AlreadyRunning(address.read_text()) from None
    with lock:
        address.write_text(url)
        prepare(HOME)
        yield
