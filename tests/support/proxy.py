"""A proxy in front of a Prefect server that injects faults."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

from tests.support.listener import Listener, QuietHandler

READS = ("/filter", "/paginate", "/count")
AT_ONCE = {"Retry-After": "0"}
BUSY = 8  # requests that a busy server refuses, more than the retries of Prefect's client
HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}


class Proxy(Listener):
    """Forwards HTTP to a server and injects a fault at the k-th writing request.

    Attributes:
        api_url: the API's address for clients.
        writes: method and path of every writing request, in order.
    """

    def __init__(
        self,
        target: str,
        kind: str = "none",
        k: int = 0,
        then: Callable[[], None] | None = None,
        *,
        path: str = "",
        host: str = "127.0.0.1",
        header: tuple[str, str] | None = None,
    ) -> None:
        """Listen on a free port.

        Args:
            target: the API's address.
            kind: `drop` closes the connection before forwarding, `cut` after forwarding and before
                the answer, `delay` waits two seconds, a status such as `500` is sent as the answer,
                `gone` drops this request and all later ones, `busy` answers 503 like a busy SQLite
                until the request was sent eight times, `none` only forwards.
            k: the number of the writing request, from 1.
            then: called when that request arrives, before anything else.
            path: count only requests whose path contains this text.
            host: the address to listen on.
            header: name and value; requests without this header get 403, as from a gateway.
        """
        self.target = urlsplit(target)
        self.header = header
        self.kind, self.k, self.then, self.path = kind, k, then, path
        self.writes: list[str] = []
        self._guard = threading.Lock()
        proxy = self

        class Handler(QuietHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                proxy._pass(self)

            do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

        super().__init__(host, Handler)
        self.api_url = self.origin + self.target.path

    def _fault(self, method: str, path: str) -> str:
        if method == "GET" or path.endswith(READS):
            return "gone" if self.kind == "gone" and len(self.writes) >= self.k else "none"
        with self._guard:
            self.writes.append(f"{method} {path}")
            number = sum(self.path in each for each in self.writes) if self.path in path else 0
        if number == self.k and self.then:
            self.then()
        if self.kind == "gone" and number >= self.k > 0:
            return "gone"
        if self.kind == "busy":
            tried = self.writes[self.k - 1 :]
            return "busy" if tried and tried.count(tried[0]) <= BUSY else "none"
        return self.kind if number == self.k else "none"

    def _pass(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        if self.header and handler.headers.get(self.header[0]) != self.header[1]:
            return _refuse(handler, 403)
        fault = self._fault(handler.command, urlsplit(handler.path).path)
        if fault in ("drop", "gone"):
            return _close(handler)
        if fault == "busy":
            return _refuse(handler, 503, {})
        if fault.isdigit():
            return _refuse(handler, int(fault))
        if fault == "delay":
            time.sleep(2)
        try:
            answer, data = self._forward(handler, body)
        except OSError:
            return _close(handler)
        if fault == "cut":
            return _close(handler)
        handler.send_response_only(answer.status)  # without a second Date header
        for name, value in answer.getheaders():
            if name.lower() not in HOP:
                handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    def _forward(
        self, handler: BaseHTTPRequestHandler, body: bytes
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection(
            str(self.target.hostname), self.target.port, timeout=60
        )
        headers = {k: v for k, v in handler.headers.items() if k.lower() not in HOP}
        connection.request(handler.command, handler.path, body or None, headers)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer, data


def _refuse(
    handler: BaseHTTPRequestHandler, status: int, headers: Mapping[str, str] = AT_ONCE
) -> None:
    handler.send_response(status)
    for name, value in {**headers, "Content-Length": "0"}.items():
        handler.send_header(name, value)
    handler.end_headers()


def _close(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)
