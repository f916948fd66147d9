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

DOCKERFILE = "Dockerfile"
# Docker ignores case in this instruction and in the names of stages.
FROM = re.compile(
    r"(?im)^[ \t]*FROM(?:[ \t]+--\S+)*[ \t]+([^\s-]\S*)(?:[ \t]+AS[ \t]+(\S+))?[ \t]*$"
)


def call(*command: str, env: dict[str, str] | None = None, stdin: str | None = None) -> str:
    """Run a command in the project's folder and return its output.

    Raises:
        DeployerError: the program is not installed, or it failed; the error has its last line.
    """
    try:
        answer = subprocess.run(  # noqa: S603
            command, cwd=ROOT, env=env, input=stdin, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise DeployerError(
            f"{command[0]!r} is not installed or not on PATH: install it, then try again."
        ) from None
    if answer.returncode:
        lines = (answer.stderr or answer.stdout).strip().splitlines() or ["no message"]
        raise DeployerError(f"`{' '.join(command[:2])}` failed: {lines[-1]}")
    return answer.stdout.strip()


def is_engine_running() -> bool:
    """Tell whether a Docker engine is running."""
    try:
        call("docker", "version", "--format", "{{.Server.Version}}")
    except DeployerError:
        return False
    return True


def build(name: str, recipe: str = "") -> None:
    """Build an image, unless the engine has it already; Docker's progress goes to stderr.

    Args:
        name: the image's name, with a tag.
        recipe: a stage of the Dockerfile, or another Dockerfile; empty is the last stage.

    Raises:
        DeployerError: no engine runs, the base image cannot be pulled, or the build failed.
    """
    if not is_engine_running():
        raise DeployerError("No Docker engine is running: start Docker and try again.")
    if call("docker", "images", "--quiet", name):
        print(f"{name} already exists.", file=sys.stderr)
        return
    file, stage = parts(recipe)
    for base, source in mirrored(file).items():
        print(f"Pulling {source}", file=sys.stderr)
        try:
            call("docker", "pull", "--quiet", source)
        except DeployerError as error:
            raise DeployerError(
                f"Set BASE_MIRROR to the prefix that {base} has in the mirror. {error}"
            ) from None
        call("docker", "tag", source, base)
    print(f"Building {name}", file=sys.stderr)
    command = ["docker", "build", "--tag", name, f"--file={file}"]
    command += [*([f"--target={stage}"] if stage else []), *secrets(file), "."]
    if subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=False).returncode:  # noqa: S603
        raise DeployerError(f"`docker build` of {name} failed: its messages are above.")


def parts(recipe: str) -> tuple[str, str]:
    """Return the Dockerfile and the stage that a recipe names; an empty stage is the last one."""
    return (recipe, "") if recipe and (ROOT / recipe).is_file() else (DOCKERFILE, recipe)


def mirrored(file: str = DOCKERFILE) -> dict[str, str]:
    """Return the mirror's name of each base image of a Dockerfile; empty without BASE_MIRROR."""
    found = stages(file)
    own = {name for _, name in found}
    bases = [base for base, _ in found if base.lower() not in own and is_image(base)]
    return {base: source for base in bases if (source := in_mirror(base)) != base}


def in_mirror(base: str) -> str:
    """Return a base image's name in the mirror BASE_MIRROR, or its own name without a mirror."""
    mirror = os.environ.get("BASE_MIRROR", "").rstrip("/")
    return f"{mirror}/{base}" if mirror else base


def base(recipe: str = "") -> str:
    """Return the base image of an image; empty if it has none in a registry."""
    file, name = parts(recipe)
    found = ""
    for parent, stage in reversed(stages(file)):
        if name.lower() in ("", stage):
            name = found = parent
    return found if is_image(found) else ""


def is_image(base: str) -> bool:
    """Tell whether a stage's base is an image: neither a build argument nor `scratch`."""
    return "$" not in base and base.lower() != "scratch"


def stages(file: str) -> list[tuple[str, str]]:
    """Return the base and the name of each stage of a Dockerfile; names in lower case or empty."""
    return [(base, name.lower()) for base, name in FROM.findall(instructions(file))]


def secrets(file: str) -> list[str]:
    """Return the options that pass the user's .netrc to the build, if the Dockerfile mounts it."""
    netrc = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
    if "id=netrc" in instructions(file) and netrc.exists():
        return [f"--secret=id=netrc,src={netrc}"]
    return []


def instructions(file: str) -> str:
    """Return a Dockerfile's text without the lines of comments."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("#"))
