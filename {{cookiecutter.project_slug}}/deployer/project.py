"""Find the project's folder, and read its environments.toml. Uses only the standard library."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from deployer.errors import DeployerError

FILE = "deployments/environments.toml"
# Prefixes of names of Prefect Variables; after a dash comes one of `record_keys`.
STATE, UNCHANGED = "deployer-state", "deployer-unchanged"


@cache
def root() -> Path:
    """Return the project's folder: the nearest one that holds environments.toml.

    Search from the working directory upward, then the deployer's folder: runs in the image start
    elsewhere. The result is cached, because a flow's module may change the working directory.

    Raises:
        DeployerError: there is no such folder.
    """
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).resolve().parents[1]):
        if (folder / FILE).exists():
            return folder
    raise DeployerError(
        f"{FILE} cannot be read: there is none in {here} or in a folder above it. "
        "Run this in the project's folder. Is the file gone? Restore it."
    )


def read(folder: Path) -> dict[str, Any]:
    """Return the content of a project's environments.toml, without validating it.

    Raises:
        DeployerError: it cannot be read, or is not TOML.
    """
    try:
        # Some editors on Windows begin a file with a byte order mark.
        return tomllib.loads((folder / FILE).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DeployerError(f"{FILE} cannot be read: {error.strerror}. Restore it.") from None
    except UnicodeDecodeError as error:
        raise DeployerError(f"{FILE} is not UTF-8 ({error}): save it as UTF-8.") from None
    except (ValueError, RecursionError) as error:
        raise DeployerError(f"{FILE} is not valid TOML: {error}.") from None


def record_keys(project: str, environment: str, origin: str | None) -> list[str]:
    """Return the keys of a project's records on the server for one environment.

    New records have the first key. Records from before the project had an origin have the second.
    """
    # Two dashes, because project a-b in environment c is not project a in environment b-c.
    shared = f"{_plain(project)}--{_plain(environment)}"
    return [f"{shared}--{_plain(origin)}", shared] if origin else [shared]


def lock_name(keys: Sequence[str]) -> str:
    """Return the name of the Variable that is an environment's lock, from its `record_keys`."""
    return f"deployer-lock-{keys[-1]}"  # the same for all origins


def _plain(name: str) -> str:
    """Return a name in a-z, 0-9 and -; a hash keeps it unique if that changes it."""
    plain = re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")[:60]
    return plain if plain == name else f"{plain}-{sha256(name.encode()).hexdigest()[:8]}".strip("-")
