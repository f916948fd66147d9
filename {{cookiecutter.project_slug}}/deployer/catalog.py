"""What is deployed: a flow and the options of `Flow.deploy`."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from prefect import Flow
from prefect.schedules import Cron, Interval, RRule, Schedule

from deployer.environment import ROOT
from deployer.errors import DeployerError

FILE = "deployments/catalog.py"
STARTED = datetime.now(timezone.utc)
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
        return f"{getattr(self.flow, 'name', self.flow)}/{self.name}"

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
        module = importlib.import_module("deployments.catalog")
    except Exception as error:  # whatever a person's module raises is theirs to read
        raise DeployerError(_import_problem(error, root)) from error
    catalog = getattr(module, "CATALOG", None)
    if not isinstance(catalog, list) or not all(isinstance(each, Deployment) for each in catalog):
        raise DeployerError(f"{FILE}: CATALOG has to be a list of Deployment(…) entries.")
    return catalog


def _import_problem(error: Exception, root: Path) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        file, line = error.filename, error.lineno
    else:
        frames = traceback.extract_tb(error.__traceback__)
        own = [
            f
            for f in frames
            if Path(f.filename).is_relative_to(root) and "catalog.load" not in f.name
        ]
        own = [f for f in own if "site-packages" not in f.filename and f.filename != __file__]
        file, line = (own[-1].filename, own[-1].lineno) if own else (FILE, None)
    path = Path(file)
    where = path.relative_to(root) if path.is_relative_to(root) else path
    return f"{where}, line {line}: {type(error).__name__}: {error}. Mend it; nothing was deployed."
