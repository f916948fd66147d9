"""A PostgreSQL server of its own, in a folder that goes away with it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from tests.support.docker import unavailable
from tests.support.processes import Process

# Debian keeps all but the clients off PATH: /usr/lib/postgresql/VERSION/bin.
INSTALLED = Path("/usr/lib/postgresql")
# The server refuses to run as root; it then runs as the first of these that exists.
USERS = ("postgres", "nobody")


def programs() -> Path | None:
    """Return the folder of the newest PostgreSQL, None where there is none."""
    found = [path.parent for path in INSTALLED.glob("*/bin/initdb")]
    if found:
        return max(found, key=lambda path: float(path.parent.name))
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


def need_postgres() -> Path:
    """Return the folder of the programs, or skip (fail, with CI set) where they are missing."""
    found = programs()
    if found is None:
        unavailable("there is no PostgreSQL (initdb): it is the Debian package postgresql")
        raise AssertionError("unreachable")
    return found


class Postgres(Process):
    """`postgres` with its data and its socket in a folder of its user's.

    Attributes:
        url: what Prefect calls PREFECT_API_DATABASE_CONNECTION_URL.
    """

    name = "postgres"

    def __init__(self, bin_folder: Path, folder: Path, *, port: int | None = None) -> None:
        """Prepare a server; nothing runs before `start` or `with`.

        Args:
            bin_folder: where `initdb` and `postgres` are.
            folder: an empty one, whose parents everybody may enter.
            port: where it listens on loopback too; None is nowhere.
        """
        super().__init__(folder)
        self.bin = bin_folder
        self.port = port
        self.url = f"postgresql+asyncpg://prefect@/postgres?host={quote(str(self.folder))}"
        self._as_user: list[str] = []

    def create(self) -> None:
        """Make an empty database, with the whole folder in the hands of its user."""
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
        """Return the command line: nothing but this machine reaches it or survives its crash."""
        settings = [f"unix_socket_directories={self.folder}", "fsync=off"]
        settings += [f"listen_addresses={'127.0.0.1' if self.port else ''}"]
        settings += [f"port={self.port}"] if self.port else []
        options = [f"--{setting}" for setting in settings]
        return [*self._as_user, self.bin / "postgres", "-D", self.folder / "data", *options]

    def is_ready(self) -> bool:
        """Return whether the server takes connections."""
        where = ["--host", str(self.folder), "--username=prefect", "--dbname=postgres"]
        where += [f"--port={self.port}"] if self.port else []
        return subprocess.run([self.bin / "pg_isready", "--quiet", *where]).returncode == 0


@contextmanager
def temporary_postgres(port: int | None = None) -> Iterator[Postgres]:
    """Run an empty PostgreSQL; skip (fail, with CI set) where it is not installed."""
    bin_folder = need_postgres()
    # Not in pytest's own folder, which nobody else may enter.
    with TemporaryDirectory(prefix="postgres-") as folder:
        server = Postgres(bin_folder, Path(folder), port=port)
        server.create()
        with server:
            yield server


def _unprivileged() -> tuple[int, int]:
    """Return user and group of whoever runs the server in the place of root."""
    import pwd

    for name in USERS:
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return entry.pw_uid, entry.pw_gid
    raise RuntimeError(f"There is no user {' or '.join(USERS)}, and PostgreSQL refuses root.")
