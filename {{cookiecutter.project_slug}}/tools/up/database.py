"""Creates a new project's database, in the state after Prefect's migrations.

The migrations, more than a hundred, take most of the time of a server's first start. The server of
a newer Prefect runs only those that were added since.
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
    """Create the database, unless it exists or the settings name another one.

    Args:
        home: the folder that is PREFECT_HOME.
    """
    database, new = home / "prefect.db", home / "prefect.db.new"
    if database.exists() or any("_DATABASE_" in name for name in os.environ):
        return
    first, _, _ = (text := EMPTY.read_text(encoding="utf-8")).partition("\n")
    if Version(version("prefect")) < Version(first.split()[-1]):
        return  # the installed Prefect does not have the newest migrations
    new.unlink(missing_ok=True)
    with closing(sqlite3.connect(new)) as connection:
        connection.executescript(text)
    # SQLite would apply to this database what a deleted one has left behind.
    for end in ("-wal", "-shm", "-journal"):
        (home / f"prefect.db{end}").unlink(missing_ok=True)
    new.rename(database)
