"""One normalised form of a deployment, made from its declaration or from the server's answer.

A spec is plain JSON: what a person sees in a plan, what a release records, what a restore writes.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from prefect import Flow
from prefect.client.schemas.objects import ConcurrencyLimitConfig
from prefect.deployments.schedules import create_deployment_schedule_create
from prefect.schedules import Schedule
from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from deployer.catalog import STARTED, Deployment
from deployer.docstring import markdown
from deployer.environment import Environment, ordered
from deployer.project import root

Spec = dict[str, Any]
# Prefect's default anchor is the moment of the deploy, which would make every plan differ
# and can keep an hourly schedule from ever firing; Prefect's own default for rrules is this one.
ANCHOR = "2020-01-01T00:00:00+00:00"
DURATION = TypeAdapter(timedelta)  # seconds, or ISO 8601
# Of an automation: what a server fills in, what has no order, and where a person's own names are.
IDS = {"id", "created", "updated", "deployment_id", "owner_resource"}
SETS = {"after", "expect", "for_each"}
WRITTEN = {"parameters", "job_variables", "match", "match_related"}
# What the server makes of a flow without a docstring: creating writes the word, updating nothing.
NO_DESCRIPTION = ("None", "", None)


def declared(entry: Deployment, environment: Environment) -> Spec:
    """Return the spec that an entry asks for in an environment.

    Args:
        entry: a checked entry of the catalog.
        environment: where it goes; without images its runs use the working tree.
    """
    options = entry.options
    flow = entry.flow
    limit = options.get("concurrency_limit")
    config = limit if isinstance(limit, ConcurrencyLimitConfig) else None
    layers = [environment.job_variables, options.get("job_variables") or {}]
    variables = _merged(*layers, environment.given_variables)
    if image := environment.image(options.get("image")):
        variables["image"] = image
    elif environment.work_pool_type == "process":
        # A process worker does not start in the project's folder, so it could not import the flows.
        variables.setdefault("working_dir", str(root()))
    off = environment.schedules == "off"
    return {
        "flow": flow.name,
        "name": entry.name + environment.name_suffix,
        "entrypoint": f"{flow.fn.__module__}.{flow.fn.__name__}",
        "work_pool": environment.pool(options.get("work_pool_name")),
        "work_queue": options.get("work_queue_name") or environment.queue,
        "job_variables": to_jsonable_python(variables),
        "parameters": to_jsonable_python(options.get("parameters") or {}),
        "parameter_schema": schema_of(flow),
        "enforce_parameter_schema": options.get("enforce_parameter_schema", True),
        "tags": ordered([*(options.get("tags") or ()), *environment.tags]),
        "description": options.get("description") or markdown(flow.description or "") or None,
        "version": options.get("version") or flow.version,
        "concurrency_limit": config.limit if config else limit,
        "collision_strategy": str(config.collision_strategy.value) if config else None,
        "grace_period_seconds": getattr(config, "grace_period_seconds", None),
        "paused": bool(options.get("paused")),
        "schedules": {
            slug: declared_schedule(schedule, off) for slug, schedule in entry.schedules.items()
        },
        "triggers": {each.name: declared_trigger(each) for each in options.get("triggers") or ()},
        "pull_steps": [],
    }


def live(row: dict[str, Any], flow: str, automations: list[dict[str, Any]] | None = None) -> Spec:
    """Return the spec of a deployment on the server.

    Args:
        row: the server's answer for one deployment.
        flow: the name of its flow.
        automations: the automations that belong to it, as the server answers.
    """
    limit = row.get("global_concurrency_limit") or {}
    options = row.get("concurrency_options") or {}
    return {
        "flow": flow,
        "name": row["name"],
        "entrypoint": row["entrypoint"],
        "work_pool": row["work_pool_name"],
        "work_queue": row["work_queue_name"],
        "job_variables": row["job_variables"] or {},
        "parameters": row["parameters"] or {},
        "parameter_schema": row["parameter_openapi_schema"] or {},
        "enforce_parameter_schema": row["enforce_parameter_schema"],
        "tags": ordered(row["tags"]),
        "description": None if row["description"] in NO_DESCRIPTION else row["description"],
        "version": row["version"],
        "concurrency_limit": limit.get("limit"),
        "collision_strategy": options.get("collision_strategy"),
        "grace_period_seconds": options.get("grace_period_seconds"),
        "paused": row["paused"],
        "schedules": {
            each["slug"] or each["id"]: _live_schedule(each) for each in row["schedules"]
        },
        "triggers": {each["name"]: steady(each) for each in automations or ()},
        "pull_steps": row.get("pull_steps") or [],
    }


def _merged(*layers: dict[str, Any]) -> dict[str, Any]:
    """Return job variables in which a later layer wins, in `env` for each name by itself.

    A dotted name such as `env.LEVEL` means a part of a variable, as it does to a worker.
    """
    found: dict[str, Any] = {}
    for layer in layers:
        parts = [([name], value) for name, value in layer.items() if "." not in name]
        parts += [(name.split("."), value) for name, value in layer.items() if "." in name]
        if isinstance(env := layer.get("env"), dict):
            parts.remove((["env"], env))
            parts += [(["env", name], value) for name, value in env.items()]
        for (*outer, last), value in parts:
            place = found
            for name in outer:
                inner = place.get(name)
                place[name] = place = {**inner} if isinstance(inner, dict) else {}
            place[last] = value
    return found


@cache
def schema_of(flow: Flow[..., Any]) -> dict[str, Any]:
    """Return the schema of a flow's parameters; many entries share one flow."""
    return flow.parameters.model_dump(mode="json", exclude_unset=True)


