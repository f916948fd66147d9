"""Tidy the new project and say what to do next.

Why a hook: cookiecutter copies whatever lies in the template's folder, so a working copy in which
tools have run would hand their caches on (all that cookiecutter.json can do is not to render
them); and it ends without a word. Local and idempotent, because cruft runs this with every update:
no network, no git, nothing installed.
"""

# {% raw %}
import os
import shlex
import shutil
from pathlib import Path

# Only what its tool makes again: `cookiecutter --overwrite-if-exists` runs this in a project that
# somebody works in, where .prefect and .env hold things of their own.
CACHES = {".hypothesis", ".mypy_cache", ".nox", ".pytest_cache", ".ruff_cache", "__pycache__"}


def remove_caches(project: Path) -> None:
    """Remove what tools left in the template's folder."""
    for parent, folders, _ in os.walk(project):
        for name in CACHES.intersection(folders):
            folders.remove(name)
            shutil.rmtree(Path(parent, name), ignore_errors=True)


def next_commands(project: Path, folder: Path) -> list[str]:
    """Return the commands that lead from this folder to running flows."""
    path = project.relative_to(folder) if project.is_relative_to(folder) else project
    return [
        f"cd {shlex.quote(str(path))}",
        'git init -b main && git add . && git commit -m "First commit"',
        "uvx nox -s up",
    ]


def main(project: Path, folder: Path) -> None:
    """Tidy the project; tell a person in this folder the next commands."""
    remove_caches(project)
    # In a project that is being updated cruft makes two more, in temporary folders.
    if not (folder / ".cruft.json").exists():
        print("\nNext:\n")
        for command in next_commands(project, folder):
            print(f"  {command}")


# {% endraw %}
if __name__ == "__main__":
    # Cookiecutter runs this in the project; the shell's PWD still says where the person is.
    main(Path.cwd(), Path(os.environ.get("PWD") or Path.cwd().parent))
