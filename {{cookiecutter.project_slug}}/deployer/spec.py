"""One normalised form of a deployment, made from its declaration or from the server's answer.

A spec is plain JSON: a plan shows it, a release records it, and a restore writes it.
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

from deployer.catalog import IMPORTED_AT, Deployment
from deployer.docstring import markdown
from deployer.environment import Environment, ordered
from deployer.project import root

Spec = dict[str, Any]
# Prefect's default anchor is the time of the deploy, so every plan would differ, and frequent
# deploys could keep an hourly schedule from ever firing. This is Prefect's default for rrules.
ANCHOR = "2020-01-01T00:00:00+00:00"
DURATION = TypeAdapter(timedelta)  # seconds, or ISO 8601
# Fields of an automation: set by the server; lists without an order; dicts with a user's keys.
IDS = {"id", "created", "updated", "deployment_id", "owner_resource"}
UNORDERED = {"after", "expect", "for_each"}
USER_KEYS = {"parameters", "job_variables", "match", "match_related"}
# A deployment's description if its flow has no docstring: "None" if created, empty if updated.
NO_DESCRIPTION = ("None", "", None)


def declared(entry: Deployment, environment: Environment) -> Spec:
    """Return the declared spec of an entry in an environment.

    Args:
        entry: a checked entry of the catalog.
        environment: where to deploy it; without images, its runs use the working tree.
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
        row: the server's row of the deployment.
        flow: the name of its flow.
        automations: the server's rows of the automations that belong to it.
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
        "triggers": {each["name"]: normalised(each) for each in automations or ()},
        "pull_steps": row.get("pull_steps") or [],
    }


def _merged(*layers: dict[str, Any]) -> dict[str, Any]:
    """Merge job variables: a later layer wins, and `env` is merged name by name.

    A dotted name such as `env.LEVEL` sets a part of a variable, as it does in a worker.
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
    """Return the schema of a flow's parameters; cached, because many entries share one flow."""
    return flow.parameters.model_dump(mode="json", exclude_unset=True)


def key(spec: Spec) -> str:
    """`FLOW/NAME`, as Prefect writes it."""
    return f"{spec['flow']}/{spec['name']}"


def is_schedule_id(slug: str) -> bool:
    """Whether this is the id of a schedule without a slug, which a spec uses in its place."""
    return re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", slug) is not None


def renumber(before: dict[str, Any], now: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Match schedules without slugs by content: one that is created again has another id.

    Args:
        before: the schedules to have, by slug or id.
        now: the schedules on the server, by slug or id.

    Returns:
        `before` with the ids that its schedules have now, and what is on the server too often,
        because a creation was sent again after its answer was lost.
    """
    new = {slug: each for slug, each in now.items() if slug not in before and is_schedule_id(slug)}
    found: dict[str, Any] = {}
    surplus: dict[str, Any] = {}
    for slug, schedule in before.items():
        gone = is_schedule_id(slug) and slug not in now
        same = {other: each for other, each in new.items() if gone and each == schedule}
        surplus |= same
        found[next((other for other in same if other not in found), slug)] = schedule
    return found, {slug: each for slug, each in surplus.items() if slug not in found}


def schedule_create(slug: str | None, schedule: dict[str, Any]) -> dict[str, Any]:
    """Return the request body for a schedule; without a slug if that is None or an id."""
    timing = {k: v for k, v in schedule.items() if k not in ("active", "parameters")}
    body = {"schedule": timing, "active": schedule["active"], "parameters": schedule["parameters"]}
    return body if slug is None or is_schedule_id(slug) else {**body, "slug": slug}


def to_schedule(slug: str, schedule: dict[str, Any]) -> Schedule:
    """Return the schedule in the form that `Flow.deploy` accepts."""
    given = {k: v for k, v in schedule.items() if v is not None}
    if "interval" in given:
        given["interval"] = timedelta(seconds=given["interval"])
        given["anchor_date"] = datetime.fromisoformat(given["anchor_date"])
    return Schedule(slug=slug, **given)


def declared_schedule(schedule: Schedule, off: bool) -> dict[str, Any]:
    """Return a declared schedule as in a spec; `off` if the environment switches all off."""
    made = create_deployment_schedule_create(schedule).schedule
    timing = _timing(made.model_dump(mode="json"))
    anchor = timing.get("anchor_date")
    if anchor and IMPORTED_AT <= datetime.fromisoformat(anchor) <= datetime.now(UTC):
        timing["anchor_date"] = None  # none was declared: the live one stays
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
    """Normalise a schedule's timing: the interval in seconds, the anchor in UTC, and defaults."""
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
    """Return a declared trigger as in a spec: the automation that it creates, without ids."""
    copy = trigger.model_copy()
    copy.set_deployment_id(UUID(int=0))  # any id: `as_automation` requires one, and it is removed
    return normalised(copy.as_automation().model_dump(mode="json"))


def normalised(value: Any, ids: Collection[str] = IDS) -> Any:
    """Return an automation, or a part of one, without what differs from one server to the next.

    Args:
        value: its JSON.
        ids: the names of the fields that a server fills in.
    """
    if isinstance(value, list):
        return [normalised(each, ids) for each in value]
    if not isinstance(value, dict):
        return value
    lists = {name: sorted(value[name]) for name in UNORDERED & value.keys()}
    kept = {name: each for name, each in {**value, **lists}.items() if name not in ids}
    return {k: each if k in USER_KEYS else normalised(each, ids) for k, each in kept.items()}
