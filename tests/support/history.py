"""A template with a history, a project made from a commit of it, and the `uvx` that updates it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.baking import TEMPLATE_FOLDER, Project, path_with_tools, run

# It runs the cruft of the tests, and records what Poetry would be asked for. With a file
# `uvx.fails` beside it, Poetry fails with that text.
UVX = """\
#!/bin/sh
case "$1" in
  cruft@*) shift; PATH='{path}'; exec cruft "$@" ;;
  *) [ ! -e "$0.fails" ] || {{ cat "$0.fails" >&2; exit 1; }}
     while [ "$1" != poetry ]; do shift; done; shift; echo "poetry $*" >>"$0.calls" ;;
esac
"""


@dataclass
class History:
    """A template as it is now, in a repository of its own.

    Attributes:
        template: the repository.
        programs: a folder with the `uvx`.
    """

    template: Path
    programs: Path

    @property
    def inside(self) -> Path:
        """The folder that becomes the project."""
        return self.template / TEMPLATE_FOLDER

    def make(self, folder: Path) -> Project:
        """Make a project from the present commit."""
        run("cruft", "create", self.template, "--no-input", folder=folder)
        return Project(folder / "my-prefect-flows")

    def asked_of_poetry(self) -> list[str]:
        """Return the commands that it was given, and forget them."""
        calls = self.programs / "uvx.calls"
        found = calls.read_text().splitlines() if calls.exists() else []
        calls.unlink(missing_ok=True)
        return found


def begin(template: Path, folder: Path) -> History:
    """Make the first commit, at a path with a space."""
    made = History(Path(shutil.copytree(template, folder / "a template")), folder / "programs")
    run("git", "init", "--quiet", folder=made.template)
    commit(made.template, "The template")
    made.programs.mkdir()
    uvx = made.programs / "uvx"
    uvx.write_text(UVX.format(path=path_with_tools()))
    uvx.chmod(0o755)
    return made


def commit(repository: Path, message: str) -> None:
    """Commit everything."""
    run("git", "add", "--all", folder=repository)
    run("git", "commit", "--quiet", f"--message={message}", folder=repository)


def append(path: Path, text: str) -> None:
    """Write a text to the end of a file."""
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def replace(path: Path, old: str, new: str) -> None:
    """Replace a text that is there."""
    text = path.read_text(encoding="utf-8")
    assert old in text, path
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
