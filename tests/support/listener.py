"""An HTTP server in this process, for stand-ins and proxies."""

from __future__ import annotations

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class QuietHandler(BaseHTTPRequestHandler):
    """Answers requests without logging to stderr."""

    def log_message(self, format: str, *arguments: Any) -> None:
        """Log nothing."""


class Listener:
    """Listens on a free port, and answers inside of `with`.

    Attributes:
        origin: its scheme, host and port.
    """

    def __init__(
        self, host: str, handler: type[BaseHTTPRequestHandler], tls: ssl.SSLContext | None = None
    ) -> None:
        """Listen on a free port of this address, with TLS if a context is given."""
        self._server = ThreadingHTTPServer((host, 0), handler)
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.origin = f"http{'s' if tls else ''}://{host}:{self._server.server_port}"

    def __enter__(self) -> Self:
        """Start answering."""
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
