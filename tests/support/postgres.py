"""A temporary PostgreSQL server with its data in a temporary folder."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from tests.support.docker import skip_or_fail
from tests.support.processes import Process

# Debian installs the server's programs outside PATH, in /usr/lib/postgresql/VERSION/bin.
INSTALLED = Path("/usr/lib/postgresql")
# PostgreSQL refuses to run as root. For root it runs as the first of these users that exists.
USERS = ("postgres", "nobody")


def programs() -> Path | None:
    """Return the folder with the programs of the newest PostgreSQL, or None."""
    found = [path.parent for path in INSTALLED.glob("*/bin/initdb")]
    if found:
        return max(found, key=lambda path: float(path.parent.name))
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


def need_postgres() -> Path:
    """Return the folder of PostgreSQL's programs. Skip (fail with CI set) if there is none."""
    found = programs()
    if found is None:
        skip_or_fail("there is no PostgreSQL (initdb): it is the Debian package postgresql")
        raise AssertionError("unreachable")
    return found


class Postgres(Process):
    """`postgres` with its data and its socket in a folder.

    Attributes:
        url: the value for PREFECT_API_DATABASE_CONNECTION_URL.
    """

    name = "postgres"

    def __init__(self, bin_folder: Path, folder: Path, *, port: int | None = None) -> None:
        """Prepare a server. It starts with `start` or `with`.

        Args:
            bin_folder: the folder of `initdb` and `postgres`.
            folder: an empty folder whose parents all users may enter.
            port: a port to listen on at 127.0.0.1 too, or None.
        """
        super().__init__(folder)
        self.bin = bin_folder
        self.port = port
        self.url = f"postgresql+asyncpg://prefect@/postgres?host={quote(str(self.folder))}"
        self._as_user: list[str] = []

    def create(self) -> None:
        """Create an empty database, and give the folder to the server's user."""
        if os.geteuid() == 0:
            user, group = _unprivileged()
            os.chown(self.folder, user, group)
            who = [f"--reuid={user}", f"--regid={group}", "--clear-groups"]
            self._as_user = ["setpriv", *who, "--"]
        options = ["--username=prefect", "--auth=trust", "--encoding=UTF8", "--locale=C"]
        done = subprocess.run(
            [*self._as_user, self.bin / "initdb", self._data, *options, "--no-sync"],
            cwd=self.folder,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    @property
    def _data(self) -> str:
        return f"--pgdata={self.folder / 'data'}"

    def command(self) -> list[str | Path]:
        """Return the command line. The server is only reachable locally and never calls fsync."""
        settings = [f"unix_socket_directories={self.folder}", "fsync=off"]
        settings += [f"listen_addresses={'127.0.0.1' if self.port else ''}"]
        settings += [f"port={self.port}"] if self.port else []
        options = [f"--{setting}" for setting in settings]
        return [*self._as_user, self.bin / "postgres", "-D", self.folder / "data", *options]

    def is_ready(self) -> bool:
        """Return whether the server accepts connections."""
        where = ["--host", str(self.folder), "--username=prefect", "--dbname=postgres"]
        where += [f"--port={self.port}"] if self.port else []
        return subprocess.run([self.bin / "pg_isready", "--quiet", *where]).returncode == 0


@contextmanager
def temporary_postgres(port: int | None = None) -> Iterator[Postgres]:
    """Run an empty PostgreSQL server. Skip (fail with CI set) if it is not installed."""
    bin_folder = need_postgres()
    # Not in pytest's temporary folder, which other users may not enter.
    with TemporaryDirectory(prefix="postgres-") as folder:
        server = Postgres(bin_folder, Path(folder), port=port)
        server.create()
        with server:
            yield server


def _unprivileged() -> tuple[int, int]:
    """Return the ids of the user and group that run the server instead of root."""
    import pwd

    for name in USERS:
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return entry.pw_uid, entry.pw_gid
    raise RuntimeError(f"There is no user {' or '.join(USERS)}, and PostgreSQL refuses root.")