def key(spec: Spec) -> str:
    """`FLOW/NAME`, as Prefect writes it."""
    return f"{spec['flow']}/{spec['name']}"


def nameless(slug: str) -> bool:
    """Whether this stands for a schedule without a slug, which is known by its id."""
    return re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", slug) is not None


def schedule_create(slug: str | None, schedule: dict[str, Any]) -> dict[str, Any]:
    """Return what the server takes to create a schedule with this slug."""
    timing = {k: v for k, v in schedule.items() if k not in ("active", "parameters")}
    body = {"schedule": timing, "active": schedule["active"], "parameters": schedule["parameters"]}
    return body if slug is None else {**body, "slug": slug}


def to_schedule(slug: str, schedule: dict[str, Any]) -> Schedule:
    """Return the schedule as `Flow.deploy` takes it."""
    given = {k: v for k, v in schedule.items() if v is not None}
    if "interval" in given:
        given["interval"] = timedelta(seconds=given["interval"])
        given["anchor_date"] = datetime.fromisoformat(given["anchor_date"])
    return Schedule(slug=slug, **given)


def declared_schedule(schedule: Schedule, off: bool) -> dict[str, Any]:
    """Return what a spec says of a schedule; `off` where the environment has all of them off."""
    made = create_deployment_schedule_create(schedule).schedule
    timing = _timing(made.model_dump(mode="json"))
    anchor = timing.get("anchor_date")
    if anchor and STARTED <= datetime.fromisoformat(anchor) <= datetime.now(UTC):
        timing["anchor_date"] = None  # none was given: the live one stays
    return {
        **timing,
        "active": schedule.active and not off,
        "parameters": to_jsonable_python(schedule.parameters),
    }


def _live_schedule(row: dict[str, Any]) -> dict[str, Any]:
    return {
        **_timing(row["schedule"]),
        "active": row["active"],
        "parameters": row["parameters"] or {},
    }


def _timing(schedule: dict[str, Any]) -> dict[str, Any]:
    """Absorb what the server makes of a schedule: seconds, UTC, the start of a rule."""
    zone = schedule.get("timezone")
    if "interval" in schedule:
        anchor = datetime.fromisoformat(schedule["anchor_date"].replace("Z", "+00:00"))
        return {
            "interval": DURATION.validate_python(schedule["interval"]).total_seconds(),
            "anchor_date": anchor.astimezone(UTC).isoformat(),
            "timezone": zone or "UTC",
        }
    if "rrule" in schedule:
        return {"rrule": schedule["rrule"], "timezone": zone or "UTC"}
    return {"cron": schedule["cron"], "timezone": zone, "day_or": schedule.get("day_or", True)}


def declared_trigger(trigger: Any) -> Any:
    """Return what a spec says of a trigger: the automation that it makes, without ids."""
    copy = trigger.model_copy()
    copy.set_deployment_id(UUID(int=0))  # it wants one, and ids are left out again
    return steady(copy.as_automation().model_dump(mode="json"))


def steady(value: Any, ids: Collection[str] = IDS) -> Any:
    """Return an automation, or a part of one, without what differs from one server to the next.

    Args:
        value: of its JSON.
        ids: the names of what a server fills in.
    """
    if isinstance(value, list):
        return [steady(each, ids) for each in value]
    if not isinstance(value, dict):
        return value
    ordered = {name: sorted(value[name]) for name in SETS & value.keys()}
    kept = {name: each for name, each in {**value, **ordered}.items() if name not in ids}
    return {name: each if name in WRITTEN else steady(each, ids) for name, each in kept.items()}
