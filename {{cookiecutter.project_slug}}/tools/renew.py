"""Finds images with an outdated base, deletes old ones: `python3 -m tools.renew moved|retain`.

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
from deployer.image_references import DEFAULT
from tools import github, records
from tools.build import base, call, in_mirror
from tools.environments import images
from tools.image import digest, name_of, recipe
from tools.workflow_settings import Settings, read

KEPT = 20  # newest images, which are kept at any age


def layers(image: str, platform: str) -> list[str]:
    """Return the digests of the uncompressed layers of an image in a registry.

    Raises:
        DeployerError: the registry does not answer, or does not have it.
    """
    text = call("docker", "buildx", "imagetools", "inspect", image, "--format", "{{json .Image}}")
    found: dict[str, Any] = json.loads(text)
    # An image of several platforms has an entry for each.
    one = found if "rootfs" in found else found.get(platform) or {}
    try:
        return list(one["rootfs"]["diff_ids"])
    except KeyError:
        raise DeployerError(f"The registry has no {image} for {platform}.") from None


def moved(settings: Settings) -> str | None:
    """Return why the images of this commit have to be built again; None if they do not."""
    platform = settings.variables.get("IMAGE_PLATFORM") or ""
    os.environ["BASE_MIRROR"] = settings.variables.get("BASE_MIRROR") or ""
    for name in (DEFAULT, *images()):
        image = name_of(settings.release, None, platform, name)
        if not digest(image):
            continue  # the next push builds it
        parent = base(recipe(name))
        if not parent:
            print(
                f"{image} has no base image that can be checked: "
                "its stage begins with scratch or an argument, or does not exist.",
                file=sys.stderr,
            )
            continue
        ours = layers(image, platform or "linux/amd64")
        theirs = layers(in_mirror(parent), platform or "linux/amd64")
        if ours[: len(theirs)] != theirs:
            return f"{parent} has changed since {image} was built"
    return None


def retain(settings: Settings, days: int, now: datetime) -> list[str]:
    """Delete old versions of the release package that no recorded release names; say which.

    Args:
        settings: of the workflow's run.
        days: versions that are not older stay.
        now: the current time.

    Raises:
        DeployerError: the records cannot be read, so nothing is deleted; or GitHub refuses.
    """
    named = {image.partition("@")[2] for each in records.of_environments() for image in each.images}
    path = github.package(settings.repository.partition("/")[2].lower())
    versions = sorted(github.versions(path), key=lambda each: str(each["created_at"]))
    done = []
    for version in versions[: -KEPT or None]:
        created = datetime.fromisoformat(version["created_at"].replace("Z", "+00:00"))
        if version["name"] not in named and now - created > timedelta(days=days):
            what = f"{version['name']} of {created:%Y-%m-%d}"
            try:
                github.api("DELETE", f"{path}/versions/{version['id']}")
            except DeployerError as error:
                # GitHub keeps a public version that was downloaded more than 5000 times.
                if " downloads " not in str(error):  # the error names the address too
                    raise
                done.append(f"kept {what}: {error}")
            else:
                done.append(f"deleted {what}")
    return done


def main(argv: list[str] | None = None) -> int:
    """Run one of the two commands, and print its result."""
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
