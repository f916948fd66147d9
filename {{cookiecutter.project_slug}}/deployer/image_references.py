"""The images that deployments run: the default image, and others named in environments.toml.

On the command line and between jobs of the pipeline they are written as words: `REFERENCE` for the
default image, `NAME=REFERENCE` for each other one. Uses only the standard library.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from deployer.errors import DeployerError

DEFAULT = ""  # the name of the image of all deployments that name none
NAME = re.compile(r"(?!(src|worker)$)[a-z0-9]+(-[a-z0-9]+)*")  # src and worker begin other tags
LONGEST_NAME = 30  # characters; the name is part of a tag, which has 128 at most


def parse(words: Iterable[str]) -> dict[str, str]:
    """Parse words into references by image name.

    Raises:
        DeployerError: an image is given twice.
    """
    found: dict[str, str] = {}
    for word in filter(None, words):
        name, _, reference = word.rpartition("=")
        if name in found:
            which = f"the image {name!r}" if name else "the image without a name"
            raise DeployerError(f"--image gives {which} twice, last as {word!r}: leave one out.")
        found[name] = reference
    return found


def words(images: Mapping[str, str]) -> list[str]:
    """Return references as words, the default image's first."""
    ordered = sorted(images.items())
    return [f"{name}={reference}" if name else reference for name, reference in ordered]


def options(images: Mapping[str, str]) -> list[str]:
    """Return the deployer's `--image` options for these references."""
    return [part for word in words(images) for part in ("--image", word)]
