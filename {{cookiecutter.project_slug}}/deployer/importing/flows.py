"""Find the flow that a deployment's entrypoint names in this repository."""

from __future__ import annotations

import importlib
import sys
from contextlib import redirect_stdout
from pathlib import PurePath
from typing import Any

from prefect import Flow

from deployer.errors import reason
from deployer.project import root

HOME = "flows"  # the folder of a project's flows


def find(entrypoint: str | None) -> Flow[..., Any]:
    """Return the flow at `package.module.function` or `folder/file.py:function`.

    The path is also tried inside the folder `flows`, with or without its leading folders.

    Raises:
        ValueError: it cannot be found; the message is a clause: why, and what to do.
    """
    place = entrypoint or ""
    path, _, function = place.rpartition(":" if ":" in place else ".")
    file = PurePath(path)
    parts = file.with_suffix("").parts if file.suffix == ".py" else tuple(path.split("."))
    inside = [(HOME, *parts[number:]) for number in range(len(parts))]
    if sys.path[0] != str(root()):
        sys.path.insert(0, str(root()))
    for names in (parts, *inside):
        module = ".".join(names)
        if not all(name.isidentifier() for name in (*names, function)):
            continue
        try:
            with redirect_stdout(sys.stderr):  # stdout is for the catalog
                found = getattr(importlib.import_module(module), function, None)
        except (Exception, SystemExit) as error:  # a person's module may raise anything
            missing = (isinstance(error, ModuleNotFoundError) and error.name) or "?"
            if f"{module}.".startswith(f"{missing}."):
                continue
            raise ValueError(f"{module} raises {type(error).__name__}: {reason(error)}") from error
        if isinstance(found, Flow):
            home = vars(sys.modules[found.fn.__module__])
            if home.get(found.fn.__name__) == found:
                return found
            raise ValueError(
                f"{module}.{function} is not a function of that module with @flow, so a worker "
                "cannot import it: put @flow on the function, and import again"
            )
    raise ValueError(
        f"its entrypoint {entrypoint!r} is not in this repository: move the flow into a module of "
        "flows/, and import again"
    )
