"""This machine's ports, and the project's home on it: its settings, and who may use them."""

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
# One for all requests: to make one is to read all certificates, 20 ms of processor time. It keeps
# no connection, which the server might close just when the next request is sent.
HTTP = httpx.Client(trust_env=False, timeout=30, limits=httpx.Limits(max_keepalive_connections=0))


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def check_port(port: int) -> None:
    """See to it that a server can listen on this port.

    Raises:
        DeployerError: it cannot; most often because another program does.
    """
    try:
        socket.create_server((HOST, port)).close()
    except (OSError, OverflowError) as error:
        raise DeployerError(
            f"Port {port} cannot be used: {error}. "
            "End what listens there, choose another port, or leave --port out for a free one."
        ) from None


def answers(url: str) -> bool:
    """Tell whether an address of this machine answers."""
    try:
        return HTTP.get(url, timeout=2).is_success
    except httpx.HTTPError:
        return False


def isolate(url: str, *, once: bool = False) -> None:
    """Point this process and its children at this server; their home is the project's own.

    Any other PREFECT_ variable is meant for another server, and might name its database or keys.

    Args:
        url: the server's address.
        once: everything ends with the smoke runs, so nobody asks whether a run is still there.
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
        # At its end a flow that is no coroutine waits up to a second for the thread of its
        # heartbeats, and so does each subflow. Only as JSON can this setting be none.
        os.environ["PREFECT_FLOWS"] = '{"heartbeat_frequency": null}'
    os.chdir(ROOT)


class Taken(DeployerError):
    """The project's database has a server already.

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
    """Make the project's database, and keep others from starting a server on it.

    However this process ends, the system takes the lock back.

    Args:
        url: the address that the server is going to have.

    Raises:
        Taken: there is a server.
    """
    HOME.mkdir(exist_ok=True)
    address = HOME / "up.url"  # on Windows a locked file cannot be read
    try:
        lock = FileLock(HOME / "up.lock").acquire(timeout=0)
    except Timeout:
        raise Taken(address.read_text()) from None
    with lock:
        address.write_text(url)
        prepare(HOME)
        yield
