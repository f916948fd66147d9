"""What the workflows do between their actions: `python3 -m tools.pipeline STEP`.

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
from deployer.image_references import FIRST, parse, words
from tools import bake, records, trust
from tools.build import call, mirrored
from tools.environments import images, names
from tools.image import digest, name_of
from tools.workflow_settings import Settings, is_true, read


def find(settings: Settings, options: argparse.Namespace) -> dict[str, str]:
    """Return which images are there and may be taken, which have to be built, and how."""
    preview, asks = options.package == "preview", options.package != "none"
    package = settings.preview if preview else settings.release
    platform = settings.variables.get("IMAGE_PLATFORM") or ""
    os.environ["BASE_MIRROR"] = settings.variables.get("BASE_MIRROR") or ""
    found, released, build = parse(options.given.split()), dict[str, str](), dict[str, str]()
    for name in () if options.given else (FIRST, *images()):
        called = name_of(package, options.label, platform, name)
        there = taken(called, package, settings) if asks and not options.rebuild else None
        if there:
            found[name] = there
        else:
            build[name] = called
        main = name_of(settings.release, None, platform, name)
        if preview and (there := digest(main)):
            released[name] = f"{settings.release}@{there}"
    others = {name: called for name, called in build.items() if name != FIRST}
    contexts = (f"{base}=docker-image://{there}" for base, there in mirrored().items())
    return {
        "package": package,
        "environments": json.dumps(names()),
        "platform": platform or "linux/amd64",
        "contexts": ",".join(contexts),
        "attests": "true" if settings.attests else "",
        "found": " ".join(words(found)),
        "released": " ".join(words(released)),
        "build": " ".join(words(build)),
        "first": build.get(FIRST, ""),
        "others": bake.define(others, platform or "linux/amd64") if others else "",
    }


def taken(called: str, package: str, settings: Settings) -> str | None:
    """Return an image of the registry by its digest, if it may be taken: a release with a proof."""
    there = digest(called)
    image = f"{package}@{there}"
    if there and package == settings.release:
        try:
            # Not by the records: this job has no credentials of a Prefect server.
            say(f"`{image}` is there: {trust.proof(image, settings, environ={})}.")
        except DeployerError as error:
            say(f"`{image}` is there, but is built again: {reason(settings, error)}")
            return None
    return image if there else None


def reason(settings: Settings, error: DeployerError) -> str:
    """Return why an image that is there is not taken."""
    if settings.attests:
        return str(error)
    return (
        "attestations need a public repository, or GitHub Enterprise Cloud and the variable "
        "ATTESTATIONS, and without them a tag proves nothing. What is cached makes the same image."
    )


def push(settings: Settings, options: argparse.Namespace) -> dict[str, str]:
    """Push what was built and return what it is by digest; then the digests alone, for jobs.

    The registry is not asked for digests afterwards, because somebody may move a tag in between.
    """
    done: dict[str, str] = {}
    for name, called in parse(options.images.split()).items():
        command = ["docker", "push", called]
        answer = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", check=False)  # noqa: S603
        print(answer.stdout, file=sys.stderr)
        if answer.returncode:
            raise DeployerError(f"{called} was not pushed: the messages of docker are above.")
        package, _, tag = called.rpartition(":")
        done[name] = f"{package}@{pushed(answer.stdout, tag)}"
    digests = dict.fromkeys(image.partition("@sha256:")[2] for image in done.values())
    return {"pushed": " ".join(words(done)), "digests": json.dumps([*digests])}


def pushed(text: str, tag: str) -> str:
    """Return the digest in what `docker push` printed.

    The store of containerd names the digests of an index and of its parts as well; the line that
    begins with the tag is what the tag means now, in both stores.

    Raises:
        DeployerError: there is no such line, or there are several.
    """
    line = rf"^{re.escape(tag)}: digest: (sha256:[0-9a-f]{{64}}) size: \d+\s*$"
    found: set[str] = set(re.findall(line, text, re.MULTILINE))
    if len(found) != 1:
        raise DeployerError(f"`docker push` did not say one digest of {tag}, but {len(found)}.")
    return found.pop()


def deployed(settings: Settings, options: argparse.Namespace) -> dict[str, str]:
    """Return the image of the newest deploy, pulled, if it is trusted; else say why it is not run.

    After a rollback an older image is deployed, which may not read what newer ones recorded.
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
    say(f"Done by `{last.image}`, the image of release {last.number}: {why}.")
    return {"image": last.image}


def conclude(settings: Settings, options: argparse.Namespace) -> dict[str, str]:
    """Return the images of this commit, and those that main would deploy for it."""
    new = parse(options.pushed.split())
    images = {**parse(options.images.split()), **new}
    for name, image in sorted(images.items()):
        state = "built now" if name in new else "there already"
        say(f"Image{f' {name}' if name else ''}: `{image}`, {state}.")
    # What main has not built yet it will build of the same content.
    digests = {name: image.partition("@")[2] for name, image in images.items()}
    released = {name: f"{settings.release}@{each}" for name, each in digests.items()}
    released |= parse(options.released.split())
    return {"image": " ".join(words(images)), "released": " ".join(words(released))}


def say(text: str) -> None:
    """Add a line to the summary of the job."""
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
    parser.add_argument("--label", help="whose image it is: pr-7")
    parser.add_argument("--environment", help="a table of deployments/environments.toml")
    parser.add_argument("--given", default="", help="images to take instead")
    parser.add_argument("--rebuild", default=False, type=is_true, help="`true`: whatever is there")
    parser.add_argument("--images", default="", help="REFERENCE of the first, NAME=REFERENCE …")
    parser.add_argument("--released", default="", help="those that main has built already")
    parser.add_argument("--pushed", default="", help="what `push` said")
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
