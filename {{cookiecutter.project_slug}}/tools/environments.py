"""Lists the environments in the order of promotion, for the workflows. Standard library only."""
# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import argparse
import json
import sys

from deployer.errors import DeployerError
from deployer.image_references import NAME
from deployer.project import FILE, read
from deployer.rules import name_problem
from tools import ROOT


def main(argv: list[str] | None = None) -> int:
    """Print the names of the environments."""
    parser = argparse.ArgumentParser(prog="python -m tools.environments", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    options = parser.parse_args(argv)
    try:
        found = names()
    except DeployerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(found) if options.json else "\n".join(found))
    return 0


def names() -> list[str]:
    """Return the names of the environments, in the order of promotion.

    Raises:
        DeployerError: environments.toml cannot be read.
    """
    return [name for name in read(ROOT) if name not in ("project", "origin", "images")]


def images() -> dict[str, str]:
    """Return how each image except the default one is built, by the images' names.

    Returns:
        A stage of the Dockerfile, or the path of another Dockerfile.

    Raises:
        DeployerError: environments.toml cannot be read, or its [images] is not valid.
    """
    found = read(ROOT).get("images", {})
    if not isinstance(found, dict):
        raise DeployerError(f"{FILE}: images has to be a table, [images].")
    for name, recipe in found.items():
        if not NAME.fullmatch(name) or not isinstance(recipe, str):
            raise DeployerError(
                f"{FILE}: [images] is not valid: run `python -m deployer check` to see why."
            )
    return found


def project() -> str:
    """Return the project's name.

    Raises:
        DeployerError: environments.toml cannot be read, or its project is no valid name.
    """
    name = read(ROOT).get("project")
    if problem := name_problem(name):
        raise DeployerError(f"{FILE}: project {problem}.")
    return str(name)


if __name__ == "__main__":
    sys.exit(main())
