"""Everything that can be wrong with a catalog, found without a server."""

from __future__ import annotations

import inspect
from collections import Counter
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

from prefect import Flow
from prefect.schedules import Schedule
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools import validate
from pydantic_core import to_jsonable_python

from deployer.catalog import FILE, SCHEDULES, Deployment, load
from deployer.environment import BANNED, CREDENTIAL, ROOT
from deployer.errors import DeployerError

ELSEWHERE = {
    "work_pool_name": "the work pool belongs to the environment: deployments/environments.toml",
    "image": "the image is given on the command line: --image",
    "build": "the image is built by the pipeline, or by `nox -s image`",
    "push": "the image is pushed by the pipeline",
    "entrypoint_type": "flows are always found by their module",
    "version_type": "the version is always the flow's own",
    "print_next_steps": "the deployer prints its own report",
    "ignore_warnings": "the deployer prints its own report",
    "_sla": "service level agreements are set in Prefect Cloud",
}
OPTIONS = inspect.signature(Flow.deploy).parameters.keys() - ELSEWHERE.keys() - {"self", "name"}


def check(catalog: list[Deployment]) -> list[str]:
    """Return everything that is wrong with a catalog, one sentence each; reads no server."""
    problems = []
    for entry in catalog:
        problems += [f"{FILE}, {entry.key}: {problem}" for problem in _entry_problems(entry)]
    for key, count in Counter(entry.key for entry in catalog).items():
        if count > 1:
            problems.append(f"{FILE}, {key}: there are {count} entries of this name; rename one.")
    return problems


def _entry_problems(entry: Deployment) -> list[str]:
    if not isinstance(entry.flow, Flow):
        return [f"{entry.flow!r} is not a flow: put @flow on the function."]
    problems = [*_name_problems("flow", entry.flow.name), *_name_problems("deployment", entry.name)]
    for option in entry.options.keys() - OPTIONS:
        if option in ELSEWHERE:
            problems.append(f"{option} cannot be set here; {ELSEWHERE[option]}.")
        else:
            near = get_close_matches(option, OPTIONS, 1)
            hint = f"did you mean {near[0]}?" if near else "see the options of Flow.deploy."
            problems.append(f"there is no option {option!r}; {hint}")
    problems += _type_problems(entry.options)
    if problems:
        return problems
    try:
        schedules = entry.schedules
    except (TypeError, ValueError) as error:
        return [f"a schedule is not valid: {error}."]
    return [
        *_schedule_problems(entry, schedules),
        *_parameter_problems(entry, schedules),
        *_job_variable_problems(entry.options.get("job_variables") or {}),
    ]


def _name_problems(what: str, name: Any) -> list[str]:
    if not isinstance(name, str) or not name.strip():
        return [f"the {what}'s name is {name!r}, but it has to be text, such as 'hourly'."]
    if BANNED.search(name):
        return [
            f"the {what}'s name {name!r} has one of / % & < > ? # or a line break: leave it out."
        ]
    if name != name.strip() or name.endswith(".py"):
        return [
            f"the {what}'s name {name!r} starts or ends with a space, or with .py: leave it out."
        ]
    return []


def _type_problems(options: dict[str, Any]) -> list[str]:
    expected: dict[str, tuple[type, ...]] = {
        "parameters": (dict,),
        "job_variables": (dict,),
        "tags": (list, tuple, set),
        "schedules": (list, tuple),
        "schedule": (Schedule,),
        "triggers": (list, tuple),
        "paused": (bool,),
        "enforce_parameter_schema": (bool,),
        "description": (str,),
        "version": (str,),
        "work_queue_name": (str,),
    }
    problems = [
        f"{option} is {options[option]!r}, but it has to be a {types[0].__name__}."
        for option, types in expected.items()
        if options.get(option) is not None and not isinstance(options[option], types)
    ]
    tags = options.get("tags")
    for tag in tags if isinstance(tags, (list, tuple, set)) else ():
        if not isinstance(tag, str) or not tag.strip():
            problems.append(f"the tag {tag!r} has to be text that is not blank.")
        elif tag.startswith(("project:", "environment:")):
            problems.append(f"the tag {tag!r} marks what is ours: choose one without that prefix.")
    if sum(options.get(option) is not None for option in SCHEDULES) > 1:
        problems.append(f"give one of {', '.join(SCHEDULES)}, not several.")
    limit = options.get("concurrency_limit")
    limit = getattr(limit, "limit", limit)
    if limit is not None and (type(limit) is not int or limit < 1):
        problems.append(f"concurrency_limit is {limit!r}, but it has to be a number from 1.")
    for trigger in options.get("triggers") or ():
        if not getattr(trigger, "name", None):
            problems.append(
                f"a trigger has no name: give it one, so that it is known again ({trigger!r})."
            )
    return problems


def _schedule_problems(entry: Deployment, schedules: dict[str, Schedule]) -> list[str]:
    given = entry.options.get("schedules") or []
    problems = []
    if len(schedules) < len(given):
        problems.append("two schedules have the same slug: give each its own.")
    for slug, schedule in schedules.items():
        if schedule.interval is not None and schedule.interval.total_seconds() <= 0:
            problems.append(f"schedule {slug}: an interval has to be longer than nothing.")
        if not any((schedule.interval, schedule.cron, schedule.rrule)):
            problems.append(f"schedule {slug}: it has neither an interval, a cron nor an rrule.")
        if schedule.timezone and schedule.timezone not in available_timezones():
            problems.append(
                f"schedule {slug}: there is no time zone {schedule.timezone!r}: "
                "use one like Europe/Berlin."
            )
    return problems


def _parameter_problems(entry: Deployment, schedules: dict[str, Schedule]) -> list[str]:
    schema = parameter_schema(entry.flow).model_dump(exclude_unset=True)
    known = schema.get("properties", {})
    base = entry.options.get("parameters") or {}
    sets = {"parameters": base}
    sets |= {f"schedule {slug}": {**base, **each.parameters} for slug, each in schedules.items()}
    if entry.smoke is not None:
        if not isinstance(entry.smoke, dict):
            return [f"smoke is {entry.smoke!r}, but it has to be a dict of parameters."]
        sets["smoke"] = {**base, **entry.smoke}
    any_name = any(
        p.kind is p.VAR_KEYWORD for p in inspect.signature(entry.flow.fn).parameters.values()
    )
    problems = []
    for where, values in sets.items():
        for name in values.keys() - known.keys() if not any_name else ():
            near = get_close_matches(str(name), known, 1)
            hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(known) or 'none'}."
            problems.append(f"{where}: the flow has no parameter {name!r}; {hint}")
        try:
            plain = to_jsonable_python(values)
            validate(plain, schema, raise_on_error=True, ignore_required=where == "parameters")
        except Exception as error:  # jsonschema's and pydantic's errors share no base class
            problems.append(f"{where}: {str(error).splitlines()[0]}.")
    return problems


def _job_variable_problems(variables: dict[str, Any]) -> list[str]:
    env = variables.get("env")
    return [
        f"job_variables.env.{name} would be readable in the UI: put the value into a Secret block "
        f'and write "{{{{ prefect.blocks.secret.NAME }}}}".'
        for name, value in (env.items() if isinstance(env, dict) else ())
        if CREDENTIAL.search(str(name)) and value and "{{" not in str(value)
    ]


def require(root: Path = ROOT) -> list[Deployment]:
    """Load and check the catalog.

    Raises:
        DeployerError: with everything that is wrong with it.
    """
    catalog = load(root)
    if problems := check(catalog):
        raise DeployerError(*problems)
    return catalog
