"""The pipeline's installation of packages from an index with a password."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.baking import Project
from tests.support.index import PrivateIndex, make_wheel, requirement

CANARY = "canary-index-password"
NETRC = f"machine 127.0.0.1 login someone password {CANARY}\n"
INSTALL = [sys.executable, "-m", "tools.install", ".venv", "private.txt"]
# A uv that records its arguments and environment instead of installing.
UV = """\
#!/bin/sh
[ "$1" = pip ] || exit 0
{ echo "arguments: $*"; env; } >"$NOTES/seen"
find "$TMPDIR" -type f >"$NOTES/files"
cat "$NETRC" "$NETRC" >"$NOTES/read"
exit 1
"""


@pytest.fixture
def index(tmp_path: Path) -> Iterator[PrivateIndex]:
    """An index on this machine with one package."""
    wheel = make_wheel(tmp_path, "acme_weather")
    with PrivateIndex("127.0.0.1", wheel, "someone", CANARY) as index:
        yield index


@pytest.fixture
def project(bake: Callable[..., Project], index: PrivateIndex, tmp_path: Path) -> Project:
    """A project with a requirements file for the index's package."""
    project = bake()
    text = f"--extra-index-url {index.url}\n\n{requirement(next(tmp_path.glob('*.whl')))}"
    (project.path / "private.txt").write_text(text)
    return project


def test_the_text_of_a_netrc_opens_a_package_index(project: Project, index: PrivateIndex) -> None:
    cache = {"UV_CACHE_DIR": str(project.path / "cache"), "NETRC": "/nowhere"}
    for netrc in ({}, {"NETRC_TEXT": ""}, {"NETRC_TEXT": NETRC.replace("canary", "wrong")}):
        refused = project.run(*INSTALL, exit_code=1, env={**cache, **netrc})
        assert "lack of valid authentication credentials (401" in refused.stderr
        assert "Traceback" not in refused.stderr
    assert not index.served

    done = project.run(*INSTALL, env={**cache, "NETRC_TEXT": NETRC})

    assert index.served
    assert CANARY not in done.stdout + done.stderr
    command = [project.path / ".venv/bin/python", "-c", "import acme_weather"]
    assert project.run(*command).stdout == "acme_weather was imported\n"
    # Installed packages are not requested again, so later calls need no password.
    refused_before = index.refused
    project.run(*INSTALL, env=cache)
    assert index.refused == refused_before


def test_the_text_of_a_netrc_has_no_name_in_any_folder_and_reaches_uv_alone(
    project: Project, tmp_path: Path
) -> None:
    notes, temporary = tmp_path / "notes", tmp_path / "temporary"
    for folder in (notes, temporary, tmp_path / "bin"):
        folder.mkdir()
    uv = tmp_path / "bin" / "uv"
    uv.write_text(UV)
    uv.chmod(0o755)
    settings = {"NOTES": str(notes), "TMPDIR": str(temporary), "NETRC_TEXT": NETRC}

    project.run(*INSTALL, exit_code=1, env={**settings, "PATH": f"{uv.parent}:/usr/bin:/bin"})

    assert (notes / "read").read_text() == 2 * NETRC, "uv must be able to read it more than once"
    seen = (notes / "seen").read_text()
    assert "arguments: pip install --quiet --python=.venv" in seen
    assert "NETRC=/dev/fd/" in seen
    assert CANARY not in seen
    assert (notes / "files").read_text() == ""
    assert list(temporary.iterdir()) == []


def test_without_uv_it_says_where_to_get_it(project: Project) -> None:
    answer = project.run(*INSTALL, exit_code=1, env={"PATH": "/nowhere"})
    assert answer.stderr.startswith("error: uv is not on PATH: https://docs.astral.sh/uv/")


def test_the_pipelines_uv_is_of_one_version_and_is_asked_of_the_same_index(
    project: Project, index: PrivateIndex, tmp_path: Path
) -> None:
    command = [*INSTALL[:3], "--uv", str(tmp_path / "uv"), *INSTALL[3:]]
    path = tmp_path / "path"
    environment = {"UV_CACHE_DIR": str(tmp_path / "cache"), "GITHUB_PATH": str(path)}

    done = project.run(*command, env={**environment, "NETRC_TEXT": NETRC})

    assert CANARY not in done.stdout + done.stderr
    assert path.read_text() == f"{tmp_path}/uv/bin\n"
    pinned = project.read("requirements-uv.txt").partition("uv==")[2].split()[0]
    assert f"uv {pinned}" in project.run(tmp_path / "uv/bin/uv", "--version").stdout

    # A file with another hash is refused.
    text = project.read("requirements-uv.txt")
    (project.path / "requirements-uv.txt").write_text(
        re.sub("sha256:.{8}", "sha256:00000000", text)
    )
    command[4] = str(tmp_path / "another")
    refused = project.run(*command, exit_code=1, env={**environment, "NETRC_TEXT": NETRC})
    assert "DO NOT MATCH THE HASHES" in refused.stderr
