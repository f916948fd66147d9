"""Generate projects from the working tree of the template, read them and run commands in them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cookiecutter.main import cookiecutter

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE_FOLDER = "{{cookiecutter.project_slug}}"


@dataclass(frozen=True)
class Project:
    """A generated project, and the answers that it was generated with."""

    path: Path
    answers: Mapping[str, str] = field(default_factory=dict)

    def read(self, path: str) -> str:
        """Return the text of a file."""
        return (self.path / path).read_text(encoding="utf-8")

    def has_file(self, path: str) -> bool:
        """Return whether this file exists."""
        return (self.path / path).is_file()

    def files(self) -> list[str]:
        """Return the sorted paths of all files outside `.git`."""
        paths = (path.relative_to(self.path) for path in self.path.rglob("*") if path.is_file())
        return sorted(path.as_posix() for path in paths if path.parts[0] != ".git")

    def run(
        self,
        *command: str | Path,
        exit_code: int | None = 0,
        env: Mapping[str, str] | None = None,
        timeout: float = 300,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the project and return the completed process with its output.

        Args:
            command: the program and its arguments; this Python's folder is searched first.
            exit_code: the expected exit code; None allows any.
            env: environment variables in addition to those of this process.
            timeout: seconds after which the command is killed.

        Raises:
            AssertionError: the exit code differs; the message has answers, command and output.
        """
        return run(
            *command,
            folder=self.path,
            exit_code=exit_code,
            env=env,
            timeout=timeout,
            about=self.answers,
        )


def run(
    *command: str | Path,
    folder: Path,
    exit_code: int | None = 0,
    env: Mapping[str, str] | None = None,
    timeout: float = 300,
    about: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder like `Project.run`; `about` goes into the error message."""
    # PWD as a shell sets it. CI turns off progress messages, which depend on timing.
    own = {"PATH": path_with_tools(), "PWD": str(folder), "CI": "true"}
    environment = {**os.environ, **own, **(env or {})}
    program = shutil.which(str(command[0]), path=environment["PATH"])
    if program is None:
        raise AssertionError(f"{command[0]} is not installed: looked in {environment['PATH']}")
    done = subprocess.run(
        [program, *map(str, command[1:])],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=timeout,
        check=False,
    )
    if exit_code is not None and done.returncode != exit_code:
        words = " ".join(map(str, command))
        raise AssertionError(
            f"`{words}` ended with {done.returncode}, not {exit_code}, "
            f"for the answers {dict(about or {})}.\n{done.stdout}\n{done.stderr}"
        )
    return done


def path_with_tools() -> str:
    """Return PATH with the folder of this Python's programs at its start."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


def copy_template(target: Path) -> Path:
    """Copy all files that git tracks or does not ignore, with uncommitted edits.

    Projects generated from the working tree itself would contain the caches of tools.
    """
    # safe.directory allows a checkout that belongs to another user, as in a container.
    listing = run(
        "git",
        "-c",
        "safe.directory=*",
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
        folder=ROOT,
    )
    for name in filter(None, listing.stdout.split("\0")):
        source = ROOT / name
        if source.is_file():  # git lists a deleted file until the next commit
            copy = target / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy)
    return target


def bake_into(folder: Path, template: Path, **answers: str) -> Project:
    """Generate a project in this folder, without prompts."""
    # Cookiecutter modifies the dictionary that it gets.
    context: dict[str, Any] = dict(answers)
    path = cookiecutter(str(template), no_input=True, extra_context=context, output_dir=str(folder))
    return Project(Path(path), answers)
