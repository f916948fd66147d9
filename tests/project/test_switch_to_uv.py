"""Run the commands of the page about locking with uv instead of Poetry."""

from __future__ import annotations

import re
from pathlib import Path

from tests.baking import Project, bake_into

FILES = ("requirements.txt", "requirements-worker.txt", "requirements-dev.txt")


def packages(project: Project, path: str) -> dict[str, bool]:
    """Return the packages of a requirements file, and whether each has a hash."""
    blocks = re.split(r"\n(?=\S)", project.read(path))
    found = {match[1]: block for block in blocks if (match := re.match(r"([\w.-]+)==", block))}
    return {name: "--hash=sha256:" in block for name, block in found.items()}


def test_after_the_switch_the_commit_hook_exports_the_same_packages_from_uvs_lock(
    template: Path, tmp_path: Path
) -> None:
    project = bake_into(tmp_path, template)
    project.run("git", "init", "--quiet")
    project.run("git", "add", "--all")
    before = {path: packages(project, path) for path in FILES}
    (block,) = re.findall(r"```sh\n(.*?)```", project.read("docs/uv.md"), re.DOTALL)

    project.run("bash", "-euc", block)
    for attempt in range(2):
        for hook in ("requirements", "requirements-worker", "requirements-dev"):
            command = ["pre-commit", "run", hook, "--files", "uv.lock"]
            project.run(*command, exit_code=0 if attempt else None)
        project.run("git", "add", "--all")

    assert not project.has_file("poetry.lock")
    for path in FILES:
        after = packages(project, path)
        assert after.keys() == before[path].keys(), path
        assert all(after.values()), path
