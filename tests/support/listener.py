"""A server of HTTP in this process, for what stands in for others or between them."""

from __future__ import annotations

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class QuietHandler(BaseHTTPRequestHandler):
    """Answers requests without a word on stderr."""

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""


class Listener:
    """Listens on a free port, and answers while it is entered.

    Attributes:
        origin: its address, without a path.
    """

    def __init__(
        self, host: str, handler: type[BaseHTTPRequestHandler], tls: ssl.SSLContext | None = None
    ) -> None:
        """Listen on a free port of this address, with TLS where its context is given."""
        self._server = ThreadingHTTPServer((host, 0), handler)
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.origin = f"http{'s' if tls else ''}://{host}:{self._server.server_port}"

    def __enter__(self) -> Self:
        """Begin to answer."""
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
