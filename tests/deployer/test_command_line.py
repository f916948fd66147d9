"""The command line: help texts, exit codes, and reports on stdout only."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest
from cyclopts import App
from deployer.cli import context, terminal
from deployer.cli.commands import app

from tests.baking import Project, bake_into
from tests.support.server import without_prefect

COMMANDS = [
    *("check", "environments", "setup", "plan", "deploy", "verify"),
    *("releases", "rollback", "destroy", "doctor", "export", "import", "serve"),
]


@pytest.fixture(scope="module")
def shared(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that no test changes."""
    return bake_into(tmp_path_factory.mktemp("command line"), template)


Deployer = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def deployer(shared: Project, tmp_path: Path) -> Deployer:
    """`deployer(*words, **env)` runs `python -m deployer`; any exit code is allowed."""

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
    own["CI"] = "1"  # no progress messages if the output is not a terminal
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
    """All help texts, and whether producing them imported Prefect."""
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
    """The help text of each command; "" is that of the deployer itself."""
    found: dict[str, str] = answers["helps"]
    return found


def test_help_does_not_import_prefect(answers: dict[str, object]) -> None:
    assert answers["prefect"] is False


def test_the_help_of_the_whole_names_every_command_and_where_to_start(
    helps: dict[str, str],
) -> None:
    whole = helps[""]

    listed = [line.split()[1] for line in whole.splitlines() if line.startswith("│ ")]
    assert [name for name in listed if not name.startswith("-")] == COMMANDS
    for word in ("Start with: check, setup ENV", "PREFECT_API_URL", "environments.toml", "130"):
        assert word in whole


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_explains_its_options_and_shows_an_example(
    helps: dict[str, str], command: str
) -> None:
    text = helps[command]

    options = options_of(app[command])
    assert [name for name, explained in options.items() if not explained] == []
    assert [name for name in options if name not in text] == []
    (example,) = (line for line in text.splitlines() if line.startswith("Example: "))
    name, *words = shlex.split(example.removeprefix("Example: python -m deployer ").split(" > ")[0])
    assert name == command
    app.parse_args([name, *words])  # exits if the example is wrong


def options_of(command: App) -> dict[str, str | None]:
    """Return the help of each option that a command shows."""
    found = command.assemble_argument_collection()
    return {each.name: each.parameter.help for each in found if each.show}


def test_what_a_command_takes_is_named_with_its_default(helps: dict[str, str]) -> None:
    for name, default in [
        ("--timeout", "[default: 600]"),
        ("--lock-timeout", "[default: 600]"),
        ("--prune-limit", "[default: 50]"),
        ("--verify --no-verify", "[default: True]"),
        ("--format", "[choices: text, markdown] [default: text]"),
    ]:
        (line,) = (each for each in helps["deploy"].splitlines() if f" {name} " in each)
        assert default in line
    assert "--only" not in helps["rollback"]
    assert "--who" not in helps["deploy"]


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        ((), "No command is given."),
        (("plna",), 'Unknown command "plna". Did you mean "plan"?'),
        (("--format", "json"), 'Unknown command "--format".'),
        (("plan",), "No value for ENVIRONMENT."),
        (("plan", "--label", "pr-7"), "No value for ENVIRONMENT."),
        (("plan", "local", "pr-7"), "Unexpected argument 'pr-7'."),
        (("plan", "local", "--imgae", "x"), "Unknown option: --imgae. Did you mean --image?"),
        (("deploy", "local", "--who", "me"), "Unknown option: --who."),
        (("doctor", "local", "--environ", "x"), "Unknown option: --environ."),
        (("plan", "local", "--format", "xml"), 'Invalid value "xml" for --format. Choose from: '),
        (("deploy", "local", "--timeout", "soon"), "--timeout: 'soon' is not a number."),
        (("deploy", "local", "--timeout", "-1"), "for --timeout. Must be >= 0."),
        (("deploy", "local", "--order", "1.5"), "--order: '1.5' is not a whole number."),
        (("deploy", "local", "--image"), "No value for --image."),
        (("rollback", "local", "--to"), "No value for --to."),
        (("rollback", "local", "--to", "yesterday"), "--to: 'yesterday' is not a whole number."),
        (("rollback", "local", "--to", "0"), 'Invalid value "0" for --to. Must be >= 1.'),
        (("releases", "local", "--limit", "-1"), '"-1" for --limit. Must be >= 1.'),
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
    assert done.stdout == "3 deployments and 5 environments are fine.\n"


def test_a_fine_catalog_is_checked_without_sqlalchemy(deployer: Deployer) -> None:
    """Importing it takes a quarter of the time of a check, or of a deploy without changes."""
    done = deployer("check", python=(sys.executable, "-X", "importtime"))

    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "prefect" in imported
    assert "sqlalchemy" not in imported


