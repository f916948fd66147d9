# /// script
# requires-python = ">=3.11"
# dependencies = ["nox>=2025.10.14"]
# ///
"""The template's own commands: `uvx nox -s demo` runs a new project, `uvx nox` runs all tests.

Linter and tests share the environment `.nox/template`, which has the packages of a project too.
"""

import os
import re
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

import nox

ROOT = Path(__file__).resolve().parent
PROJECT = ROOT / "{{cookiecutter.project_slug}}"
ENVIRONMENT = ROOT / ".nox" / "template"
PROGRAMS = ENVIRONMENT / ("Scripts" if os.name == "nt" else "bin")
OWN = [".ci", "bench", "docs", "hooks", "tests", "noxfile.py"]
FAST = ["tests/bake", "tests/bench", "tests/deployer", "tests/project"]

nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "all"]


def run(
    session: nox.Session, program: str, *arguments: str, groups: Sequence[str] = ("test",)
) -> None:
    """Update the shared environment, then run a program of it.

    Args:
        session: the nox session.
        program: the program's name.
        arguments: the program's arguments.
        groups: dependency groups of pyproject.toml to install.
    """
    uv = shutil.which("uv")
    if uv is None:
        session.error("uv is not on PATH: https://docs.astral.sh/uv/getting-started/installation/")
    # Importing Prefect takes twice as long without .pyc files.
    session.env.update(UV_COMPILE_BYTECODE="1", PYTHONDONTWRITEBYTECODE="")
    session.env.update(
        VIRTUAL_ENV=str(ENVIRONMENT), PATH=os.pathsep.join([str(PROGRAMS), os.environ["PATH"]])
    )
    if not (ENVIRONMENT / "pyvenv.cfg").exists():
        session.run(uv, "venv", "--quiet", "--python=>=3.11,<3.15", str(ENVIRONMENT))
    locked = str(PROJECT / "requirements-dev.txt")
    wanted = [f"--group={ROOT / 'pyproject.toml'}:{name}" for name in groups]
    session.run(uv, "pip", "install", "--quiet", *wanted, "-r", locked, *dask())
    session.run(str(PROGRAMS / program), *arguments, interrupt_timeout=60, terminate_timeout=60)


def dask() -> list[str]:
    """Return Dask's locked packages, which no requirements file of the project contains."""
    lock = (PROJECT / "poetry.lock").read_text(encoding="utf-8")
    form = r'^name = "(dask|distributed|prefect-dask)"\nversion = "(.+)"$'
    return [f"{name}=={version}" for name, version in re.findall(form, lock, re.MULTILINE)]


def bake(session: nox.Session, folder: Path) -> Path:
    """Generate a project with the default answers in a folder, and return its path."""
    settings = folder / "cookiecutter.yaml"
    settings.write_text(f"replay_dir: '{folder}/replay'\ncookiecutters_dir: '{folder}/clones'\n")
    options = ["--no-input", f"--config-file={settings}", f"--output-dir={folder / 'out'}"]
    # Its output is only shown if it fails: it ends with commands for a person to type.
    quietly = [sys.executable, str(PROJECT / "deployer" / "alive.py"), "cookiecutter"]
    session.run(*quietly, "uvx", "cookiecutter==2.7.*", str(ROOT), *options, log=False)
    (project,) = (folder / "out").iterdir()
    return project


@nox.session
def demo(session: nox.Session) -> None:
    """Generate a project and run its flows, in processes or, with `-- --docker`, in containers."""
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
    who = ["-c", "user.name=demo", "-c", "user.email=demo@localhost", "-c", "commit.gpgSign=false"]
    with TemporaryDirectory(prefix="prefect demo ", ignore_cleanup_errors=True) as folder:
        project = bake(session, Path(folder))
        with session.chdir(project):
            session.run("git", "init", "--quiet", log=False)
            session.run("git", "add", "--all", log=False)
            session.run("git", *who, "commit", "--quiet", "--message=First commit", log=False)
            command = ["uvx", "nox", "-s", "up", "--", "--once", *session.posargs]
            session.run(*command, interrupt_timeout=0, terminate_timeout=60)
        session.log("Deleting the project.")  # thousands of files, so this takes a moment


