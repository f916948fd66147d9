"""A Prefect server process, and the environment for clients that use only this server."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.baking import ROOT, TEMPLATE_FOLDER
from tests.support.processes import Process, free_port

if TYPE_CHECKING:
    from typing import Self

EMPTY_DATABASE = ROOT / TEMPLATE_FOLDER / "tools" / "up" / "empty-database.sql"


def without_prefect(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without PREFECT_ variables."""
    return {key: value for key, value in environment.items() if not key.startswith("PREFECT_")}


def _make_database(file: Path) -> None:
    """Create the SQLite database of a new server, as a project's `up` does."""
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(EMPTY_DATABASE.read_text(encoding="utf-8"))


class PrefectServer(Process):
    """`prefect server start` with its database in `home`, so that a restart keeps the data.

    Attributes:
        api_url: the API's address for clients.
        env: the complete environment for clients; it keeps them away from the user's own files.
    """

    name = "prefect-server"

    def __init__(
        self,
        python: Path | str,
        home: Path | str,
        *,
        host: str = "127.0.0.1",
        port: int | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare a server. It starts with `start` or `with`.

        Args:
            python: an interpreter that has Prefect.
            home: a folder for the database, the log and the clients' settings.
            host: the address to listen on.
            port: the port, by default a free one; a restart keeps it.
            env: more environment variables for the server and for clients.
        """
        super().__init__(Path(home))
        self.python = Path(python)
        self.host = host
        self.port = port or free_port(host)
        self.api_url = f"http://{host}:{self.port}/api"
        self.env = without_prefect(os.environ) | {
            "HOME": str(self.folder),
            "PREFECT_HOME": str(self.folder),
            "PREFECT_PROFILES_PATH": str(self.folder / "profiles.toml"),
            "PREFECT_API_URL": self.api_url,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "CI": "true",  # no progress messages, which depend on timing
            **(env or {}),
        }

    def command(self) -> list[str | Path]:
        """Return the command line."""
        where = ["--host", self.host, "--port", str(self.port)]
        return [self.python, "-m", "prefect", "server", "start", *where]

    def environment(self) -> dict[str, str]:
        """Return the clients' environment without the API's address."""
        return {key: value for key, value in self.env.items() if key != "PREFECT_API_URL"}

    def start(self) -> Self:
        """Start the server and wait until it answers. The first start uses an empty database."""
        database = self.folder / "prefect.db"
        uses_another = any("_DATABASE_" in name for name in self.env)
        is_ours = self.python == Path(sys.executable)  # an older Prefect migrates by itself
        if is_ours and not uses_another and not database.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            _make_database(database)
        return super().start()

    def is_ready(self) -> bool:
        """Return whether the server answers."""
        try:
            self.request("GET", "/health")
        except OSError as error:
            # A server with an auth string is ready when it refuses this request.
            return isinstance(error, urllib.error.HTTPError) and error.code in (
                401,
                403,
            )
        return True

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """Send one request to the API and return the answer.

        A busy SQLite causes 503: try again, as Prefect's own client does.
        """
        request = urllib.request.Request(
            self.api_url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        if auth := self.env.get("PREFECT_API_AUTH_STRING"):
            token = base64.b64encode(auth.encode()).decode()
            request.add_header("Authorization", f"Basic {token}")
        for wait in (1, 2, 4, 8, None):
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    text = answer.read()
                return json.loads(text) if text else None
            except urllib.error.HTTPError as error:
                if error.code != 503 or wait is None:
                    raise
                time.sleep(wait)
        raise AssertionError("unreachable")
