"""The workflows with the real code of their actions instead of the stand-ins.

The code comes from GitHub, or from the folder in the variable ACTIONS, which has OWNER/NAME of each
action. Without either the test is skipped.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.baking import run
from tests.e2e.small import JOBS, Site, explain
from tests.support.act import CHECKOUT, Act
from tests.support.docker import docker

LOGIN = "docker/login-action"
BUILDER = "docker/setup-buildx-action"
BUILD = "docker/build-push-action"
BUILDKIT = "moby/buildkit:buildx-stable-1"


def checked_out(action: str, commit: str, folder: Path) -> Path:
    """Return a folder with an action's real code: ACTIONS/OWNER/NAME, or a checkout from GitHub.

    Skips the test if there is neither.
    """
    if copies := os.environ.get("ACTIONS"):
        return Path(copies) / action
    folder.mkdir(parents=True)
    run("git", "init", "--quiet", str(folder), folder=folder.parent)
    command = ["git", "fetch", "--quiet", "--depth=1", f"https://github.com/{action}", commit]
    environment = os.environ | {"GIT_TERMINAL_PROMPT": "0"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"{action} cannot be had: {done.stderr.strip()[-200:]}")
    run("git", "checkout", "--quiet", commit, folder=folder)
    return folder


def use_docker_driver(repository: Act) -> None:
    """Build with the engine's own builder, without BuildKit's container and GitHub's cache."""
    path = ".github/actions/image/action.yml"
    (builder,) = [each for each in repository.actions() if each.startswith(f"{BUILDER}@")]
    lines = (repository.project / path).read_text().splitlines()
    (line,) = [each for each in lines if builder in each]
    repository.replace(path, line, f"{line}\n      with:\n        driver: docker")
    for cache in ("from: type=gha", "to: type=gha,mode=max,ignore-error=true"):
        repository.replace(path, f"        cache-{cache}\n", "")


def test_the_real_code_of_checkout_login_and_build_does_what_their_stand_ins_do(
    clone: Act, site: Site, tmp_path: Path
) -> None:
    for name in (CHECKOUT, LOGIN, BUILDER, BUILD):
        (action,) = [each for each in clone.actions() if each.startswith(f"{name}@")]
        clone.real[name] = checked_out(name, action.partition("@")[2], tmp_path / "real" / name)
    if not docker("images", "--quiet", BUILDKIT):
        use_docker_driver(clone)
    clone.replace("deployments/catalog.py", '"rows": 500', '"rows": 502')
    run = clone.push()

    assert run.jobs == dict.fromkeys(JOBS, "success"), explain(run)
    for stand_in in ("login-action", "setup-buildx-action", "build-push-action"):
        assert clone.records_of(stand_in) == []
    assert site.hourly()["parameters"] == {"rows": 502}
    tag = next(each for each in site.tags() if each.startswith("src-"))
    assert site.registry.digest(clone.package, tag)
    assert "Login Succeeded!" in run.output
    assert "Removing login credentials" in run.output
    assert "git checkout --progress --force" in run.output
    assert "buildx build" in run.output