def test_the_environments_are_listed_in_their_order(deployer: Deployer) -> None:
    names = ["local", "local-docker", "preview", "staging", "production"]

    assert deployer("environments").stdout.splitlines() == names
    assert json.loads(deployer("environments", "--json").stdout) == names


def test_empty_variables_are_as_if_they_were_not_set(deployer: Deployer) -> None:
    """A pipeline passes an unset secret as an empty variable."""
    names = ["API_URL", "API_KEY", "API_AUTH_STRING", "CLIENT_CUSTOM_HEADERS", "LOGGING_LEVEL"]

    done = deployer("check", **{f"PREFECT_{name}": "" for name in names})

    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def silent() -> Iterator[tuple[str, threading.Event]]:
    """The address of a server that never answers, and an event that a connection sets."""
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
            time.sleep(0.2)  # until it waits for the answer
            waiting.send_signal(getattr(signal, number))
            out, err = waiting.communicate(timeout=20)
        finally:
            waiting.kill()

    assert (waiting.returncode, out) == (130, "")
    assert err == "error: Interrupted.\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_a_signal_that_comes_later_is_handled_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(60)

    monkeypatch.setattr("deployer.server.connect", nullcontext)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with pytest.raises(asyncio.CancelledError):
            context.act(work)

        assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminals")
@pytest.mark.parametrize("pair", ["pipe", "openpty"])
def test_a_message_that_nobody_can_read_any_more_does_not_stop_a_rollback(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], pair: str
) -> None:
    terminal.console.cache_clear()
    ours, theirs = getattr(os, pair)()
    os.close(ours)
    monkeypatch.setattr(sys, "stderr", os.fdopen(theirs, "w", 1))
    try:
        with pytest.raises(OSError, match=r"Broken pipe|Input/output error"):
            os.write(theirs, b"nobody reads this")
        terminal.say("putting back a/b")
        terminal.fail("Interrupted.")
        terminal.show("The report is on stdout.")
    finally:
        terminal.console.cache_clear()
        with suppress(OSError):
            sys.stderr.close()

    assert capfd.readouterr().out == "The report is on stdout.\n"


def on_a_terminal(
    shared: Project, words: tuple[str, ...], env: dict[str, str], until: Callable[[str], bool]
) -> str:
    """Run a command in a terminal of its own, interrupt it, and return its output."""
    import pty

    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "deployer", *words],
        cwd=shared.path,
        env={**env, "COLUMNS": "80"},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        seen = b""
        try:
            while not until(seen.decode(errors="ignore")):
                seen += os.read(ours, 4096)
            process.send_signal(signal.SIGINT)
            while piece := os.read(ours, 4096):
                seen += piece
        except OSError:  # the other end is closed
            pass
        finally:
            process.kill()
            os.close(ours)
    return seen.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminals")
def test_a_command_that_takes_long_shows_on_a_terminal_that_it_works(
    shared: Project, tmp_path: Path, silent: tuple[str, threading.Event]
) -> None:
    url, came = silent
    env = {**environment(tmp_path), "PREFECT_API_URL": url, "TERM": "xterm-256color"}
    for name in ("CI", "NO_COLOR"):
        env.pop(name, None)

    def connected(seen: str) -> bool:
        return came.is_set() and "deployer releases 0:" in seen

    seen = on_a_terminal(shared, ("releases", "local"), env, connected)

    assert "deployer releases 0:" in seen
    assert "0:00" not in seen  # fast commands show none
    last = seen.replace("\r", "").rpartition("\n")[0].rpartition("\n")[2]
    assert "error:" in last
    assert "Interrupted." in last


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminals")
@pytest.mark.parametrize("plain", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_that_takes_no_escape_codes_gets_none(
    shared: Project, tmp_path: Path, silent: tuple[str, threading.Event], plain: dict[str, str]
) -> None:
    url, came = silent
    env = {**environment(tmp_path), "PREFECT_API_URL": url, "TERM": "xterm-256color"}
    for name in ("CI", "NO_COLOR"):
        env.pop(name, None)

    help = on_a_terminal(shared, ("--help",), {**env, **plain}, lambda seen: False)
    assert "Start with" in help
    assert "\x1b" not in help
    assert "\x1b" in on_a_terminal(shared, ("--help",), env, lambda seen: False)

    def a_spinner_would_show(_: str) -> bool:
        assert came.wait(60)
        time.sleep(4)
        return True

    waiting = on_a_terminal(shared, ("releases", "local"), {**env, **plain}, a_spinner_would_show)
    assert "\x1b" not in waiting
    signs, _, last = waiting.replace("^C", "").rpartition("error: ")
    assert last == "Interrupted.\r\n"
    assert signs
    assert all(re.fullmatch(r"deployer releases \d+:\d\d", line) for line in signs.splitlines())


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
