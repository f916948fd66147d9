"""A package index with a password, and wheels to serve from it."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path

from tests.support.listener import Listener, QuietHandler


def make_wheel(folder: Path, name: str, tag: str = "py3-none-any") -> Path:
    """Build version 1.0 of a package: a module that prints on import, and an invalid .py file."""
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": f"print('{name} was imported')\n",
        f"{name}_template.py": "{{ this }} is no valid Python, but some packages have such files\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    wheel = folder / f"{name}-1.0-{tag}.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(path, text)
    return wheel


def requirement(wheel: Path) -> str:
    """Return the line of requirements.txt for a wheel, with its hash."""
    name = wheel.name.partition("-")[0]
    return f"{name}==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


class PrivateIndex(Listener):
    """Serves one wheel to clients with the password.

    Attributes:
        url: the address of the index.
        wheel: the wheel that it serves.
        refused: number of requests without the password.
        served: number of downloads of the wheel.
    """

    def __init__(self, host: str, wheel: Path, user: str, password: str) -> None:
        """Bind to a free port of this address. The index answers inside of `with`."""
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        name = wheel.name.partition("-")[0].replace("_", "-")
        index, self.wheel = self, wheel
        self.refused = self.served = 0

        class Handler(QuietHandler):
            def do_GET(self) -> None:
                if self.headers["Authorization"] != f"Basic {token}":
                    index.refused += 1
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="index"')
                    self.end_headers()
                elif self.path == f"/simple/{name}/":
                    self.answer("text/html", f'<a href="/{wheel.name}">{wheel.name}</a>'.encode())
                elif self.path == f"/{wheel.name}":
                    index.served += 1
                    self.answer("application/octet-stream", wheel.read_bytes())
                else:
                    self.send_error(404)

            do_HEAD = do_GET

            def answer(self, kind: str, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

        super().__init__(host, Handler)
        self.url = f"{self.origin}/simple"
