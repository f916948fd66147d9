"""Writes what a Prefect server makes of an empty database: `python .ci/database.py FILE`.

More than a hundred migrations lead there. The projects' servers begin with the file, and so take
seconds less to start for the first time. It is written with the Prefect of the Python that runs it.
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
    """Make the database in a folder and return its file."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    env = kept | {"HOME": str(home), "PREFECT_HOME": str(home), "DO_NOT_TRACK": "1"}
    command = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"]
    subprocess.run(command, env=env, check=True, capture_output=True, timeout=300)
    (file,) = home.glob("prefect.db*")  # nothing of it is in a journal any more
    return file


def sort_constraints(found: re.Match[str]) -> str:
    """Sort a table's constraints, whose order is another one each time."""
    *lines, last = sorted(line.rstrip(",") for line in found[0].splitlines())
    return "".join(f"{line},\n" for line in lines) + f"{last}\n"


def sql(database: Path) -> str:
    """Return the statements that make such a database."""
    connection = sqlite3.connect(database)
    try:
        text = "\n".join(connection.iterdump())
    finally:
        connection.close()
    text = re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)
    text = re.sub(r"(^\tCONSTRAINT .*\n)+(?=\);)", sort_constraints, text, flags=re.MULTILINE)
    # So is that of a table's indexes.
    indexes = re.compile(r"(^CREATE (UNIQUE )?INDEX .*;\n)+", re.MULTILINE)
    text = indexes.sub(lambda found: "".join(sorted(found[0].splitlines(keepends=True))), text)
    return f"-- Prefect {version('prefect')}\n{text}\n"


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        Path(sys.argv[1]).write_text(sql(migrate(Path(folder))), encoding="utf-8")
