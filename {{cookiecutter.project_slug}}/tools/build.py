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
# Docker does not tell upper from lower case here, nor in the names of stages.
FROM = re.compile(
    r"(?im)^[ \t]*FROM(?:[ \t]+--\S+)*[ \t]+([^\s-]\S*)(?:[ \t]+AS[ \t]+(\S+))?[ \t]*$"
)


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


def build(name: str, recipe: str = "") -> None:
    """Build the image of that name, unless it is there; Docker's own progress goes to stderr.

    Args:
        name: its name, with a tag.
        recipe: a stage of the Dockerfile, or another Dockerfile; empty is the last stage.

    Raises:
        DeployerError: there is no engine, the base image cannot be had, or the build failed.
    """
    if not is_engine_running():
        raise DeployerError("There is no Docker engine to talk to: start Docker and try again.")
    if call("docker", "images", "--quiet", name):
        print(f"{name} is there already.", file=sys.stderr)
        return
    file, stage = parts(recipe)
    for base, source in mirrored(file).items():
        print(f"Pulling {source}", file=sys.stderr)
        try:
            call("docker", "pull", "--quiet", source)
        except DeployerError as error:
            raise DeployerError(
                f"{error} BASE_MIRROR has to be the prefix of {base} in the mirror."
            ) from None
        call("docker", "tag", source, base)
    print(f"Building {name}", file=sys.stderr)
    command = ["docker", "build", "--tag", name, f"--file={file}"]
    command += [*([f"--target={stage}"] if stage else []), *secrets(file), "."]
    if subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=False).returncode:  # noqa: S603
        raise DeployerError(f"`docker build` of {name} failed: its messages are above.")


def parts(recipe: str) -> tuple[str, str]:
    """Return the Dockerfile that a recipe means, and the stage in it; empty is the last one."""
    return (recipe, "") if recipe and (ROOT / recipe).is_file() else (DOCKERFILE, recipe)


def mirrored(file: str = DOCKERFILE) -> dict[str, str]:
    """Return where to take a Dockerfile's base images from instead: from under BASE_MIRROR."""
    made = stages(file)
    own = {name for _, name in made}
    found = [base for base, _ in made if base.lower() not in own and is_image(base)]
    return {base: there for base in found if (there := in_mirror(base)) != base}


def in_mirror(base: str) -> str:
    """Return where to take a base image from: from under BASE_MIRROR, or as it is called."""
    mirror = os.environ.get("BASE_MIRROR", "").rstrip("/")
    return f"{mirror}/{base}" if mirror else base


def base(recipe: str = "") -> str:
    """Return the base image that an image stands on; empty where no registry has one."""
    file, name = parts(recipe)
    found = ""
    for below, stage in reversed(stages(file)):
        if name.lower() in ("", stage):
            name = found = below
    return found if is_image(found) else ""


def is_image(base: str) -> bool:
    """Tell whether a stage begins with an image that can be looked at: no argument, not nothing."""
    return "$" not in base and base.lower() != "scratch"


def stages(file: str) -> list[tuple[str, str]]:
    """Return what each stage of a Dockerfile begins with, and its name in lower case or empty."""
    found = FROM.findall(instructions(file))
    return [(base, name.lower()) for base, name in found]


def secrets(file: str) -> list[str]:
    """Return the options that hand the person's .netrc over, where the Dockerfile mounts it."""
    netrc = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
    if "id=netrc" in instructions(file) and netrc.exists():
        return [f"--secret=id=netrc,src={netrc}"]
    return []


def instructions(file: str) -> str:
    """Return what a Dockerfile says, without comments."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("#"))
