"""Steps of the workflows, between those of actions: `python3 -m tools.pipeline STEP`.

Each step prints `name=value` lines for GITHUB_OUTPUT. Standard library only.
"""
# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from deployer.errors import DeployerError
from deployer.image_references import DEFAULT, parse, words
from tools import bake, records, trust
from tools.build import call, mirrored
from tools.environments import images, names
from tools.image import digest, name_of
from tools.workflow_settings import Settings, is_true, read


def find(settings: Settings, options: argparse.Namespace) -> dict[str, str]:
    """Return which images exist and may be used, which have to be built, and how."""
    preview, has_registry = options.package == "preview", options.package != "none"
    package = settings.preview if preview else settings.release
    platform = settings.variables.get("IMAGE_PLATFORM") or ""
    os.environ["BASE_MIRROR"] = settings.variables.get("BASE_MIRROR") or ""
    found, released, build = parse(options.given.split()), dict[str, str](), dict[str, str]()
    for name in () if options.given else (DEFAULT, *images()):
        tagged = name_of(package, options.label, platform, name)
        look = has_registry and not options.rebuild
        existing = usable(tagged, package, settings) if look else None
        if existing:
            found[name] = existing
        else:
            build[name] = tagged
        if preview and (main := digest(name_of(settings.release, None, platform, name))):
            released[name] = f"{settings.release}@{main}"
    others = {name: tagged for name, tagged in build.items() if name != DEFAULT}
    contexts = (f"{base}=docker-image://{source}" for base, source in mirrored().items())
    return {
        "package": package,
        "environments": json.dumps(names()),
        "platform": platform or "linux/amd64",
        "contexts": ",".join(contexts),
        "attests": "true" if settings.attests else "",
        "found": " ".join(words(found)),
        "released": " ".join(words(released)),
        "build": " ".join(words(build)),
        "first": build.get(DEFAULT, ""),
        "others": bake.define(others, platform or "linux/amd64") if others else "",
    }


def usable(tagged: str, package: str, settings: Settings) -> str | None:
    """Return an existing image, by its digest, if it may be used: a release needs a proof."""
    found = digest(tagged)
    image = f"{package}@{found}"
    if found and package == settings.release:
        try:
            # Without the records of releases: this job has no credentials for a Prefect server.
            say(f"`{image}` exists: {trust.proof(image, settings, environ={})}.")
        except DeployerError as error:
            say(f"`{image}` exists, but is built again: {reason(settings, error)}")
            return None
    return image if found else None


def reason(settings: Settings, error: DeployerError) -> str:
    """Return why an existing image is not used."""
    if settings.attests:
        return str(error)
    return (
        "attestations need a public repository, or GitHub Enterprise Cloud and the variable "
        "ATTESTATIONS, and without them a tag proves nothing. The build cache makes the same image."
    )


def push(settings: Settings, options: argparse.Namespace) -> dict[str, str]:
    """Push the built images; return their references by digest, and the digests for later jobs.

    The digests are those that `docker push` prints, because a tag could be moved after the push.
    """
    done: dict[str, str] = {}
    for name, tagged in parse(options.images.split()).items():
        command = ["docker", "push", tagged]
        answer = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", check=False)  # noqa: S603
        print(answer.stdout, file=sys.stderr)
        if answer.returncode:
            raise DeployerError(f"{tagged} was not pushed: Docker's messages are above.")
        package, _, tag = tagged.rpartition(":")
        done[name] = f"{package}@{pushed(answer.stdout, tag)}"
    digests = dict.fromkeys(image.partition("@sha256:")[2] for image in done.values())
    return {"pushed": " ".join(words(done)), "digests": json.dumps([*digests])}


def pushed(text: str, tag: str) -> str:
    """Return the digest from the output of `docker push`.

    The containerd image store also prints the digests of an index and of its parts. In both stores
    the line that begins with the tag has the digest that the tag points to.

    Raises:
        DeployerError: there is no such line, or there are several.
    """
    line = rf"^{re.escape(tag)}: digest: (sha256:[0-9a-f]{{64}}) size: \d+\s*$"
    found: set[str] = set(re.findall(line, text, re.MULTILINE))
    if len(found) != 1:
        raise DeployerError(f"`docker push` printed {len(found)} digests of {tag} instead of one.")
    return found.pop()


def deployed(settings: Settings, options: argparse.Namespace) -> dict[str, str]:
    """Pull and return the image of the newest deploy if it is trusted; else report why not.

    Rollbacks do not count: their older image may be unable to read the records of newer ones.
    """
    try:
        deploys = (each for each in records.recorded(options.environment) if not each.rollback)
        last = next(deploys, None)
        if last is None or not last.image:
            raise DeployerError(f"No deploy to {options.environment} names an image.")
        why = trust.proof(last.image, settings)
        call("docker", "pull", "--quiet", last.image)
    except DeployerError as error:
        say(f"The rollback is run by main's own code, not by an image: {error}")
        return {"image": ""}
    say(f"The rollback is run by `{last.image}`, the image of release {last.number}: {why}.")
    return {"image": last.image}


def conclude(settings: Settings, options: argparse.Namespace) -> dict[str, str]:
    """Return the images of this commit, and those that main would deploy for it."""
    new = parse(options.pushed.split())
    images = {**parse(options.images.split()), **new}
    for name, image in sorted(images.items()):
        state = "built now" if name in new else "already built"
        say(f"Image{f' {name}' if name else ''}: `{image}`, {state}.")
    # If main has not built an image yet, it will build it from the same content.
    digests = {name: image.partition("@")[2] for name, image in images.items()}
    released = {name: f"{settings.release}@{each}" for name, each in digests.items()}
    released |= parse(options.released.split())
    return {"image": " ".join(words(images)), "released": " ".join(words(released))}


def say(text: str) -> None:
    """Add a line to the summary of the job, and print it to stderr."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if path:
        with Path(path).open("a", encoding="utf-8") as summary:
            summary.write(f"{text}\n\n")
    print(text, file=sys.stderr)


STEPS = {"find": find, "push": push, "conclude": conclude, "deployed": deployed}


def main(argv: list[str] | None = None) -> int:
    """Run one step."""
    parser = argparse.ArgumentParser(prog="python -m tools.pipeline", description=__doc__)
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--package", choices=["release", "preview", "none"], default="none")
    parser.add_argument("--label", help="start of the tag, such as pr-7")
    parser.add_argument("--environment", help="a table of deployments/environments.toml")
    parser.add_argument("--given", default="", help="images to use instead")
    parser.add_argument("--rebuild", default=False, type=is_true, help="`true`: even if it exists")
    parser.add_argument("--images", default="", help="default image's REFERENCE, NAME=REFERENCE …")
    parser.add_argument("--released", default="", help="those that main has built already")
    parser.add_argument("--pushed", default="", help="the images that `push` printed")
    options = parser.parse_args(argv)
    try:
        for key, value in STEPS[options.step](read(), options).items():
            print(f"{key}={value}")
    except DeployerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
