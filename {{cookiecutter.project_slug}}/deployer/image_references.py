"""Which images deployments run: the first one, and those that environments.toml names beside it.

They are written as words, `REFERENCE` for the first one and `NAME=REFERENCE` for each other one: on
the command line, and from one job of the pipeline to the next. Asks for no package.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from deployer.errors import DeployerError

FIRST = ""  # the name of the image that a deployment runs which names none
NAME = re.compile(r"(?!(src|worker)$)[a-z0-9]+(-[a-z0-9]+)*")  # the others begin tags already
LONGEST_NAME = 30  # characters; a tag, of which the name is a part, has 128 at most


def parse(words: Iterable[str]) -> dict[str, str]:
    """Return references by the images' names.

    Raises:
        DeployerError: an image is given twice.
    """
    found: dict[str, str] = {}
    for word in filter(None, words):
        name, _, reference = word.rpartition("=")
        if name in found:
            which = f"the image {name!r}" if name else "the image of all that name none"
            raise DeployerError(f"--image gives {which} twice, and {word!r} last: leave one out.")
        found[name] = reference
    return found


def words(images: Mapping[str, str]) -> list[str]:
    """Return references as words, the first image's first."""
    ordered = sorted(images.items())
    return [f"{name}={reference}" if name else reference for name, reference in ordered]


def options(images: Mapping[str, str]) -> list[str]:
    """Return what tells the deployer which images these are."""
    return [part for word in words(images) for part in ("--image", word)]
