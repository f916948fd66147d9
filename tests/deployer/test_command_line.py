"""The command line teaches, keeps its exit codes, and leaves stdout to the report."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from deployer.cli.arguments import parser as _parser

from tests.baking import Project, bake_into
from tests.support.server import without_prefect

COMMANDS = [
    *("check", "environments", "setup", "plan", "deploy", "verify"),
    *("releases", "rollback", "destroy", "doctor", "export", "serve"),
]
NEEDS_311 = pytest.mark.skipif(
    sys.version_info < (3, 11), reason="Python reads TOML by itself from 3.11 on"
)


@pytest.fixture(scope="module")
def shared(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose files no test changes."""
    return bake_into(tmp_path_factory.mktemp("command line"), template)


Deployer = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def deployer(shared: Project, tmp_path: Path) -> Deployer:
    """`python -m deployer` in a process of its own; any exit code is fine."""

    def run(
        *words: str, python: tuple[str, ...] = (sys.executable,), **env: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*python, "-m", "deployer", *words],
            cwd=shared.path,
            env={**environment(tmp_path), **env},
            capture_output=True,
            encoding="utf-8",
            timeout=60,
        )

    return run


def environment(home: Path) -> dict[str, str]:
    own = {"PREFECT_HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1", "DO_NOT_TRACK": "1"}
    return {**without_prefect(os.environ), **own}


HELPS = """
import contextlib, io, json, sys
from deployer.cli import main
found = {}
for command in sys.argv[1:]:
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        main([*command.split(), "--help"])
    found[command] = out.getvalue()
print(json.dumps({"helps": found, "prefect": "prefect" in sys.modules}))
"""


@pytest.fixture(scope="module")
def answers(shared: Project) -> dict[str, object]:
    """Every help text, and whether Prefect was imported for them."""
    done = subprocess.run(
        [sys.executable, "-c", HELPS, "", *COMMANDS],
        cwd=shared.path,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def helps(answers: dict[str, Any]) -> dict[str, str]:
    """The help text of each command; "" is the whole."""
    found: dict[str, str] = answers["helps"]
    return found


def commands() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each command."""
    (action,) = (each for each in _parser()._actions if each.choices)
    return dict(action.choices or {})


def test_help_does_not_import_prefect(answers: dict[str, object]) -> None:
    assert answers["prefect"] is False


def test_the_help_of_the_whole_names_every_command_and_where_to_start(
    helps: dict[str, str],
) -> None:
    whole = helps[""]

    assert list(commands()) == COMMANDS
    assert all(f"\n    {name}" in whole for name in COMMANDS)
    for word in ("Start with: check, setup ENV", "PREFECT_API_URL", "environments.toml", "130"):
        assert word in whole


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_explains_its_options_and_shows_an_example(
    helps: dict[str, str], command: str
) -> None:
    text = helps[command]

    parser = commands()[command]
    assert [each.dest for each in parser._actions if not each.help] == []
    example = text.splitlines()[-1].removeprefix("example: python -m deployer ")
    name, *words = shlex.split(example.split(" > ")[0])
    assert name == command
    parser.parse_args(words)  # an example that is wrong would end this


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        ((), "the following arguments are required: COMMAND"),
        (("plna",), "invalid choice: 'plna'"),
        (("plan",), "the following arguments are required: ENV"),
        (("plan", "local", "--imgae", "x"), "unrecognized arguments: --imgae x"),
        (("plan", "local", "--format", "xml"), "invalid choice: 'xml'"),
        (("deploy", "local", "--timeout", "soon"), "invalid float value: 'soon'"),
        (("rollback", "local", "--to", "yesterday"), "--to: 'yesterday' is no number from 1"),
        (("rollback", "local", "--to", "0"), "--to: '0' is no number from 1"),
        (("releases", "local", "--limit", "-1"), "--limit: '-1' is no number from 1"),
    ],
)
def test_a_usage_error_is_a_sentence_and_never_reads_as_changes(
    deployer: Deployer, words: tuple[str, ...], fragment: str
) -> None:
    done = deployer(*words)

    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("error: ")
    assert fragment in done.stderr
    assert "--help`." in done.stderr


def test_check_reports_on_stdout_and_nothing_else(deployer: Deployer) -> None:
    done = deployer("check")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "3 deployments and 4 environments are fine.\n"


def test_a_fine_catalog_is_checked_without_sqlalchemy(deployer: Deployer) -> None:
    """It takes a quarter of the time of a check, and of a deploy that finds nothing to do."""
    done = deployer("check", python=(sys.executable, "-X", "importtime"))

    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "prefect" in imported
    assert "sqlalchemy" not in imported


@NEEDS_311
def test_the_environments_are_listed_by_a_python_without_packages(deployer: Deployer) -> None:
    bare = (sys.executable, "-S", "-E", "-s")

    done = deployer("environments", "--json", python=bare)

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == ["local", "preview", "staging", "production"]


@NEEDS_311
def test_an_isolated_python_lists_them_from_anywhere(shared: Project, tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(shared.path)!r}); from deployer.cli import main; "
        "sys.exit(main(['environments']))"
    )

    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        cwd=tmp_path,
        env={},
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["local", "preview", "staging", "production"]


def test_empty_variables_are_as_if_they_were_not_set(deployer: Deployer) -> None:
    """An unset secret of a pipeline arrives as an empty variable."""
    names = ["API_URL", "API_KEY", "API_AUTH_STRING", "CLIENT_CUSTOM_HEADERS", "LOGGING_LEVEL"]

    done = deployer("check", **{f"PREFECT_{name}": "" for name in names})

    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def silent() -> Iterator[tuple[str, threading.Event]]:
    """The address of a server that takes requests and never answers, and whether one came."""
    came = threading.Event()
    kept = []
    listener = socket.create_server(("127.0.0.1", 0))

    def listen() -> None:
        while True:
            try:
                kept.append(listener.accept()[0])
            except OSError:
                return
            came.set()

    threading.Thread(target=listen, daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/api", came
    for each in (listener, *kept):
        each.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize(("command", "number"), [("deploy", "SIGINT"), ("rollback", "SIGTERM")])
def test_a_signal_ends_a_waiting_command_with_130(
    shared: Project,
    tmp_path: Path,
    silent: tuple[str, threading.Event],
    command: str,
    number: str,
) -> None:
    url, came = silent
    with subprocess.Popen(
        [sys.executable, "-m", "deployer", command, "local"],
        cwd=shared.path,
        env={**environment(tmp_path), "PREFECT_API_URL": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as waiting:
        try:
            assert came.wait(60)
            time.sleep(0.2)  # into the wait for the answer
            waiting.send_signal(getattr(signal, number))
            out, err = waiting.communicate(timeout=20)
        finally:
            waiting.kill()

    assert (waiting.returncode, out) == (130, "")
    assert err == "error: Interrupted.\n"


@pytest.mark.parametrize(
    "words", [("deploy", "local"), ("releases", "local"), ("rollback", "local"), ("serve",)]
)
def test_without_an_address_no_server_is_started(
    deployer: Deployer, words: tuple[str, ...]
) -> None:
    done = deployer(*words, PREFECT_API_URL="")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: PREFECT_API_URL is not set")
    assert len(done.stderr.splitlines()) == 1


def test_a_server_that_is_not_there_is_a_sentence_and_exit_code_1(deployer: Deployer) -> None:
    done = deployer(
        "releases",
        "local",
        PREFECT_API_URL="http://127.0.0.1:9/api",
        PREFECT_CLIENT_MAX_RETRIES="0",
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert "PREFECT_API_URL" in done.stderr
    assert "Traceback" not in done.stderr
