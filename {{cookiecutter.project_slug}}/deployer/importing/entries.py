"""Turn the spec of a deployment into a catalog entry: the inverse of `deployer.spec`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import count
from typing import Any

from prefect.client.schemas.objects import ConcurrencyLimitConfig
from prefect.events import DeploymentTriggerTypes
from prefect.schedules import Cron, Interval, RRule
from pydantic import BaseModel, RootModel, TypeAdapter

from deployer import plan
from deployer import spec as specs
from deployer.catalog import Deployment
from deployer.credentials import block_name, find_credentials, mask_values
from deployer.environment import RESERVED, Environment, ordered
from deployer.importing.flows import find
from deployer.importing.source import Call, whole
from deployer.rules import shown
from deployer.spec import Spec

KINDS: dict[str, Callable[..., Any]] = {"interval": Interval, "cron": Cron, "rrule": RRule}
TRIGGER: TypeAdapter[Any] = TypeAdapter(DeploymentTriggerTypes)
# Versions that Prefect generates: a commit, or the hash of a flow's file.
MADE_BY_PREFECT = re.compile(r"(?=.*[a-f])[0-9a-f]{7,64}")
START = "DTSTART:20200101T000000\n"  # what Prefect puts before a rule that has no start
LIMITS = ("collision_strategy", "grace_period_seconds")
SAME = {  # options whose values a spec contains, with the names of its fields
    **{name: name for name in ("parameters", "enforce_parameter_schema", "description")},
    **{"version": "version", "work_pool_name": "work_pool", "work_queue_name": "work_queue"},
    "paused": "paused",
}
WHY = {  # why the next deploy changes a field, and what to do
    "description": "it is the flow's docstring from now on",
    "entrypoint": "a worker imports the flow by its module: nothing to do",
    "flow": "the flow has another name here: give it the old one, @flow(name=…)",
    "job_variables": "the environment sets it: change its job_variables if that is wrong",
    "job_variables.image": "a deploy sets it: build this project's image with `nox -s image`",
    "name": "the environment adds its name_suffix: import into one that adds none",
    "parameter_schema": "the flow has other parameters here: nothing to do, or import again",
    "pull_steps": "the image holds the flows and starts in their folder: nothing to do",
    "schedules": "one has no slug: it gets one, stays on or off, and its runs are created again",
    "triggers": "an automation does more than run the deployment: create that one by hand",
    "tags": "project:, environment: and origin: are reserved for the deployer: choose other tags",
    "version": "it is the flow's version from now on: nothing to do",
    "work_pool": "it has none on the server: from now on it has the environment's",
}


def entry(
    spec: Spec, environment: Environment, smoke: dict[str, Any] | None = None
) -> tuple[Call, list[str]]:
    """Return the entry that declares a spec.

    Args:
        spec: the deployment's spec; a missing field gets its default.
        environment: where it is; the entry does not repeat the settings of its table.
        smoke: parameters of a smoke run; None for no run.

    Returns:
        The call of `Deployment`, and a line for each field that the next deploy would change.

    Raises:
        ValueError: no entry can declare it; the message is a clause: why, and what to do.
    """
    if "name" not in spec:
        raise ValueError("it has no name of its own: give it one")
    flow = find(spec.get("entrypoint"))
    name = spec["name"].removesuffix(environment.name_suffix)
    default = specs.declared(Deployment(flow, name), environment)
    spec = {**default, **spec}
    variables, default_variables = spec["job_variables"], default["job_variables"]
    same = {
        option: mask_values(spec[field], field)
        for option, field in SAME.items()
        if spec[field] != default[field]
    }
    if MADE_BY_PREFECT.fullmatch(str(spec["version"])):
        same["version"] = None
    if spec["description"] == flow.description:  # the docstring, as Prefect itself deploys it
        same["description"] = None
    options = {
        "name": name,
        "schedules": [*_schedules(spec["schedules"], environment.schedules == "off")],
        **same,
        "tags": [tag for tag in spec["tags"] if not tag.startswith(RESERVED)],
        "job_variables": {
            name: _without_secrets(value) if name == "env" else mask_values(value, name)
            for name, value in variables.items()
            if name != "image" and value != default_variables.get(name)
        },
        "concurrency_limit": _limit(spec),
        "triggers": [*map(_trigger, spec["triggers"].values())],
    }
    given = {option: value for option, value in options.items() if value not in (None, [], {})}
    call = Call(Deployment, (flow,), given if smoke is None else {**given, "smoke": smoke})
    before = {**spec, "tags": ordered([*spec["tags"], *environment.tags])}
    after = plan.keep_switches(specs.declared(call(), environment), before, None)
    return call, [*_changes(plan.difference(before, after))]


def _changes(fields: dict[str, tuple[Any, Any]]) -> Iterator[str]:
    """Return a line per field that the next deploy changes; values only if none can be secret."""
    found: dict[str, str] = {}
    for path, pair in fields.items():
        head, *rest = path.split(".")
        field = f"{head}.{rest[0]}" if head == "job_variables" and rest else head
        why = WHY.get(field) or WHY.get(head, "look at the plan")
        shows = path == (field if field.endswith(".image") else head)
        text = shows and all(isinstance(each, str | None) for each in pair)
        what = "{} becomes {}".format(*map(shown, pair)) if text else "changes"
        found.setdefault(field, f"{field}: {what}; {why}.")
    return iter(found.values())


def _schedules(found: dict[str, dict[str, Any]], off: bool) -> Iterator[Call]:
    """Yield the schedules, those with a default slug first; `off`: the environment has all off."""
    free = (slug for n in count(1) if (slug := f"schedule-{n}") not in found)
    slugs = {
        next(free) if specs.is_schedule_id(slug) else slug: each for slug, each in found.items()
    }
    numbered = [each for n in range(1, len(slugs) + 1) if (each := f"schedule-{n}") in slugs]
    ordered = dict.fromkeys([*numbered, *slugs])
    for number, slug in enumerate(ordered, 1):
        schedule = mask_values(slugs[slug])
        kind = next(each for each in KINDS if each in schedule)
        timing = schedule.pop(kind)
        timing = whole(timing) if kind == "interval" else timing.removeprefix(START)
        anchor = schedule.pop("anchor_date", None)
        if anchor not in (None, specs.ANCHOR):
            moment = datetime.fromisoformat(anchor)
            # An anchor with a fraction is the time of a deploy. Left out, the live one is kept.
            schedule["anchor_date"] = None if moment.microsecond else moment
        schedule["slug"] = None if slug == f"schedule-{number}" else slug
        default = {"timezone": None if kind == "cron" else "UTC", "day_or": True, "active": True}
        if off:
            del schedule["active"]
        given = {k: v for k, v in schedule.items() if v not in (default.get(k), None, {})}
        yield Call(KINDS[kind], (timing,), given)


def _without_secrets(env: Any) -> Any:
    """Replace secrets with references to Secret blocks, because the check refuses them."""
    if not isinstance(env, dict):
        return env
    made = {}
    for name, value in env.items():
        secret = any(find_credentials(value, name))
        made[name] = f"{{{{ prefect.blocks.secret.{block_name(name)} }}}}" if secret else value
    return made


def _limit(spec: Spec) -> Any:
    """Return the limit as a number, or with a strategy as Prefect's ConcurrencyLimitConfig."""
    if not spec["collision_strategy"]:
        return spec["concurrency_limit"]
    names = {"limit": "concurrency_limit", **{name: name for name in LIMITS}}
    return _model(ConcurrencyLimitConfig(**{name: spec[key] for name, key in names.items()}))


def _trigger(automation: dict[str, Any]) -> Call:
    """Return the trigger that creates an automation; what it cannot express differs in the plan."""
    runs = (each for each in automation["actions"] if each["type"] == "run-deployment")
    action: dict[str, Any] = next(runs, {})
    call = _model(TRIGGER.validate_python({**action, **automation, **automation["trigger"]}))
    return Call(call.function, (), {"name": automation["name"], **call.options})


def _model(value: Any) -> Any:
    """Return the call that creates a Prefect model, with the fields that are not the default."""
    if isinstance(value, RootModel):
        return value.root
    if isinstance(value, list):
        return [_model(each) for each in value]
    if not isinstance(value, BaseModel):
        return value
    options = {}
    for name, field in type(value).model_fields.items():
        given = getattr(value, name)
        if name not in specs.IDS and given != field.get_default(call_default_factory=True):
            options[name] = _model(given)
    return Call(type(value), (), options)
