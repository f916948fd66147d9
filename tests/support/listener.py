"""A server of HTTP in this process, for what stands in for others or between them."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typing_extensions import Self


class QuietHandler(BaseHTTPRequestHandler):
    """Answers requests without a word on stderr."""

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""


class Listener:
    """Listens on a free port, and answers while it is entered.

    Attributes:
        origin: its address, without a path.
    """

    def __init__(self, host: str, handler: type[BaseHTTPRequestHandler]) -> None:
        """Listen on a free port of this address."""
        self._server = ThreadingHTTPServer((host, 0), handler)
        self.origin = f"http://{host}:{self._server.server_port}"

    def __enter__(self) -> Self:
        """Begin to answer."""
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
