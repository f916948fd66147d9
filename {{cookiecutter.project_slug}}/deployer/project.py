"""Where the project is, and its environments.toml as it is written; asks for no package."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from deployer.errors import DeployerError

FILE = "deployments/environments.toml"
# How the Variables on the server begin that hold what `record_keys` names.
LOCK, STATE, UNCHANGED = "deployer-lock", "deployer-state", "deployer-unchanged"


@cache
def root() -> Path:
    """Return the project's folder: the nearest one from here upward that holds environments.toml.

    Where there is none, as in the image, whose runs start in another folder, it is the one that
    the deployer is in. The first answer stays, so that a flow's module may change the folder.

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
    """Return what a project's environments.toml holds, whether it is right or not.

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
    """Return the names of what is recorded on the server for a project in an environment.

    The first one is written. A project that had no origin before has records of the second one.
    """
    # Joined by two dashes, because a-b in c is not a in b-c.
    shared = f"{_plain(project)}--{_plain(environment)}"
    return [f"{shared}--{_plain(origin)}", shared] if origin else [shared]


def _plain(name: str) -> str:
    """Return a name in a-z, 0-9 and -, with a hash where that would not tell it from others."""
    plain = re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")[:60]
    return plain if plain == name else f"{plain}-{sha256(name.encode()).hexdigest()[:8]}".strip("-")
