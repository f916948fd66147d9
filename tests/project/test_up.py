"""`up` and `demo`: everything runs, and no process or file remains."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from tests.baking import TEMPLATE_FOLDER, Project
from tests.project.conftest import Command
from tests.support.docker import docker, need_docker
from tests.support.processes import free_port
from tests.support.waiting import eventually

Start = Callable[..., Command]
UP = ("uvx", "nox", "-s", "up", "--")
TERMINAL = "import pty, sys; pty.spawn(sys.argv[1:])"


def table(output: str) -> dict[str, list[str]]:
    """Return the states of the flow runs by deployment, from the table at the end."""
    rows: dict[str, list[str]] = {}
    for name, state in re.findall(
        r"^([a-z-]+/[a-z-]+) +\S+ +(\S+) +[\d.-]+$", output, re.MULTILINE
    ):
        rows.setdefault(name, []).append(state)
    return rows


def assert_everything_ran(command: Command, suffix: str = "") -> None:
    code = command.wait()
    assert code == 0, command.output
    rows = table(command.output)
    names = ["basic-data-flow/hourly", "advanced-flow/nightly", "advanced-flow/manual"]
    assert rows.keys() == {f"{name}{suffix}" for name in names}
    assert "Completed" in rows[f"basic-data-flow/hourly{suffix}"]
    assert "Completed" in rows[f"advanced-flow/nightly{suffix}"]
    assert re.search(r"^smoke runs +[\d.]+$", command.output, re.MULTILINE)
    assert re.search(r"^3 deployments, [2-9] completed runs$", command.output, re.MULTILINE)


@pytest.fixture
def clone(template: Path, tmp_path: Path) -> Path:
    """A clone of this repository."""
    return Path(shutil.copytree(template, tmp_path / "a clone"))


def test_the_demo_runs_in_a_clone_and_leaves_neither_process_nor_file(
    clone: Path, start: Start, home: Path, tmp_path: Path
) -> None:
    temporary = tmp_path / "temporary files"
    temporary.mkdir()

    demo = start(clone, "uvx", "nox", "-s", "demo", TMPDIR=str(temporary))

    assert_everything_ran(demo)
    demo.leaves_nothing()
    assert list(home.iterdir()) == []
    assert [path.name for path in temporary.iterdir() if "demo" in path.name] == []
    assert not (clone / TEMPLATE_FOLDER / ".prefect").exists()


def test_the_demo_in_containers_leaves_no_container(
    clone: Path, start: Start, tmp_path: Path
) -> None:
    need_docker()
    # Only `up --docker` has this work pool; other tests run images with the same name.
    ours = ("ps", "--all", "--quiet", "--filter=label=io.prefect.work-pool-name=local-docker")
    before = set(docker(*ours).split())

    demo = start(clone, "uvx", "nox", "-s", "demo", "--", "--docker", TMPDIR=str(tmp_path))

    assert_everything_ran(demo, "-docker")
    demo.leaves_nothing()
    assert set(docker(*ours).split()) - before == set()
    assert re.search(r"127\.0\.0\.1:\d+/my-prefect-flows@sha256:", demo.output)


def releases(up: Command) -> list[str]:
    """Return the verification states of the releases on the server of an `up`."""
    (url,) = re.findall(r"The UI is at (\S+)\. Ctrl-C", up.output)
    where = {"artifacts": {"key": {"like_": "release-%"}}}
    request = Request(f"{url}/api/artifacts/filter", json.dumps(where).encode())
    request.add_header("Content-Type", "application/json")
    with urlopen(request, timeout=30) as answer:
        rows = json.load(answer)
    return [word for row in rows for word in re.findall(r'"verified": "([\w ]+)"', row["data"])]


def heartbeats(project: Project) -> int:
    """Return the number of heartbeats of flow runs in the project's database."""
    with closing(sqlite3.connect(project.path / ".prefect" / "prefect.db")) as connection:
        where = "event = 'prefect.flow-run.heartbeat'"
        (number,) = connection.execute(f"SELECT COUNT(*) FROM events WHERE {where}").fetchone()  # noqa: S608
    return int(number)


