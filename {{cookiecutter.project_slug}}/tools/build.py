"""Builds an image with the Docker engine of this machine. Standard library only."""
# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from deployer.errors import DeployerError
from tools import ROOT


def call(*command: str, env: dict[str, str] | None = None, stdin: str | None = None) -> str:
    """Run a command in the project's folder and return its output.

    Raises:
        DeployerError: it failed; the error is the command's own.
    """
    answer = subprocess.run(  # noqa: S603
        command, cwd=ROOT, env=env, input=stdin, capture_output=True, text=True, check=False
    )
    if answer.returncode:
        lines = (answer.stderr or answer.stdout).strip().splitlines() or ["no message"]
        raise DeployerError(f"`{' '.join(command[:2])}` failed: {lines[-1]}")
    return answer.stdout.strip()


def is_engine_running() -> bool:
    """Tell whether there is a Docker engine to talk to."""
    try:
        call("docker", "version", "--format", "{{.Server.Version}}")
    except (DeployerError, FileNotFoundError):
        return False
    return True


def build(name: str, target: str | None = None) -> None:
    """Build the image of that name, unless it is there; Docker's own progress goes to stderr.

    Args:
        name: its name, with a tag.
        target: the stage of the Dockerfile; None is the last one.

    Raises:
        DeployerError: there is no engine, the base image cannot be had, or the build failed.
    """
    if not is_engine_running():
        raise DeployerError("There is no Docker engine to talk to: start Docker and try again.")
    if call("docker", "images", "--quiet", name):
        print(f"{name} is there already.", file=sys.stderr)
        return
    for base, source in mirrored().items():
        print(f"Pulling {source}", file=sys.stderr)
        try:
            call("docker", "pull", "--quiet", source)
        except DeployerError as error:
            raise DeployerError(
                f"{error} BASE_MIRROR has to be the prefix of {base} in the mirror."
            ) from None
        call("docker", "tag", source, base)
    print(f"Building {name}", file=sys.stderr)
    command = ["docker", "build", "--tag", name, *([f"--target={target}"] if target else [])]
    command += [*secrets(), "."]
    if subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=False).returncode:  # noqa: S603
        raise DeployerError(f"`docker build` of {name} failed: its messages are above.")


def mirrored() -> dict[str, str]:
    """Return where to take the Dockerfile's base images from instead: from under BASE_MIRROR."""
    mirror = os.environ.get("BASE_MIRROR", "").rstrip("/")
    return {base: f"{mirror}/{base}" for base in bases()} if mirror else {}


def bases() -> list[str]:
    """Return the Dockerfile's base images."""
    stages = re.findall(r"(?m)^FROM (\S+)(?: AS (\S+))?$", dockerfile())
    own = {name for _, name in stages}
    return list(dict.fromkeys(base for base, _ in stages if base not in own))


def secrets() -> list[str]:
    """Return the options that hand the person's .netrc over, where the Dockerfile mounts it."""
    netrc = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
    if "id=netrc" in dockerfile() and netrc.exists():
        return [f"--secret=id=netrc,src={netrc}"]
    return []


def dockerfile() -> str:
    """Return the Dockerfile's instructions."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("#"))
