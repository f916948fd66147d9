"""Write a new Prefect server's database as SQL statements: `python .ci/database.py FILE`.

A new server runs more than a hundred migrations. The servers of projects load this file instead, so
their first start is seconds faster. Run it with a Python that has the wanted version of Prefect.
"""

import os
import re
import sqlite3
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory


def migrate(home: Path) -> Path:
    """Create the database in a folder and return its file."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    env = kept | {"HOME": str(home), "PREFECT_HOME": str(home), "DO_NOT_TRACK": "1"}
    command = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"]
    subprocess.run(command, env=env, check=True, capture_output=True, timeout=300)
    (file,) = home.glob("prefect.db*")  # exactly one file: no journal is left
    return file


def sort_constraints(found: re.Match[str]) -> str:
    """Sort a table's constraints: Prefect creates them in a different order each time."""
    *lines, last = sorted(line.rstrip(",") for line in found[0].splitlines())
    return "".join(f"{line},\n" for line in lines) + f"{last}\n"


def sql(database: Path) -> str:
    """Return the SQL statements that create the same database."""
    connection = sqlite3.connect(database)
    try:
        text = "\n".join(connection.iterdump())
    finally:
        connection.close()
    text = re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)
    text = re.sub(r"(^\tCONSTRAINT .*\n)+(?=\);)", sort_constraints, text, flags=re.MULTILINE)
    # The order of a table's indexes differs each time too.
    indexes = re.compile(r"(^CREATE (UNIQUE )?INDEX .*;\n)+", re.MULTILINE)
    text = indexes.sub(lambda found: "".join(sorted(found[0].splitlines(keepends=True))), text)
    return f"-- Prefect {version('prefect')}\n{text}\n"


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        Path(sys.argv[1]).write_text(sql(migrate(Path(folder))), encoding="utf-8")
