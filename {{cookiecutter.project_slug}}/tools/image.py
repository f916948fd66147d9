"""Names an image by its content, and builds it unless it exists: `python -m tools.image`.

The tag is a hash of git's ids of the files that go into the image. As long as none of them changes,
the name stays the same, and nothing is built. Standard library only.
"""
# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from deployer.errors import DeployerError
from deployer.image_references import DEFAULT
from tools import ROOT
from tools.build import DOCKERFILE, build, call, parts
from tools.environments import images, project

# What goes into the default image and into a worker's; together, all that .dockerignore lets in.
COMMON = ("Dockerfile", ".dockerignore", "requirements-uv.txt", "requirements.txt")
CONTENT = (*COMMON, "flows", "deployments", "deployer")
WORKER = (*COMMON, "requirements-worker.txt")
# Registries' answers for a missing image; some answer the same for an image that is forbidden.
ABSENT = ("not found", "name unknown", "manifest unknown", "denied", "unauthorized", "forbidden")


def recipe(name: str) -> str:
    """Return the stage or the Dockerfile that builds an image; empty is the last stage.

    Raises:
        DeployerError: environments.toml names no such image.
    """
    known = {DEFAULT: "", "worker": "worker", **images()}
    if name not in known:
        raise DeployerError(f"There is no image {name!r}: choose one of {', '.join([*known][1:])}.")
    return known[name]


def content(name: str) -> tuple[str, ...]:
    """Return the paths that go into an image; for one of [images], all that .dockerignore lets in.

    Raises:
        DeployerError: its Dockerfile has a .dockerignore of its own.
    """
    file = DOCKERFILE if name in (DEFAULT, "worker") else parts(recipe(name))[0]
    if (ROOT / f"{file}.dockerignore").exists():
        raise DeployerError(
            f"{file}.dockerignore exists, and Docker would read it instead of .dockerignore, but "
            "the image's name depends on .dockerignore: move the lines there, and delete it."
        )
    if name in (DEFAULT, "worker"):
        return WORKER if name else CONTENT
    let_in = re.findall(r"(?m)^!(.+)$", (ROOT / ".dockerignore").read_text(encoding="utf-8"))
    return (file, ".dockerignore", *let_in)


def tag(name: str = DEFAULT) -> str:
    """Return the image's tag for the files as they are now, committed or not.

    Args:
        name: `worker`, or one of environments.toml; empty is the default image.
    """
    paths = content(name)
    try:
        index = Path(call("git", "rev-parse", "--path-format=absolute", "--git-path", "index"))
    except DeployerError as error:
        raise DeployerError(
            "The image's name is a hash of git's ids of its files. If this folder is not a git "
            f"repository yet, run `git init` first. {error}"
        ) from None
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "index"
        if index.exists():
            shutil.copy(index, copy)
        env = {**os.environ, "GIT_INDEX_FILE": str(copy)}
        call("git", "add", "--all", "--", *paths, env=env)
        files = call("git", "ls-files", "-s", "--", *paths, env=env)
    return f"{name or 'src'}-" + call("git", "hash-object", "--stdin", stdin=files + "\n")[:40]


def name_of(repository: str, label: str | None, platform: str, name: str = DEFAULT) -> str:
    """Return the image's name, with the tag for the files as they are now.

    Args:
        repository: what the tag is appended to, such as `ghcr.io/me/flows`.
        label: start of the tag of a preview's image, such as `pr-7`.
        platform: end of the tag, such as `linux/arm64`; empty adds nothing.
        name: `worker`, or one of environments.toml; empty is the default image.
    """
    pieces = [label, tag(name), platform.replace("/", "-")]
    return f"{repository}:{'-'.join(each for each in pieces if each)}"


def build_all() -> dict[str, str]:
    """Build each of the project's images unless it exists; return their references by name."""
    references = {name: name_of(project(), None, "", name) for name in (DEFAULT, *images())}
    for name, reference in references.items():
        build(reference, recipe(name))
    return references


def digest(name: str) -> str | None:
    """Return the digest that a registry has under this name; None if it has none.

    Raises:
        DeployerError: the registry does not answer, so it is not known.
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
        f"The registry does not say whether it has {name}: {lines[-1]}. "
        "Nothing was built; run it again when the registry answers."
    )


def main(argv: list[str] | None = None) -> int:
    """Build the image and print its name."""
    parser = argparse.ArgumentParser(prog="python -m tools.image", description=__doc__)
    parser.add_argument(
        "--repository", help="what the tag is appended to, such as ghcr.io/me/flows"
    )
    parser.add_argument("--platform", help="end of the tag, such as linux/arm64")
    parser.add_argument("--label", help="start of the tag, such as pr-7")
    parser.add_argument(
        "--target", default=DEFAULT, help="instead of the default image: worker, or one of [images]"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--name-only", action="store_true", help="print the name, build nothing")
    what.add_argument(
        "--digest",
        nargs="?",
        const="",
        metavar="NAME",
        help="print the digest that the registry has, if any, for NAME or for this image",
    )
    options = parser.parse_args(argv)
    try:
        if options.digest:
            print(digest(options.digest) or "")
            return 0
        repository = options.repository or project()
        built_from = recipe(options.target)
        name = name_of(repository, options.label, options.platform or "", options.target)
        if options.digest is not None:
            print(digest(name) or "")
            return 0
        if not options.name_only:
            build(name, built_from)
    except DeployerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
