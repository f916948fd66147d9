"""A temporary Redis server that stores nothing on disk."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

from tests.support.docker import skip_or_fail
from tests.support.processes import Process, free_port


class Redis(Process):
    """`redis-server` on loopback.

    Attributes:
        url: its address, without the number of a database.
    """

    name = "redis"

    def __init__(self, folder: Path) -> None:
        """Prepare a server. Skip (fail with CI set) if Redis is not installed."""
        if shutil.which("redis-server") is None:
            skip_or_fail("there is no redis-server on PATH: it is a Debian package of that name")
        super().__init__(folder)
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"

    def command(self) -> list[str | Path]:
        """Return the command line."""
        options = ["--bind", "127.0.0.1", "--port", str(self.port), "--save", ""]
        return ["redis-server", *options, "--dir", self.folder]

    def is_ready(self) -> bool:
        """Return whether the server answers."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False
