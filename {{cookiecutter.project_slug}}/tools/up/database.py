"""A new project's database, as Prefect's migrations of an empty one leave it.

There are more than a hundred of them, and they are most of what a server's first start takes. The
server of a newer Prefect goes on from here, with the migrations that have come since.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

from packaging.version import Version

EMPTY = Path(__file__).with_name("empty-database.sql")


def prepare(home: Path) -> None:
    """Put the database there, unless there is one, or the settings name another.

    Args:
        home: the folder that is PREFECT_HOME.
    """
    database, new = home / "prefect.db", home / "prefect.db.new"
    if database.exists() or any("_DATABASE_" in name for name in os.environ):
        return
    first, _, _ = (text := EMPTY.read_text(encoding="utf-8")).partition("\n")
    if Version(version("prefect")) < Version(first.split()[-1]):
        return  # it would not know the last of the migrations
    new.unlink(missing_ok=True)
    with closing(sqlite3.connect(new)) as connection:
        connection.executescript(text)
    # What a deleted database has left, SQLite would apply to this one.
    for end in ("-wal", "-shm", "-journal"):
        (home / f"prefect.db{end}").unlink(missing_ok=True)
    new.rename(database)
