"""Make projects from the template as it is now, and look at them."""

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
    """A generated project, and the answers it was made with."""

    path: Path
    answers: Mapping[str, str] = field(default_factory=dict)

    def read(self, path: str) -> str:
        """Return the text of a file."""
        return (self.path / path).read_text(encoding="utf-8")

    def has_file(self, path: str) -> bool:
        """Return whether there is a file of this path."""
        return (self.path / path).is_file()

    def files(self) -> list[str]:
        """Return the paths of all files but git's own, in order."""
        paths = (path.relative_to(self.path) for path in self.path.rglob("*") if path.is_file())
        return sorted(path.as_posix() for path in paths if path.parts[0] != ".git")

    def run(
        self,
        *command: str | Path,
        exit_code: int | None = 0,
        env: Mapping[str, str] | None = None,
        timeout: float = 300,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the project and return what it printed.

        Args:
            command: the program, looked for beside this Python first, and its arguments.
            exit_code: what the command must end with; None allows any.
            env: variables on top of this process's environment.
            timeout: seconds after which the command is ended.

        Raises:
            AssertionError: the exit code is another one; says the answers, command and output.
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
    """Run a command in a folder as `Project.run` does; `about` goes into the error's text."""
    # PWD as a shell would set it; with CI no command gives signs of life, which come by the clock.
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
    """Return PATH with the programs that were installed beside this Python first."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


def copy_template(target: Path) -> Path:
    """Copy what git knows or would take, with edits that are not committed.

    Baking from the working tree itself would hand the caches of tools on to the project.
    """
    # The setting is for a checkout that belongs to another user, as in a container.
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
        if source.is_file():  # a file that was deleted is known until the next commit
            copy = target / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy)
    return target


def bake_into(folder: Path, template: Path, **answers: str) -> Project:
    """Generate a project in this folder, without a question."""
    # Cookiecutter changes what it is given.
    context: dict[str, Any] = dict(answers)
    path = cookiecutter(str(template), no_input=True, extra_context=context, output_dir=str(folder))
    return Project(Path(path), answers)
