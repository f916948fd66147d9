"""Tidy the new project and say what to do next.

Why a hook: cookiecutter copies whatever lies in the template's folder, the files that are for
another answer too, and from a working copy in which tools have run their caches (all that
cookiecutter.json can do is not to render them); and it ends without a word. Local and idempotent,
because cruft runs this with every update: no network, no git, nothing installed.
"""

# {% raw %}
import os
import shlex
import shutil
from pathlib import Path

# Only what its tool makes again: `cookiecutter --overwrite-if-exists` runs this in a project that
# somebody works in, where .prefect and .env hold things of their own.
CACHES = {".hypothesis", ".mypy_cache", ".nox", ".pytest_cache", ".ruff_cache", "__pycache__"}

# What only one type of work pool has a use for.
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
        "uvx nox -s dev && uvx nox -s up",
    ]


def main(project: Path, folder: Path, work_pool_type: str) -> None:
    """Tidy the project; tell a person in this folder the next commands."""
    remove_unchosen(project, work_pool_type)
    remove_caches(project)
    # In a project that is being updated cruft makes two more, in temporary folders.
    if not (folder / ".cruft.json").exists():
        print("\nNext:\n")
        for command in next_commands(project, folder):
            print(f"  {command}")


# {% endraw %}
if __name__ == "__main__":
    # Cookiecutter runs this in the project; the shell's PWD still says where the person is.
    FOLDER = Path(os.environ.get("PWD") or Path.cwd().parent)
    # The hook before this one has refused every other answer than the known types.
    main(Path.cwd(), FOLDER, "{{ cookiecutter.work_pool_type }}")