def test_ctrl_c_is_the_end_of_up_and_the_next_one_changes_nothing(
    committed: Project, start: Start, home: Path
) -> None:
    # Settings for another server: none of them may affect the server that `up` starts.
    settings = {
        "PREFECT_API_URL": "http://127.0.0.1:9/api",
        "PREFECT_API_KEY": "not-for-this-server",
        "PREFECT_PROFILE": "there-is-none",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": "postgresql+asyncpg://127.0.0.1:9/production",
    }
    up = start(committed.path, *UP, **settings)
    up.wait_for("The UI is at")
    assert releases(up) == ["verified"]
    os.killpg(up.process.pid, signal.SIGINT)  # as a terminal does for the foreground processes
    assert up.wait(60) == 0, up.output
    up.leaves_nothing(within=0)
    assert (before := heartbeats(committed)) > 0

    again = start(committed.path, *UP, "--once", **settings)

    assert_everything_ran(again)
    assert "3 unchanged" in again.output
    again.leaves_nothing(within=0)
    assert heartbeats(committed) == before  # `--once` turns heartbeats off
    assert list(home.iterdir()) == []
    assert committed.run("git", "status", "--short").stdout == ""


def test_a_second_up_in_the_same_project_says_where_the_first_is_and_leaves_it_alone(
    committed: Project, start: Start
) -> None:
    port = free_port()
    up = start(committed.path, *UP, "--port", str(port))
    up.wait_for("server …")

    second = start(committed.path, *UP, "--once")

    assert second.wait() == 1
    assert f"in this project already, with its UI at http://127.0.0.1:{port}." in second.output
    assert "Traceback" not in second.output
    up.wait_for("smoke runs …")
    up.process.send_signal(signal.SIGTERM)
    up.wait(60)
    up.leaves_nothing(within=0)


def wait_until_served(serve: Command, began: datetime) -> None:
    """Wait until the runner asks for runs: its own handling of Ctrl-C begins before that."""
    serve.wait_for("Your deployments are being served")
    (url,) = re.findall(r"^The UI is at (\S+)\.$", serve.output, re.MULTILINE)
    request = Request(f"{url}/api/deployments/filter", b"{}", {"Content-Type": "application/json"})

    def is_polled() -> bool:
        with urlopen(request, timeout=30) as answer:
            rows = json.load(answer)
        polls = [row["last_polled"] for row in rows if row["name"] == "hourly-serve"]
        return any(poll and datetime.fromisoformat(poll) > began for poll in polls)

    eventually(is_polled, about=lambda: serve.output)


def test_serve_starts_a_server_and_ctrl_c_ends_both(committed: Project, start: Start) -> None:
    began = datetime.now(UTC)
    serve = start(committed.path, "uvx", "nox", "-s", "serve")
    wait_until_served(serve, began)
    assert "basic-data-flow/hourly-serve" in serve.output
    os.killpg(serve.process.pid, signal.SIGINT)

    assert serve.wait(60) == 0, serve.output
    assert "Traceback" not in serve.output
    serve.leaves_nothing(within=0)


def test_beside_a_server_of_the_project_serve_uses_it_and_up_is_refused(
    committed: Project, start: Start
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    options = ("--", "--port", str(port))
    server = start(
        committed.path, "uvx", "nox", "-s", "server", *options, PREFECT_API_URL=f"{url}/api"
    )
    server.wait_for("Check out the dashboard")

    up = start(committed.path, *UP, "--once")
    assert up.wait() == 1
    assert f"A server is running in this project already, with its UI at {url}." in up.output

    began = datetime.now(UTC)
    serve = start(committed.path, "uvx", "nox", "-s", "serve")
    wait_until_served(serve, began)
    assert f"The UI is at {url}." in serve.output
    os.killpg(serve.process.pid, signal.SIGINT)
    assert serve.wait(60) == 0, serve.output
    os.killpg(server.process.pid, signal.SIGINT)
    assert server.wait(60) in (0, 130), server.output
    server.leaves_nothing(within=5)


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("server …", signal.SIGTERM),
        ("smoke runs …", signal.SIGINT),
        ("smoke runs …", signal.SIGTERM),
    ],
)
def test_a_signal_before_it_is_up_ends_everything(
    committed: Project, start: Start, moment: str, number: signal.Signals
) -> None:
    up = start(committed.path, *UP)
    up.wait_for(moment)
    if number == signal.SIGINT:
        os.killpg(up.process.pid, number)
    else:
        up.process.send_signal(number)

    assert up.wait(60) not in (0, 1), up.output
    up.leaves_nothing(within=0)


