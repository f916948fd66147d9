"""The entries of the catalog: a flow and the options of `Flow.deploy`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # so that `import deployer` does not import Prefect
    from prefect import Flow
    from prefect.schedules import Schedule

IMPORTED_AT = datetime.now(UTC)
SCHEDULES = ("interval", "cron", "rrule", "schedule", "schedules")


class Deployment:
    """One entry of the catalog.

    Args:
        flow: the flow to deploy; it lives in a module of `flows`.
        name: the deployment's name, before the environment's suffix.
        smoke: parameters of the smoke run after each deploy, which must complete; None for none.
        options: the options of `Flow.deploy`, under the same names.
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
        if given := options.get("schedule"):
            options["schedule"] = _converted(given)
        if isinstance(given := options.get("schedules"), list | tuple):
            options["schedules"] = [_converted(each) for each in given]

    @property
    def key(self) -> str:
        """`FLOW/NAME`, as Prefect writes it."""
        return f"{getattr(self.flow, 'name', None) or repr(self.flow)}/{self.name}"

    @property
    def schedules(self) -> dict[str, Schedule]:
        """The declared schedules by slug; one without a slug gets `schedule-N`.

        By the slug, the next deploy recognises a schedule and keeps its id and its active switch.
        """
        found: list[Schedule] = []
        for option in SCHEDULES:
            given = self.options.get(option)
            if given is None:
                continue
            many = isinstance(given, Iterable) and not isinstance(given, str)
            found += [_schedule(option, value) for value in (given if many else [given])]
        return {each.slug or f"schedule-{n}": each for n, each in enumerate(found, 1)}


def _converted(value: Any) -> Any:
    """Convert a schedule of Prefect's API to a `Schedule`; return anything else unchanged.

    Raises:
        ValueError: it sets max_scheduled_runs.
    """
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule
    from prefect.schedules import Schedule

    own: dict[str, Any] = {}
    if isinstance(value, DeploymentScheduleCreate):
        if value.max_scheduled_runs is not None:
            raise ValueError(
                f"max_scheduled_runs={value.max_scheduled_runs} would be lost: Prefect's server "
                "drops it when a schedule is deployed, and never reads it; leave it out"
            )
        own = {name: getattr(value, name) for name in ("active", "parameters", "slug")}
        value = value.schedule
    if isinstance(value, CronSchedule | IntervalSchedule | RRuleSchedule):
        # Only the fields that were set: the default anchor would be the time of this import.
        return Schedule(**value.model_dump(exclude_unset=True), **own)
    return value


def _schedule(option: str, value: Any) -> Schedule:
    from prefect.schedules import Cron, Interval, RRule, Schedule

    if isinstance(value, Schedule):
        return value
    if option == "interval":
        return Interval(value)
    if option == "cron":
        return Cron(value)
    if option == "rrule":
        return RRule(value)
    raise ValueError(
        f"{value!r} is not a schedule: use Cron, Interval or RRule of prefect.schedules"
    )
