# /// script
# requires-python = ">=3.11"
# dependencies = ["nox>=2025.10.14"]
# ///
"""The commands of this project: `uvx nox -s SESSION -- OPTIONS`.

All sessions except `dev` and `update` share the environment `.nox/project`, which has the exact
versions of poetry.lock. Only git, uv and Python 3.11 or newer have to be installed.
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
    """Update the shared environment, and run a program of it.

    Ctrl-C reaches the program as well. It gets time to clean up before nox ends it.
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
    """Return the output of git; empty if it fails."""
    answer = subprocess.run(["git", *arguments], capture_output=True, text=True, cwd=PROJECT)
    return answer.stdout.strip()


@nox.session
def lint(session: nox.Session) -> None:
    """Run every pre-commit hook over all files, and mypy."""
    if not git("ls-files"):
        session.error(
            "pre-commit checks the files that git tracks, and there are none: "
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
        session.error("There is no repository for the commit hook yet: run `git init`, then retry.")
    session.run(python, "-m", "pre_commit", "install", log=False)
    # Otherwise the first commit waits for this. It is last, because all else works without it.
    hooks = ["-m", "deployer.alive", "commit hook", python, "-m", "pre_commit", "install-hooks"]
    try:
        session.run(python, *hooks, log=False)
    except nox.command.CommandFailed:
        session.warn("The commit hook is not fully installed: the first commit installs the rest.")


@nox.session
def update(session: nox.Session) -> None:
    """Merge the template's changes, and lock again if they require it: `-- --checkout TAG`."""
    session.run(sys.executable, "-m", "tools.update", *session.posargs, log=False)


@nox.session
def check(session: nox.Session) -> None:
    """Check the catalog and the lock, without a server."""
    run(session, "python", "-m", "deployer", "check", *session.posargs)
    if git("ls-files"):
        # The hook exports the lock, and fails if the result is not what is committed.
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
    """Deploy the catalog: `-- production --image REF`, else local; needs a server."""
    run(session, "python", "-m", "deployer", "deploy", *(session.posargs or ["local"]))


@nox.session
def serve(session: nox.Session) -> None:
    """Serve the flows from this process with their schedules on, until Ctrl-C; starts a server."""
    # Ctrl-C reaches it as well, and it needs a moment to pause the schedules.
    run_up(session, "--serve", *session.posargs, interrupt_timeout=10)


@nox.session
def image(session: nox.Session) -> None:
    """Build the image unless it exists, and print its name, which is made from its content."""
    run(session, "python", "-m", "tools.image", *session.posargs)


@nox.session
def github(session: nox.Session) -> None:
    """Set up the repository on GitHub: `-- --dry-run` only prints the commands."""
    run(session, "python", "-m", "tools.setup_github", *session.posargs)


@nox.session
def server(session: nox.Session) -> None:
    """Run a Prefect server on this machine, until Ctrl-C."""
    run(session, "python", "-m", "tools.up.server_alone", *session.posargs)


@nox.session
def worker(session: nox.Session) -> None:
    """Run a worker, until Ctrl-C: `-- --pool NAME`, else for local; needs a server."""
    default = ["--pool=local", "--type=process"]
    run(session, "prefect", "worker", "start", *(session.posargs or default))


@nox.session
def up(session: nox.Session) -> None:
    """Run server, work pool, deployments and worker: `-- [--once] [--docker] [--port N]`."""
    run_up(session, *session.posargs)


def run_up(session: nox.Session, *options: str, interrupt_timeout: float = 0) -> None:
    """Run `tools.up`; when nox is ended, everything that it started ends too."""
    signals = [signal.SIGINT, signal.SIGTERM]
    # A closed terminal sends SIGHUP. Windows does not have it, and `nohup` ignores it.
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
        signals.append(signal.SIGHUP)

    def end(_number: int, _frame: FrameType | None) -> None:
        # A second signal must not interrupt the cleanup after the first.
        for number in signals:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in signals:
        signal.signal(number, end)
    run(session, "python", "-m", "tools.up", *options, interrupt_timeout=interrupt_timeout)
