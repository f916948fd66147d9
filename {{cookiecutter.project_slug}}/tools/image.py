"""Names an image by what is in it, and builds it if it is not there: `python -m tools.image`.

The tag is made of git's own ids of the files that go into the image. As long as none of them
changes, neither does the name, and nothing is built. Standard library only.
"""
# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from deployer.errors import DeployerError
from tools.build import build, call
from tools.environments import project

# What makes the image of the flows, and a worker's; together, all that .dockerignore lets in.
COMMON = ("Dockerfile", ".dockerignore", "requirements-uv.txt", "requirements.txt")
CONTENT = (*COMMON, "flows", "deployments", "deployer")
WORKER = (*COMMON, "requirements-worker.txt")
# What registries answer for an image that is not there; some do not tell it from a forbidden one.
ABSENT = ("not found", "name unknown", "manifest unknown", "denied", "unauthorized", "forbidden")


def tag(target: str | None = None) -> str:
    """Return the tag of the image that the files as they are now would make, committed or not.

    Args:
        target: `worker`; None is the image of the flows.
    """
    content = WORKER if target else CONTENT
    try:
        index = Path(call("git", "rev-parse", "--path-format=absolute", "--git-path", "index"))
    except (DeployerError, FileNotFoundError):
        raise DeployerError(
            "The image is named by git's ids of what is in it, and this folder is not in a git "
            "repository: run `git init` first."
        ) from None
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "index"
        if index.exists():
            shutil.copy(index, copy)
        env = {**os.environ, "GIT_INDEX_FILE": str(copy)}
        call("git", "add", "--all", "--", *content, env=env)
        files = call("git", "ls-files", "-s", "--", *content, env=env)
    return f"{target or 'src'}-" + call("git", "hash-object", "--stdin", stdin=files + "\n")[:40]


def name_of(repository: str, label: str | None, platform: str, target: str | None = None) -> str:
    """Return the image's name, with the tag that the files as they are now give it.

    Args:
        repository: what the tag is appended to, such as `ghcr.io/me/flows`.
        label: whose image it is, before the rest of the tag: `pr-7`.
        platform: part of the name where it is not empty: `linux/arm64`.
        target: `worker`; None is the image of the flows.
    """
    parts = [label, tag(target), platform.replace("/", "-")]
    return f"{repository}:{'-'.join(part for part in parts if part)}"


def digest(name: str) -> str | None:
    """Return the digest that a registry has under this name; None if it has none.

    Raises:
        DeployerError: the registry cannot be asked, which is not the same.
    """
    command = ["docker", "buildx", "imagetools", "inspect", name]
    command += ["--format", "{{print .Manifest.Digest}}"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if not answer.returncode:
        return answer.stdout.strip()
    lines = answer.stderr.strip().splitlines() or ["no message"]
    if any(word in lines[-1].lower() for word in ABSENT):
        return None
    raise DeployerError(
        f"The registry cannot be asked for {name}: {lines[-1]}. "
        "Nothing was built; run it again when the registry answers."
    )


def main(argv: list[str] | None = None) -> int:
    """Build the image and print its name."""
    parser = argparse.ArgumentParser(prog="python -m tools.image", description=__doc__)
    parser.add_argument(
        "--repository", help="what the tag is appended to, such as ghcr.io/me/flows"
    )
    parser.add_argument("--platform", help="part of the name where it is given: linux/arm64")
    parser.add_argument("--label", help="whose image it is, before the rest of the tag: pr-7")
    parser.add_argument("--target", choices=["worker"], help="instead of the image of the flows")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--name-only", action="store_true", help="print the name, build nothing")
    what.add_argument(
        "--digest",
        nargs="?",
        const="",
        metavar="NAME",
        help="print its digest in the registry, if it is there; of the image of another name",
    )
    options = parser.parse_args(argv)
    try:
        if options.digest:
            print(digest(options.digest) or "")
            return 0
        repository = options.repository or project()
        name = name_of(repository, options.label, options.platform or "", options.target)
        if options.digest is not None:
            print(digest(name) or "")
            return 0
        if not options.name_only:
            build(name, options.target)
    except DeployerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
