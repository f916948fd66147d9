"""Remove files that the new project does not need, and print the next commands.

Why a hook: cookiecutter copies every file in the template's folder: files for other answers too,
and the caches of tools that have run there (cookiecutter.json can only turn off their rendering).
It also prints nothing at its end. The hook is idempotent, uses no network and no git and installs
nothing, because cruft runs it on every update.
"""

# {% raw %}
import os
import shlex
import shutil
from pathlib import Path

# Only folders that a tool creates again: `cookiecutter --overwrite-if-exists` runs this hook in a
# project that is in use, where .prefect and .env hold data that must be kept.
CACHES = {".hypothesis", ".mypy_cache", ".nox", ".pytest_cache", ".ruff_cache", "__pycache__"}

# Files that only one type of work pool needs.
FILES_OF = {
    "kubernetes": (
        "deployments/kubernetes-job-template.json",
        "docs/kubernetes.md",
        "kubernetes-worker.yaml",
    )
}


def remove_unchosen(project: Path, work_pool_type: str) -> None:
    """Remove the files that are for another type of work pool."""
    for kind, files in FILES_OF.items():
        for name in files if kind != work_pool_type else ():
            (project / name).unlink(missing_ok=True)


def remove_caches(project: Path) -> None:
    """Remove the caches that tools left in the template's folder."""
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
        "uvx nox -s dev && uvx nox -s up",
    ]


def main(project: Path, folder: Path, work_pool_type: str) -> None:
    """Clean up the project and print the next commands, relative to `folder`."""
    remove_unchosen(project, work_pool_type)
    remove_caches(project)
    # For an update, cruft generates two more projects in temporary folders: print nothing then.
    if not (folder / ".cruft.json").exists():
        print("\nNext:\n")
        for command in next_commands(project, folder):
            print(f"  {command}")


# {% endraw %}
if __name__ == "__main__":
    # Cookiecutter runs this in the project; PWD is still the folder of the person's shell.
    FOLDER = Path(os.environ.get("PWD") or Path.cwd().parent)
    # The pre_gen hook has already refused unknown types.
    main(Path.cwd(), FOLDER, "{{ cookiecutter.work_pool_type }}")