def test_a_server_on_a_terminal_starts_without_a_question(committed: Project, start: Start) -> None:
    port = free_port()
    nox = ("uvx", "nox", "-s", "server", "--", "--port", str(port))
    env = {"PREFECT_API_URL": f"http://127.0.0.1:{port}/api", "TERM": "xterm"}
    server = start(committed.path, sys.executable, "-c", TERMINAL, *nox, **env)
    server.wait_for("Check out the dashboard")

    server.process.kill()  # the terminal is closed
    server.leaves_nothing(within=60)


def test_killing_nox_itself_ends_everything(committed: Project, start: Start) -> None:
    up = start(committed.path, *UP)
    up.wait_for("smoke runs …")
    for process, line in up.survivors().items():
        if "nox -s up" in line:
            os.kill(process, signal.SIGKILL)

    up.leaves_nothing(within=120)


def test_closing_the_terminal_ends_everything(committed: Project, start: Start) -> None:
    terminal = start(committed.path, sys.executable, "-c", TERMINAL, *UP)
    terminal.wait_for("server …")
    terminal.process.kill()  # from now on, nobody can write to the terminal

    terminal.leaves_nothing(within=60)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_port_that_is_taken_is_said_and_nothing_is_left(
    committed: Project, start: Start, taken_port: int
) -> None:
    up = start(committed.path, *UP, "--once", "--port", str(taken_port))

    assert up.wait() == 1
    assert str(taken_port) in up.output
    assert "Traceback" not in up.output
    up.leaves_nothing(within=0)


class Other(BaseHTTPRequestHandler):
    """A server of another project: it answers 200 to everything."""

    def do_GET(self) -> None:
        self.server.asked = True  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()


def test_a_server_of_another_project_on_the_port_is_not_taken_for_our_own(
    committed: Project, start: Start
) -> None:
    with HTTPServer(("127.0.0.1", 0), Other) as other:
        other.timeout = 0
        port = other.server_port
        up = start(committed.path, *UP, "--once", "--port", str(port))

        assert up.wait() == 1
        other.handle_request()
    assert f"Port {port} cannot be used" in up.output
    assert "leave --port out" in up.output
    assert "server …" not in up.output
    assert not hasattr(other, "asked")


def test_without_docker_it_ends_before_anything_is_started(
    committed: Project, start: Start, tmp_path: Path
) -> None:
    nowhere = f"unix://{tmp_path}/docker.sock"

    up = start(committed.path, *UP, "--once", "--docker", DOCKER_HOST=nowhere)

    assert up.wait() == 1
    assert "No Docker engine is running: start Docker and try again." in up.output
    assert "server …" not in up.output
    assert "Traceback" not in up.output
    up.leaves_nothing(within=0)


def test_a_server_that_dies_ends_up_and_the_end_of_its_log_is_shown(
    committed: Project, start: Start
) -> None:
    up = start(committed.path, *UP)
    up.wait_for("worker and deploy …")
    for process, line in up.survivors().items():
        if "prefect server start" in line:
            os.kill(process, signal.SIGKILL)

    assert up.wait() == 1
    assert "The server ended by itself, with exit code -9." in up.output
    log = (committed.path / ".prefect" / "server.log").read_text(encoding="utf-8")
    assert log.strip().splitlines()[-1] in up.output
    assert "Traceback" not in up.output
    up.leaves_nothing(within=0)


IMPORTING = """
import threading, time
from contextlib import ExitStack
from tools.up.steps import Up

up = Up(ExitStack(), False, 1)
up.imported = threading.Thread(target=lambda: (time.sleep(1), print("imported")))
up.imported.start()
up.wait_for_server()
print("goes on")
"""


def test_prefect_is_imported_by_one_thread_at_a_time(bake: Callable[..., Project]) -> None:
    # Two imports at once can deadlock: "Failed to initialize plugins: deadlock".
    done = bake().run(sys.executable, "-c", IMPORTING)

    assert done.stdout.split("\n")[:2] == ["imported", "goes on"]


STUBBORN = """
import subprocess, sys, time
from pathlib import Path
from tools.up import processes

processes.ENDS_WITHIN = 1.0
sleep = "import signal, time; {} print('ready', flush=True); time.sleep(600)"
grandchild = sleep.format("signal.signal(signal.SIGTERM, signal.SIG_IGN);")
child = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {grandchild!r}]).wait()"
log = Path("child.log")
program = processes.Program([sys.executable, "-c", child], log)
program.wait_until(lambda: "ready" in log.read_text())
processes.stop(program)
"""


