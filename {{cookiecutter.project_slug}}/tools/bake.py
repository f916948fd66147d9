"""Defines for `docker buildx bake` how to build the other images. Standard library only."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tools.build import mirrored, parts
from tools.image import recipe


def define(build: dict[str, str], platform: str) -> str:
    """Write a bake file for these images, and return its path.

    Args:
        build: references of the images to build, by their names.
        platform: such as `linux/amd64`.
    """
    targets = {name: target(name, reference, platform) for name, reference in build.items()}
    content = {"group": {"default": {"targets": [*targets]}}, "target": targets}
    path = Path(os.environ["RUNNER_TEMP"]) / "bake.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


def target(name: str, reference: str, platform: str) -> dict[str, Any]:
    """Return the target of one image, which is built in the same way as the default image."""
    file, stage = parts(recipe(name))
    return {
        "context": ".",
        "dockerfile": file,
        **({"target": stage} if stage else {}),
        "tags": [reference],
        "platforms": [platform],
        "contexts": {base: f"docker-image://{source}" for base, source in mirrored(file).items()},
        "secret": ["id=netrc,env=NETRC"],
        # Read the default image's cache too, but write another one: a cache keeps only one image.
        "cache-from": ["type=gha", f"type=gha,scope={name}"],
        "cache-to": [f"type=gha,scope={name},mode=max,ignore-error=true"],
    }
