"""Check a catalog for problems, without a server."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Iterator
from datetime import timedelta
from functools import cache
from typing import Any, get_type_hints
from zoneinfo import available_timezones

from prefect import Flow
from prefect.client.schemas.objects import ConcurrencyLimitConfig
from prefect.deployments.schedules import create_deployment_schedule_create
from prefect.schedules import Schedule
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from deployer import credentials
from deployer import spec as specs
from deployer.catalog import SCHEDULES, Deployment
from deployer.check.parameters import parameter_problems
from deployer.environment import RESERVED, image_problem
from deployer.errors import on_one_line
from deployer.rules import (
    hint,
    job_variable_problems,
    json_problems,
    name_problem,
    readable,
    shown,
)

FILE = "deployments/catalog.py"
REFUSED = {  # options of Flow.deploy, and why an entry cannot set them
    **dict.fromkeys(
        ("pull", "pull_steps", "storage"),
        "no code is pulled when a run starts, because the image contains it: put code into flows/, "
        "and what a pull step installs into the Dockerfile",
    ),
    "build": "the image is built by the pipeline, or by `nox -s image`",
    "push": "the image is pushed by the pipeline",
    "entrypoint_type": "a worker always imports a flow by its module",
    "version_type": "the version is the option `version`, or the flow's version",
    "print_next_steps": "the deployer prints its own report",
    "ignore_warnings": "the deployer prints its own report",
    "_sla": "service level agreements are set in Prefect Cloud",
}
time_zones = cache(available_timezones)  # uncached, each call reads about 600 files
SHORTEST_INTERVAL = timedelta(seconds=10)  # without a warning; a container takes as long to start


def check(catalog: list[Deployment], images: Collection[str] = ()) -> list[str]:
    """Return the problems of a catalog, one sentence each. Sends no request.

    Args:
        catalog: the entries.
        images: names of the images that an entry may run instead of the default one.
    """
    found = [(each.key, problem) for each in catalog for problem in _entry_problems(each, images)]
    for key, count in Counter(entry.key for entry in catalog).items():
        if count > 1:
            found.append((key, f"there are {count} entries of this name; rename one."))
    return [on_one_line(f"{FILE}, {key}: {problem}") for key, problem in found]


def warnings(catalog: list[Deployment]) -> list[str]:
    """Return the probable mistakes in a checked catalog, one sentence each."""
    return [
        f"{FILE}, {entry.key}: schedule {slug} starts a run every "
        f"{each.interval.total_seconds():g} s, faster than most runs start: an interval is in "
        "seconds, so an hour is Interval(3600)."
        for entry in catalog
        for slug, each in entry.schedules.items()
        if each.interval and each.interval < SHORTEST_INTERVAL
    ]


def _entry_problems(entry: Deployment, images: Collection[str]) -> list[str]:
    if not isinstance(entry.flow, Flow):
        return [f"{shown(entry.flow)} is not a flow: put @flow on the function."]
    names = {"the flow's name": entry.flow.name, "the deployment's name": entry.name}
    own = ("work_pool_name", "work_queue_name")
    names |= {name: entry.options[name] for name in own if entry.options.get(name) is not None}
    problems = [f"{what} {why}." for what, name in names.items() if (why := name_problem(name))]
    if isinstance(entry.name, str) and entry.name.endswith(".py"):
        problems.append(f"the deployment's name {entry.name!r} ends with .py: Prefect cuts it off.")
    problems += [*_place_problems(entry.flow), *_type_problems(entry.options)]
    image = entry.options.get("image")
    if image is not None and (problem := image_problem(image, images)):
        problems.append(problem)
    if problems:
        return problems
    given = [option for option in SCHEDULES if entry.options.get(option) is not None]
    if len(given) > 1:
        return [f"{' and '.join(given)} are both given: choose one of them."]
    try:
        schedules = entry.schedules
    except (ArithmeticError, TypeError, ValueError) as error:
        return [f"{given[0]}: {error}."]
    return [
        *_value_problems(entry.options),
        *_schedule_problems(schedules, entry.options),
        *_parameter_problems(entry, schedules),
        *job_variable_problems(entry.options.get("job_variables") or {}),
    ]


def _place_problems(flow: Flow[..., Any]) -> Iterator[str]:
    """Say why a worker cannot import this flow from its entrypoint, MODULE.FUNCTION."""
    module, name = flow.fn.__module__, flow.fn.__name__
    found = getattr(sys.modules.get(module), name, None)
    if module == "__main__" or not isinstance(found, Flow) or found.fn is not flow.fn:
        yield (
            f"a worker cannot import {module}.{name}: define the flow with @flow at the top of a "
            "module in flows/, under the name of its function."
        )
    elif found is not flow:
        yield (
            f"a run imports {module}.{name} and would lose what with_options changed here: give "
            f"@flow these options, or write {name} = {name}.with_options(…) in {module} itself."
        )


@cache
def _options() -> type[BaseModel]:
    """Return the options of `Flow.deploy` with the types that Prefect gives them."""
    hints = get_type_hints(Flow.deploy, localns={"DockerImage": Any})
    excluded = {"name", "return", *REFUSED}
    hints["image"] = Any  # a name from environments.toml, not a DockerImage
    fields: dict[str, Any] = {k: (v, None) for k, v in hints.items() if k not in excluded}
    config = ConfigDict(strict=True, extra="forbid", revalidate_instances="always")
    return create_model("Options", __config__=config, **fields)


def _type_problems(options: dict[str, Any]) -> list[str]:
    found: dict[str, str] = {}
    try:
        _options().model_validate(options)
    except ValidationError as error:
        for each in error.errors(include_url=False):
            option, *rest = map(str, each["loc"])
            # The rest is a path inside the value, or one of the types of a union.
            parts = rest if option.startswith("schedule") else [p for p in rest if p.isdigit()]
            where = ".".join([option, *parts])
            text = each["msg"].replace("Input should", "but it should")
            problem = f"{where} is {shown(each['input'])}, {text}."
            if option in REFUSED:
                problem = f"{option} cannot be set here; {REFUSED[option]}."
            elif each["type"] == "extra_forbidden":
                helps = hint(option, _options().model_fields, "see the options of Flow.deploy.")
                problem = f"there is no option {option!r}; {helps}"
            found.setdefault(where, problem)
    return list(found.values())


def _value_problems(options: dict[str, Any]) -> Iterator[str]:
    for tag in options.get("tags") or ():
        if not tag.strip():
            yield f"the tag {tag!r} is blank: leave it out."
        elif tag.startswith(RESERVED):
            yield f"the tag {tag!r} is reserved for the deployer: choose another."
    limit = options.get("concurrency_limit")
    number = limit.limit if isinstance(limit, ConcurrencyLimitConfig) else limit
    if number is not None and (not isinstance(number, int) or number < 1):
        yield f"concurrency_limit is {limit!r}, but it has to be a whole number, 1 or more."
    names = [getattr(trigger, "name", None) for trigger in options.get("triggers") or ()]
    if not all(names):
        yield "a trigger has no name: give it one, so that the next deploy recognises it."
    elif len(set(names)) < len(names):
        yield "two triggers have the same name: give each its own."
    for trigger in options.get("triggers") or ():
        given = trigger.model_dump(include={"job_variables", "parameters"})
        for path in credentials.find_credentials(given, f"trigger {trigger.name}"):
            yield readable(path, "load that in the flow")
    for option in ("description", "tags", "version"):
        yield from json_problems(option, options.get(option))


def _schedule_problems(schedules: dict[str, Schedule], options: dict[str, Any]) -> Iterator[str]:
    if len(schedules) < len(options.get("schedules") or ()):
        yield "two schedules have the same slug: give each its own."
    for slug, schedule in schedules.items():
        if problem := _timing_problem(schedule):
            yield f"schedule {slug}: {problem}."
        elif schedule.slug:
            yield from json_problems(f"schedule {slug}: its slug", schedule.slug)


def _timing_problem(schedule: Schedule) -> str | None:
    slug = schedule.slug
    if slug is not None and (not slug.strip() or specs.is_schedule_id(slug)):
        return "its slug is blank or looks like an id: give it a name such as 'morning'"
    if (schedule.interval, schedule.cron, schedule.rrule) == (None, None, None):
        return "it has neither an interval, a cron nor an rrule"
    if schedule.interval is not None and schedule.interval <= timedelta(0):
        return f"its interval is {schedule.interval}, but it has to be longer than 0 seconds"
    if schedule.timezone is not None and schedule.timezone not in time_zones():
        return f"there is no time zone {schedule.timezone!r}: write one like Europe/Berlin"
    if schedule.rrule is not None:
        made = getattr(create_deployment_schedule_create(schedule).schedule, "rrule", None)
        start = "DTSTART:20200101T000000"  # Prefect's default, but some rules get today instead
        if made not in (schedule.rrule, f"{start}\n{schedule.rrule}"):
            return f"its rrule would start again with every deploy: put {start} before it"
    return None


def _parameter_problems(entry: Deployment, schedules: dict[str, Schedule]) -> list[str]:
    base = entry.options.get("parameters") or {}
    sets = {f"schedule {slug}": {**base, **each.parameters} for slug, each in schedules.items()}
    if entry.smoke is not None:
        if not isinstance(entry.smoke, dict):
            return [f"smoke is {shown(entry.smoke)}, but it has to be a dict of parameters."]
        sets["smoke"] = {**base, **entry.smoke}
    enforced = entry.options.get("enforce_parameter_schema", True)
    return parameter_problems(entry.flow, base, sets, enforced)
