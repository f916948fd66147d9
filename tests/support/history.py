"""A template with several commits, a project generated from one, and a `uvx` for its updates."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.baking import TEMPLATE_FOLDER, Project, path_with_tools, run

# It runs the tests' own cruft, and only records calls of Poetry. If the file `uvx.fails` exists
# beside it, Poetry fails with the text of that file.
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
    """A copy of the template in a repository of its own.

    Attributes:
        template: the repository.
        programs: the folder with the `uvx`.
    """

    template: Path
    programs: Path

    @property
    def inside(self) -> Path:
        """The folder that becomes the project."""
        return self.template / TEMPLATE_FOLDER

    def make(self, folder: Path) -> Project:
        """Generate a project from the current commit."""
        run("cruft", "create", self.template, "--no-input", folder=folder)
        return Project(folder / "my-prefect-flows")

    def poetry_calls(self) -> list[str]:
        """Return the recorded calls of Poetry, and delete the record."""
        calls = self.programs / "uvx.calls"
        found = calls.read_text().splitlines() if calls.exists() else []
        calls.unlink(missing_ok=True)
        return found


def begin(template: Path, folder: Path) -> History:
    """Create the repository with a first commit, at a path with a space."""
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
    """Append a text to a file."""
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def replace(path: Path, old: str, new: str) -> None:
    """Replace the first occurrence of a text, which must exist."""
    text = path.read_text(encoding="utf-8")
    assert old in text, path
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
