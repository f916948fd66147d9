"""The database file for new projects equals the result of Prefect's migrations."""

from __future__ import annotations

import re
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.baking import ROOT, Project, run
from tests.support.server import EMPTY_DATABASE

PREPARE = "import sys; from pathlib import Path; from tools.up.database import prepare; "


def prepare(project: Project, home: Path, before: str = "", **env: str) -> list[str]:
    """Prepare a database in a folder, and return the names of the files in it afterwards."""
    home.mkdir(exist_ok=True)
    program = f"{before}\n{PREPARE}prepare(Path(sys.argv[1]))"
    project.run(sys.executable, "-c", program, home, env=env)
    return sorted(path.name for path in home.iterdir())


def test_it_is_what_the_locked_prefect_makes_of_an_empty_one(tmp_path: Path) -> None:
    run(sys.executable, ROOT / ".ci" / "database.py", tmp_path / "made.sql", folder=tmp_path)

    made, ours = (path.read_text() for path in (tmp_path / "made.sql", EMPTY_DATABASE))
    assert made == ours
    (version,) = re.findall(r"^-- Prefect (.+)\n", EMPTY_DATABASE.read_text())
    locked = (EMPTY_DATABASE.parents[2] / "requirements.txt").read_text()
    assert re.findall(r"^prefect==(\S+)", locked, re.MULTILINE) == [version]


def test_a_new_project_gets_it_and_what_is_there_stays(
    default_project: Project, tmp_path: Path
) -> None:
    assert prepare(default_project, tmp_path / "home") == ["prefect.db"]
    with closing(sqlite3.connect(tmp_path / "home" / "prefect.db")) as connection:
        assert connection.execute("SELECT count(*) FROM alembic_version").fetchall() == [(1,)]
        assert connection.execute("SELECT count(*) FROM flow_run").fetchall() == [(0,)]

    (tmp_path / "home" / "prefect.db").write_text("mine")
    assert prepare(default_project, tmp_path / "home") == ["prefect.db"]
    assert (tmp_path / "home" / "prefect.db").read_text() == "mine"


def test_nothing_of_a_deleted_database_comes_back(default_project: Project, tmp_path: Path) -> None:
    prepare(default_project, tmp_path)
    database = tmp_path / "prefect.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("INSERT INTO flow (name) VALUES ('old')")
        connection.commit()
        ends = ("-wal", "-shm")
        left = {end: Path(f"{database}{end}").read_bytes() for end in ends}
    database.unlink()
    for end, content in {**left, "-journal": b"old"}.items():
        Path(f"{database}{end}").write_bytes(content)

    assert prepare(default_project, tmp_path) == ["prefect.db"]
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT name FROM flow").fetchall() == []


@pytest.mark.parametrize(
    ("before", "env"),
    [
        ("import importlib.metadata as m; m.version = lambda _: '3.8.8'", {}),
        ("", {"PREFECT_SERVER_DATABASE_CONNECTION_URL": "postgresql+asyncpg://db/prefect"}),
    ],
    ids=["an older Prefect", "another database"],
)
def test_there_is_none_where_it_would_be_of_no_use(
    default_project: Project, tmp_path: Path, before: str, env: dict[str, str]
) -> None:
    assert prepare(default_project, tmp_path / "home", before, **env) == []
