# /// script
# requires-python = ">=3.11"
# dependencies = ["nox>=2025.10.14"]
# ///
"""Every step of this project's life as one command: `uvx nox -s SESSION -- OPTIONS`.

All sessions but `dev` share the environment `.nox/project`, which holds the very versions of
poetry.lock. Nothing but git, uv and Python 3.11 or newer has to be there.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

import nox

PROJECT = Path(__file__).resolve().parent
ENVIRONMENT = PROJECT / ".nox" / "project"
PROGRAMS = ENVIRONMENT / ("Scripts" if os.name == "nt" else "bin")
SETTINGS = {
    "PREFECT_HOME": str(PROJECT / ".prefect"),
    "PREFECT_API_URL": os.environ.get("PREFECT_API_URL") or "http://127.0.0.1:4200/api",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    # Importing Prefect takes twice as long without .pyc files.
    "UV_COMPILE_BYTECODE": "1",
    "PYTHONDONTWRITEBYTECODE": "",
}

nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "tests"]


def run(session: nox.Session, program: str, *arguments: str, interrupt_timeout: float = 60) -> None:
    """Run a program of the shared environment, which is brought up to date first.

    Ctrl-C reaches the program as well. It gets the time to put things back before nox ends it.
    """
    session.env.update(SETTINGS)
    session.env["VIRTUAL_ENV"] = str(ENVIRONMENT)
    session.env["PATH"] = os.pathsep.join([str(PROGRAMS), os.environ["PATH"]])
    # With nox's own `--install-only` this is all that a session does.
    install = [sys.executable, "-m", "tools.install", str(ENVIRONMENT), "requirements-dev.txt"]
    session.run_install(*install, log=False)
    session.run(
        str(PROGRAMS / program),
        *arguments,
        interrupt_timeout=interrupt_timeout,
        terminate_timeout=60,
    )


def git(*arguments: str) -> str:
    """Return what git answers, nothing where it fails."""
    answer = subprocess.run(["git", *arguments], capture_output=True, text=True, cwd=PROJECT)
    return answer.stdout.strip()


@nox.session
def lint(session: nox.Session) -> None:
    """Run every pre-commit hook over all files, and mypy."""
    if not git("ls-files"):
        session.error(
            "pre-commit checks the files that git knows, and there are none: "
            "run `git init` and `git add --all` first."
        )
    run(session, "pre-commit", "run", "--all-files", *session.posargs)
    run(session, "mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """Run pytest."""
    run(session, "pytest", *session.posargs)


@nox.session
def dev(session: nox.Session) -> None:
    """Make .venv for you and your editor: locked packages, PREFECT_HOME, the commit hook."""
    session.env.update(SETTINGS)
    session.run(sys.executable, "-m", "tools.install", ".venv", "requirements-dev.txt", log=False)
    python = str(PROJECT / ".venv" / PROGRAMS.name / "python")
    session.run(python, ".activate-hooks/.activate-hooks.py", ".venv", log=False)
    if not git("rev-parse", "--git-dir"):
        session.error("There is no repository for the commit hook yet: run `git init`, then again.")
    session.run(python, "-m", "pre_commit", "install", log=False)
    # Else the first commit would wait for what the hook runs. Last: without it all else works.
    hooks = ["-m", "deployer.alive", "commit hook", python, "-m", "pre_commit", "install-hooks"]
    try:
        session.run(python, *hooks, log=False)
    except nox.command.CommandFailed:
        session.warn("What the commit hook runs is not there yet: the first commit installs it.")


@nox.session
def update(session: nox.Session) -> None:
    """Bring what is new in the template, and lock anew where that moved: `-- --checkout TAG`."""
    session.run(sys.executable, "-m", "tools.update", *session.posargs, log=False)


@nox.session
def check(session: nox.Session) -> None:
    """Check the catalog and the lock, without a server."""
    run(session, "python", "-m", "deployer", "check", *session.posargs)
    if git("ls-files"):
        # It exports what Poetry has locked, and fails where that is not what is committed.
        export = ["pre-commit", "run", "requirements-dev", "--files", "poetry.lock"]
        run(session, "python", "-m", "deployer.alive", "poetry.lock", *export)


@nox.session
def setup(session: nox.Session) -> None:
    """Create or update the work pool: `-- production`, else local; needs a server."""
    run(session, "python", "-m", "deployer", "setup", *(session.posargs or ["local"]))


@nox.session
def plan(session: nox.Session) -> None:
    """Show what a deploy would change: `-- production --image REF`, else local; needs a server."""
    run(session, "python", "-m", "deployer", "plan", *(session.posargs or ["local"]))


@nox.session
def deploy(session: nox.Session) -> None:
    """Deploy the catalog: `-- production --image REF`, else to local; needs a server."""
    run(session, "python", "-m", "deployer", "deploy", *(session.posargs or ["local"]))


@nox.session
def serve(session: nox.Session) -> None:
    """Serve the flows from this process with their schedules on, until Ctrl-C; starts a server."""
    # Ctrl-C reaches it as well, and pausing the schedules takes it a moment.
    run_up(session, "--serve", *session.posargs, interrupt_timeout=10)


@nox.session
def image(session: nox.Session) -> None:
    """Build the image, unless it is there, and print its name, which says what is in it."""
    run(session, "python", "-m", "tools.image", *session.posargs)


@nox.session
def github(session: nox.Session) -> None:
    """Set the repository up on GitHub: `-- --dry-run` only prints the commands."""
    run(session, "python", "-m", "tools.setup_github", *session.posargs)


@nox.session
def server(session: nox.Session) -> None:
    """Run a Prefect server on this machine, until Ctrl-C."""
    run(session, "python", "-m", "tools.up.server_alone", *session.posargs)


@nox.session
def worker(session: nox.Session) -> None:
    """Run a worker, until Ctrl-C: `-- --pool NAME`, else of local; needs a server."""
    default = ["--pool=local", "--type=process"]
    run(session, "prefect", "worker", "start", *(session.posargs or default))


@nox.session
def up(session: nox.Session) -> None:
    """Server, work pool, deployments and worker at once: `-- [--once] [--docker] [--port N]`."""
    run_up(session, *session.posargs)


def run_up(session: nox.Session, *options: str, interrupt_timeout: float = 0) -> None:
    """Run `tools.up`; whoever ends nox ends everything that it started."""

    def end(_number: int, _frame: FrameType | None) -> None:
        # The second signal of the same wish must not disturb the clearing up after the first.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    run(session, "python", "-m", "tools.up", *options, interrupt_timeout=interrupt_timeout)
