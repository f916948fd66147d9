"""The base images: Python's official one, and a stand-in for Prefect's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from tests.baking import Project
from tests.support.docker import docker

DOCKERFILE = Path(__file__).with_name("base.Dockerfile")


def python_image(project: Project) -> str:
    """Return the base image of a project's Dockerfile, such as `python:3.14-slim-trixie`."""
    (name,) = set(re.findall(r"^FROM (python:\S+)", project.read("Dockerfile"), re.MULTILINE))
    return str(name)


def build_stand_in(project: Project, tag: str, stage: Literal["plain", "filled"]) -> None:
    """Build the stand-in for Prefect's base image, with the project's versions of Python and uv.

    Args:
        project: the project, whose requirements `filled` installs.
        tag: the image's name.
        stage: without (`plain`) or with (`filled`) the requirements.
    """
    (uv,) = re.findall(r"^uv==[0-9.]+", project.read("requirements-uv.txt"), re.MULTILINE)
    values = [f"--build-arg=PYTHON={python_image(project)}", f"--build-arg=UV={uv}"]
    options = ["--quiet", "--file", str(DOCKERFILE), "--target", stage, *values]
    docker("build", "--tag", tag, *options, str(project.path), timeout=900)