@nox.session
def pictures(session: nox.Session) -> None:
    """Retake the README's screenshots: deploy a new project and open the UI in Chromium."""
    with TemporaryDirectory(prefix="prefect pictures ", ignore_cleanup_errors=True) as folder:
        project = bake(session, Path(folder))
        session.run("uv", "run", "--script", str(ROOT / "docs/pictures/make.py"), str(project))


@nox.session
def lint(session: nox.Session) -> None:
    """Run ruff and mypy on the template's own code and on the project's."""
    # Compared with Git's empty tree: finds conflict markers and trailing spaces in tracked files.
    empty = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
    session.run("git", "diff", "--check", empty, "--", ".", ":!*.svg", external=True)
    run(session, "ruff", "check", *OWN)
    run(session, "ruff", "format", "--check", *OWN)
    run(session, "mypy")
    # Run inside the folder: the project's stricter settings only apply there.
    with session.chdir(PROJECT):
        run(session, "ruff", "check")
        run(session, "ruff", "format", "--check")
        # Only the project's packages: stubs in the shared environment would hide missing ones.
        session.run("uvx", "--with-requirements=requirements-dev.txt", "mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """Test the files, the deployer and the project's own commands."""
    run(session, "pytest", *(session.posargs or FAST))


@nox.session
def e2e(session: nox.Session) -> None:
    """Test the workflows with act, a registry, a server and a worker. It needs a Docker engine."""
    run(session, "pytest", *(session.posargs or ["tests/e2e"]))


@nox.session
def soak(session: nox.Session) -> None:
    """Run long tests: every fault, fifty kills, hundreds of examples, a first hour. Takes hours."""
    session.env.update(DEPLOYER_SOAK="1", DEPLOYER_EXAMPLES="200")
    parts = session.posargs or ["tests/deployer", "tests/e2e/test_walk.py"]
    run(session, "pytest", "--timeout=14400", *parts)


@nox.session
def bench(session: nox.Session) -> None:
    """Compare with Prefect's own ways and write BENCHMARKS.md: `-- [--quick] [--only PART]`."""
    run(session, "python", "-m", "bench", *session.posargs, groups=["test", "bench"])


@nox.session(name="all")
def everything(session: nox.Session) -> None:
    """Run all tests in one run of pytest."""
    # Tests mostly wait, so run three files at a time. tests/conftest.py keeps some in one process.
    # Folders stay in pyproject.toml's order: the longest first, and each starts its servers once.
    options = ["--numprocesses=3", "--dist=loadfile", "--no-loadscope-reorder"]
    run(session, "pytest", *options, *session.posargs)


@nox.session
def lock(session: nox.Session) -> None:
    """Lock the newest allowed releases; with `-- --no-update` change only what has to change.

    It also recreates the empty database with the Prefect of the new lock.
    With `-- --lift-caps` newer minor releases of Prefect and its integrations are allowed too.
    """
    hooks = (PROJECT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    exports = re.findall(r"entry: poetry (export .+)", hooks)
    pins = dict.fromkeys(re.findall(r"poetry[a-z-]*==[0-9.]+", hooks))
    if os.environ.get("POETRY_PYPI_MIRROR_URL"):
        pins["poetry-plugin-pypi-mirror"] = None
    poetry = ["uvx", *(f"--with={pin}" for pin in pins), "--from=poetry", "poetry"]
    lift = [sys.executable, str(ROOT / ".ci" / "canary.py"), "lift"]
    update = [] if "--no-update" in session.posargs else ["--regenerate"]
    with TemporaryDirectory() as folder:
        session.env["POETRY_VIRTUALENVS_IN_PROJECT"] = "true"  # removed with the folder
        project = bake(session, Path(folder))
        if "--lift-caps" in session.posargs:
            session.run(*lift, str(project / "pyproject.toml"))
        with session.chdir(project):
            session.run(*poetry, "lock", *update)
            for export in exports:
                session.run(*poetry, *export.split())
        for name in ("poetry.lock", *(export.rpartition("=")[2] for export in exports)):
            shutil.copy(project / name, PROJECT / name)
        if "--lift-caps" in session.posargs:  # otherwise the lock would not match it
            session.run(*lift, str(PROJECT / "pyproject.toml"))
        database = [str(ROOT / ".ci" / "database.py"), str(PROJECT / "tools/up/empty-database.sql")]
        locked = f"--with-requirements={PROJECT / 'requirements.txt'}"
        session.run("uvx", "--quiet", locked, "python", *database)
