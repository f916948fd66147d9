"""Keeps the images of releases fresh and few: `python3 -m tools.renew moved|retain`.

Standard library only.
"""
# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from deployer.errors import DeployerError
from deployer.image_references import FIRST
from tools import github, records
from tools.build import base, call, in_mirror
from tools.environments import images
from tools.image import digest, name_of, recipe
from tools.workflow_settings import Settings, read

KEPT = 20  # images, whatever their age


def layers(image: str, platform: str) -> list[str]:
    """Return the layers of an image in a registry, by what is in them.

    Raises:
        DeployerError: the registry does not say.
    """
    text = call("docker", "buildx", "imagetools", "inspect", image, "--format", "{{json .Image}}")
    found: dict[str, Any] = json.loads(text)
    # An image of several platforms answers with one for each.
    one = found if "rootfs" in found else found.get(platform) or {}
    try:
        return list(one["rootfs"]["diff_ids"])
    except KeyError:
        raise DeployerError(f"The registry has no {image} for {platform}.") from None


def moved(settings: Settings) -> str | None:
    """Return why the images of this commit have to be built anew; None where they need not be."""
    platform = settings.variables.get("IMAGE_PLATFORM") or ""
    os.environ["BASE_MIRROR"] = settings.variables.get("BASE_MIRROR") or ""
    for name in (FIRST, *images()):
        image = name_of(settings.release, None, platform, name)
        if not digest(image):
            continue  # the next push builds it
        below = base(recipe(name))
        if not below:
            print(
                f"{image} has no base image that can be looked at: "
                "its stage begins with scratch or an argument, or is not there.",
                file=sys.stderr,
            )
            continue
        ours = layers(image, platform or "linux/amd64")
        theirs = layers(in_mirror(below), platform or "linux/amd64")
        if ours[: len(theirs)] != theirs:
            return f"{below} has moved since {image} was built"
    return None


def retain(settings: Settings, days: int, now: datetime) -> list[str]:
    """Delete versions of the release package that are old and that no recorded release names.

    Args:
        settings: of the workflow's run.
        days: younger ones stay.
        now: the time.

    Raises:
        DeployerError: what was released cannot be read, and then nothing is deleted.
    """
    named = {image.partition("@")[2] for each in records.everywhere() for image in each.images}
    path = github.package(settings.repository.partition("/")[2].lower())
    versions = sorted(github.versions(path), key=lambda each: str(each["created_at"]))
    done = []
    for version in versions[: -KEPT or None]:
        made = datetime.fromisoformat(version["created_at"].replace("Z", "+00:00"))
        if version["name"] not in named and now - made > timedelta(days=days):
            github.api("DELETE", f"{path}/versions/{version['id']}")
            done.append(f"deleted {version['name']} of {made:%Y-%m-%d}")
    return done


def main(argv: list[str] | None = None) -> int:
    """Run one of the two; print what is to be known."""
    parser = argparse.ArgumentParser(prog="python -m tools.renew", description=__doc__)
    parser.add_argument("what", choices=["moved", "retain"])
    options = parser.parse_args(argv)
    try:
        settings = read()
        if options.what == "moved":
            print(f"moved={moved(settings) or ''}")
            return 0
        days = settings.variables.get("KEEP_IMAGES_DAYS", "")
        if not days.isdecimal():
            raise DeployerError(f"KEEP_IMAGES_DAYS is {days!r}: it has to be a number of days.")
        done = retain(settings, int(days), datetime.now(UTC))
    except DeployerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("\n".join(done) or "No image is old enough to be deleted.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
