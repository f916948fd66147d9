"""Load the catalog of the project, and refuse it if anything in it is wrong."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from prefect.flows import load_flow_from_entrypoint

from deployer import environment
from deployer.catalog import Deployment
from deployer.check.catalog import FILE, check
from deployer.check.resources import check as check_resources
from deployer.errors import DeployerError, on_one_line, reason
from deployer.project import root
from deployer.rules import shown
from deployer.spec import Spec


def load() -> list[Deployment]:
    """Import deployments/catalog.py, check CATALOG and RESOURCES, and return CATALOG.

    Raises:
        DeployerError: names everything that is wrong.
    """
    module = _imported(root())
    catalog = getattr(module, "CATALOG", None)
    if not isinstance(catalog, list):
        what = "missing" if catalog is None else f"a {type(catalog).__name__}, not a list"
        raise DeployerError(f"{FILE}: CATALOG is {what}: write CATALOG = [Deployment(…), …].")
    others = [
        f"{FILE}, entry {number} of CATALOG is {shown(each)}: "
        "write Deployment(FLOW, name=NAME) instead."
        for number, each in enumerate(catalog, 1)
        if not isinstance(each, Deployment)
    ]
    wrong = check_resources(getattr(module, "RESOURCES", []))
    if problems := [*(others or check(catalog, environment.images())), *wrong]:
        raise DeployerError(*problems)
    return catalog


def resources() -> list[Any]:
    """Return the catalog's RESOURCES, which `load` has checked before."""
    return list(getattr(_imported(root()), "RESOURCES", []))


def require_entrypoints(recorded: dict[str, Spec]) -> None:
    """Require the flows of a recorded release that runs from this working tree.

    Args:
        recorded: the release's specs; those that run in another folder are skipped.

    Raises:
        DeployerError: names every entrypoint from which no flow can be loaded.
    """
    here, gone = str(root()), []
    for entrypoint in sorted(
        {
            spec["entrypoint"]
            for spec in recorded.values()
            if spec["job_variables"].get("working_dir") == here
        }
    ):
        try:
            with _importing(root()):
                load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
        except (Exception, SystemExit) as error:
            gone.append(f"{entrypoint} ({reason(error).rstrip('.')})")
    if gone:
        raise DeployerError(
            f"The working tree does not have the flows of this release: {'; '.join(gone)}. Nothing "
            "was changed: restore the code with git, or choose another release with --to."
        )


@contextmanager
def _importing(folder: Path) -> Iterator[None]:
    """Make the project's modules importable; what they print goes to stderr."""
    if sys.path[0] != str(folder):  # first, because another project may be on the path too
        sys.path.insert(0, str(folder))
    with redirect_stdout(sys.stderr):  # stdout is for the report
        yield


def _imported(folder: Path) -> Any:
    """Return the catalog's module."""
    try:
        with _importing(folder):
            return importlib.import_module("deployments.catalog")
    except (Exception, SystemExit) as error:  # the module may raise anything
        raise DeployerError(on_one_line(_import_problem(error, folder))) from error


def _import_problem(error: BaseException, folder: Path) -> str:
    """Return a sentence about the error, with the line of the project that raised it."""
    places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError):
        places.append((error.filename or "", error.lineno))
    where = FILE
    for file, line in places:
        inside = Path(file).is_relative_to(folder) and "site-packages" not in file
        if inside and not Path(file).is_relative_to(folder / "deployer"):
            where = f"{Path(file).relative_to(folder).as_posix()}, line {line}"
    text = error.msg if isinstance(error, SyntaxError) else reason(error)
    return f"{where}: {type(error).__name__}: {text.rstrip('.')}. Fix it; nothing was deployed."
