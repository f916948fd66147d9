"""What is deployed: a flow and the options of `Flow.deploy`."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import Flow
from prefect.schedules import Cron, Interval, RRule, Schedule

from deployer.check.rules import shown
from deployer.environment import ROOT
from deployer.errors import DeployerError, on_one_line, reason

FILE = "deployments/catalog.py"
STARTED = datetime.now(UTC)
SCHEDULES = ("interval", "cron", "rrule", "schedule", "schedules")


class Deployment:
    """One entry of the catalog.

    Args:
        flow: the flow to deploy; it lives in a module of `flows`.
        name: the deployment's name, before the environment's suffix.
        smoke: parameters of one run after each deploy, which has to complete; None for no run.
        options: the options of `Flow.deploy` under their own names.
    """

    def __init__(
        self,
        flow: Flow[..., Any],
        name: str,
        *,
        smoke: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self.flow = flow
        self.name = name
        self.smoke = smoke
        self.options = options

    @property
    def key(self) -> str:
        """`FLOW/NAME`, as Prefect writes it."""
        flow = self.flow.name if isinstance(self.flow, Flow) else repr(self.flow)
        return f"{flow}/{self.name}"

    @property
    def schedules(self) -> dict[str, Schedule]:
        """The declared schedules by slug: their own, or `schedule-N`.

        A slug is what keeps a schedule's id, and with it its switch, over the next deploy.
        """
        found: list[Schedule] = []
        for option in SCHEDULES:
            given = self.options.get(option)
            if given is None:
                continue
            many = isinstance(given, Iterable) and not isinstance(given, str)
            for value in given if many else [given]:
                found.append(value if isinstance(value, Schedule) else _schedule(option, value))
        return {each.slug or f"schedule-{n}": each for n, each in enumerate(found, 1)}


def _schedule(option: str, value: Any) -> Schedule:
    builders: dict[str, Callable[[Any], Schedule]]
    builders = {"interval": Interval, "cron": Cron, "rrule": RRule}
    if option not in builders:
        raise ValueError(
            f"{value!r} is not a schedule: use Cron, Interval or RRule of prefect.schedules"
        )
    return builders[option](value)


def load(root: Path = ROOT) -> list[Deployment]:
    """Import deployments/catalog.py and return its CATALOG.

    Raises:
        DeployerError: it cannot be imported, or CATALOG is not a list of Deployment.
    """
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        with redirect_stdout(sys.stderr):  # stdout is the report's
            module = importlib.import_module("deployments.catalog")
    except (Exception, SystemExit) as error:  # whatever a person's module raises is theirs to read
        raise DeployerError(on_one_line(_import_problem(error, root))) from error
    catalog = getattr(module, "CATALOG", None)
    if not isinstance(catalog, list):
        what = "missing" if catalog is None else f"a {type(catalog).__name__} and no list"
        raise DeployerError(f"{FILE}: CATALOG is {what}: write CATALOG = [Deployment(…), …].")
    strangers = [
        f"{FILE}, entry {number} of CATALOG is {shown(each)}: "
        "write Deployment(FLOW, name=NAME) instead."
        for number, each in enumerate(catalog, 1)
        if not isinstance(each, Deployment)
    ]
    if strangers:
        raise DeployerError(*strangers)
    return catalog


def _import_problem(error: BaseException, root: Path) -> str:
    """Say what went wrong, and at which line of the project."""
    places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError):
        places.append((error.filename or "", error.lineno))
    where = FILE
    for file, line in places:
        inside = Path(file).is_relative_to(root) and "site-packages" not in file
        if inside and not Path(file).is_relative_to(root / "deployer"):
            where = f"{Path(file).relative_to(root).as_posix()}, line {line}"
    text = error.msg if isinstance(error, SyntaxError) else reason(error)
    return f"{where}: {type(error).__name__}: {text.rstrip('.')}. Mend it; nothing was deployed."
