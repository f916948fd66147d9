"""Tells `docker buildx bake` how images beside the first one are built. Standard library only."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tools.build import mirrored, parts
from tools.image import recipe


def define(build: dict[str, str], platform: str) -> str:
    """Write the definition of what is to be built, and return the path of that file.

    Args:
        build: what the images are called, by their names.
        platform: such as `linux/amd64`.
    """
    targets = {name: target(name, called, platform) for name, called in build.items()}
    content = {"group": {"default": {"targets": [*targets]}}, "target": targets}
    path = Path(os.environ["RUNNER_TEMP"]) / "bake.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


def target(name: str, called: str, platform: str) -> dict[str, Any]:
    """Return how one image is built: as the first one is."""
    file, stage = parts(recipe(name))
    return {
        "context": ".",
        "dockerfile": file,
        **({"target": stage} if stage else {}),
        "tags": [called],
        "platforms": [platform],
        "contexts": {base: f"docker-image://{there}" for base, there in mirrored(file).items()},
        "secret": ["id=netrc,env=NETRC"],
        # The first one's helps too; if all wrote to one, it would keep the last alone.
        "cache-from": ["type=gha", f"type=gha,scope={name}"],
        "cache-to": [f"type=gha,scope={name},mode=max,ignore-error=true"],
    }