def test_what_a_program_started_is_gone_with_it_even_if_it_ignores_sigterm(
    bake: Callable[..., Project], start: Start
) -> None:
    command = start(bake().path, sys.executable, "-c", STUBBORN)

    assert command.wait(60) == 0, command.output
    command.leaves_nothing(within=0)


INTERRUPTED_TAG = """
from contextlib import ExitStack
from tools.up import docker

def call(*command):
    print(*command[:2])
    if command[1] == "tag":
        raise KeyboardInterrupt

docker.call = call
with ExitStack() as stack:
    stack.callback(print, "the end")
    docker._push("flows:1", "127.0.0.1:5000", stack)
"""


def test_a_tag_is_removed_even_if_its_creation_is_interrupted(bake: Callable[..., Project]) -> None:
    done = bake().run(sys.executable, "-c", INTERRUPTED_TAG, exit_code=None)

    assert done.stdout.splitlines() == ["docker tag", "docker rmi", "the end"]


STUBBORN_SERVER = """
import signal, socket, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
listener = socket.create_server(("127.0.0.1", 0))
print("listens", flush=True)
time.sleep(600)
"""
ALONE = """
import sys
from tools.up import processes, server_alone

processes.ENDS_WITHIN = 0.5
sys.exit(server_alone.main())
"""
PARENT = """
import signal, subprocess, sys
signal.signal(signal.SIGINT, lambda *_: None)
subprocess.run([sys.executable, "-c", sys.argv[1]])
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_server_alone_ends_with_the_process_that_started_it_even_if_it_hangs(
    bake: Callable[..., Project], start: Start, number: signal.Signals
) -> None:
    project = bake()
    (project.path / "prefect.py").write_text(STUBBORN_SERVER)
    parent = start(project.path, sys.executable, "-c", PARENT, ALONE)
    parent.wait_for("listens")
    if number == signal.SIGKILL:
        parent.process.kill()  # nobody tells the children
    elif number == signal.SIGINT:
        os.killpg(parent.process.pid, number)
    else:  # nox sends it to its child alone
        (child,) = (
            pid
            for pid, line in parent.survivors().items()
            if "server_alone" in line and pid != parent.process.pid
        )
        os.kill(child, number)

    parent.leaves_nothing()


TABLE = """
from tools.up.report import table
from tools.up.terminal import say

say("server …")
say(table("step", "seconds", rows=[("基础数据处理流程", "1.5"), ("[bold]" + "x" * 200, "10.5")]))
"""


def test_columns_are_aligned_by_the_width_of_their_letters_and_a_file_gets_plain_whole_lines(
    bake: Callable[..., Project],
) -> None:
    output = bake().run(sys.executable, "-c", TABLE, env={"COLUMNS": "40"}).stdout

    first, _, _, chinese, latin = output.splitlines()
    assert first == "server …"
    assert latin == "[bold]" + "x" * 200 + " " * 6 + "10.5"
    # Each of the eight characters is two columns wide.
    assert chinese == "基础数据处理流程" + " " * (206 - 16 + 7) + "1.5"


@pytest.mark.parametrize(("settings", "colourful"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_a_terminal_gets_colours_unless_they_are_unwanted(
    bake: Callable[..., Project], settings: dict[str, str], colourful: bool
) -> None:
    environment = {"TERM": "xterm-256color", **settings}
    command = f"import pty, sys; pty.spawn([sys.executable, '-c', {TABLE!r}])"

    output = bake().run(sys.executable, "-c", command, env=environment).stdout

    assert ("\x1b" in output) is colourful
    assert "基础数据处理流程" in output


def test_a_flow_that_fails_fails_up_and_nothing_is_left(
    bake: Callable[..., Project], committed: Project, start: Start
) -> None:
    project = bake()
    # Use the environment of the other project, which has the same versions.
    (committed.path / ".nox").mkdir(exist_ok=True)
    (project.path / ".nox").symlink_to(committed.path / ".nox")
    flow = project.path / "flows" / "basic_flow.py"
    text = flow.read_text(encoding="utf-8")
    flow.write_text(
        text.replace("    logger = get", '    raise OSError("disk full")\n    logger = get')
    )

    up = start(project.path, *UP, "--once")

    assert up.wait() == 1
    assert "disk full" in up.output
    up.leaves_nothing(within=0)
