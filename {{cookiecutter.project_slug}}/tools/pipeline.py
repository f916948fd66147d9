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
from itertools import islice
from pathlib import Path

from deployer.errors import DeployerError
from tools import records, trust
from tools.build import call, mirrored
from tools.environments import names
from tools.image import digest, name_of
from tools.settings import Settings, read


def name(settings: Settings, options: argparse.Namespace) -> dict[str, str]:
    """Return what the image is called and what the jobs that follow have to know."""
    package = settings.preview if options.package == "preview" else settings.release
    platform = settings.variables.get("IMAGE_PLATFORM") or ""
    os.environ["BASE_MIRROR"] = settings.variables.get("BASE_MIRROR") or ""
    contexts = (f"{base}=docker-image://{there}" for base, there in mirrored().items())
    return {
        "package": package,
        "image": name_of(package, options.label, platform),
        "released": name_of(settings.release, None, platform),
        "platform": platform or "linux/amd64",
        "environments": json.dumps(names()),
        "contexts": ",".join(contexts),
        "attests": "true" if settings.attests else "",
    }


def find(settings: Settings, options: argparse.Namespace) -> dict[str, str]:
    """Return the digest of an image that is there and may be taken: a release only with a proof."""
    found = digest(options.image)
    if options.package == "release" and found:
        image = f"{settings.release}@{found}"
        try:
            # Not by the records: this job has no credentials of a Prefect server.
            say(f"`{image}` is there: {trust.proof(image, settings, environ={})}.")
        except DeployerError as error:
            say(f"`{image}` is there, but is built again: {reason(settings, error)}")
            found = None
    elif options.package == "preview":
        print(f"released={digest(options.released) or ''}")
    return {"digest": found or ""}


def reason(settings: Settings, error: DeployerError) -> str:
    """Return why an image that is there is not taken."""
    if settings.attests:
        return str(error)
    return (
        "attestations need a public repository, or GitHub Enterprise Cloud and the variable "
        "ATTESTATIONS, and without them a tag proves nothing. What is cached makes the same image."
    )


def push(settings: Settings, options: argparse.Namespace) -> dict[str, str]:
    """Push an image and return its digest, as the registry took it.

    The registry is not asked for it afterwards, because somebody may move the tag in between.
    """
    command = ["docker", "push", options.image]
    answer = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", check=False)  # noqa: S603
    print(answer.stdout, file=sys.stderr)
    if answer.returncode:
        raise DeployerError(f"{options.image} was not pushed: the messages of docker are above.")
    return {"digest": pushed(answer.stdout, options.image.rpartition(":")[2])}


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
    """Return the image that is deployed, pulled, if it is trusted; else say why it is not run."""
    try:
        last = next(islice(records.recorded(options.environment), 1), None)
        if last is None or not last.image:
            raise DeployerError(f"No release of {options.environment} names an image.")
        why = trust.proof(last.image, settings)
        call("docker", "pull", "--quiet", last.image)
    except DeployerError as error:
        say(f"The rollback is run by main's own code, not by the deployed image: {error}")
        return {"image": ""}
    say(f"Done by `{last.image}`, which is deployed: {why}.")
    return {"image": last.image}


def say(text: str) -> None:
    """Add a line to the summary of the job."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if path:
        with Path(path).open("a", encoding="utf-8") as summary:
            summary.write(f"{text}\n\n")
    print(text, file=sys.stderr)


STEPS = {"name": name, "find": find, "push": push, "deployed": deployed}


def main(argv: list[str] | None = None) -> int:
    """Run one step."""
    parser = argparse.ArgumentParser(prog="python -m tools.pipeline", description=__doc__)
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--package", choices=["release", "preview", "none"], default="none")
    parser.add_argument("--label", help="whose image it is: pr-7")
    parser.add_argument("--image", help="its name, with a tag")
    parser.add_argument("--environment", help="a table of deployments/environments.toml")
    parser.add_argument("--released", help="the name that main would give to it")
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
