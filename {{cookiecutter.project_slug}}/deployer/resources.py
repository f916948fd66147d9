"""Declared resources other than deployments: Variables, concurrency limits, automations, work pool.

A resource has a key, `KIND/NAME`, and a spec like a deployment's: plain JSON that is the same
whether it is made from the declaration or from the server's answer.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from prefect.client.schemas.actions import (
    ConcurrencyLimitCreate,
    GlobalConcurrencyLimitCreate,
    VariableCreate,
)
from prefect.events.schemas.automations import AutomationCore
from prefect.variables import Variable
from pydantic_core import to_jsonable_python

from deployer.environment import Environment, ordered
from deployer.errors import DeployerError
from deployer.project import root
from deployer.rules import variable_name_problem
from deployer.spec import Spec, normalised

LIMIT = ("limit", "active", "slot_decay_per_second")
AUTOMATION = ("description", "enabled", "trigger")
ACTIONS = ("actions", "actions_on_trigger", "actions_on_resolve")
SWITCHES = {"automation": "enabled", "concurrency-limit": "active"}  # operators set them

Specs = dict[str, Spec]


@dataclass(frozen=True)
class Found:
    """A resource on the server.

    Attributes:
        spec: its spec.
        ours: whether this project created it or took it over, in this environment.
        ids: its id, then those of its duplicates: two automations may have the same name.
    """

    spec: Spec
    ours: bool
    ids: tuple[str, ...] = ()


Rows = dict[str, Found]


def key(entry: Any) -> str | None:
    """Return `KIND/NAME` of an entry of RESOURCES; None if it is not a resource."""
    match entry:
        case Variable() | VariableCreate():
            return f"variable/{entry.name}"
        case GlobalConcurrencyLimitCreate():
            return f"concurrency-limit/{entry.name}"
        case ConcurrencyLimitCreate():
            return f"concurrency-limit/tag:{entry.tag}"
        case AutomationCore():
            return f"automation/{entry.name}"
    return None


def declared(entries: Sequence[Any], environment: Environment) -> Specs:
    """Return the declared specs for an environment, by key.

    Args:
        entries: the catalog's RESOURCES, which were checked.
        environment: adds its work pool, and its `variables`, which win over those of the entries.

    Raises:
        DeployerError: the name of a Variable, with the environment's suffix, is not valid.
    """
    known = {key(each) for each in entries}
    own = [Variable(name=name, value=value) for name, value in environment.variables.items()]
    specs = _work_pool(environment)
    for entry in [*entries, *(each for each in own if key(each) not in known)]:
        specs[f"{key(entry)}{environment.name_suffix}"] = _declared(entry, environment)
    names = [each.partition("/")[2] for each in specs if each.startswith("variable/")]
    if problems := [why for name in names if (why := variable_name_problem(name))]:
        raise DeployerError(*(f"In {environment.name} {why}." for why in problems))
    return specs


def _declared(entry: Any, environment: Environment) -> Spec:
    if isinstance(entry, GlobalConcurrencyLimitCreate):
        return {name: getattr(entry, name) for name in LIMIT}
    if isinstance(entry, ConcurrencyLimitCreate):
        return dict(zip(LIMIT, (entry.concurrency_limit, True, 0.0), strict=True))
    row = to_jsonable_python(entry)
    row["tags"] = {*(row["tags"] or ()), *environment.tags}
    if isinstance(entry, AutomationCore):
        row["enabled"] = entry.enabled and environment.schedules == "on"
    else:
        row["value"] = environment.variables.get(entry.name, row["value"])
    return tagged(row)


def _work_pool(environment: Environment) -> Specs:
    """Return the work pool's declared spec, for previews only their queue; none for --work-pool."""
    if environment.given_pool:
        return {}
    shared = environment.label is not None
    spec = {
        "base_job_template": None if shared else declared_template(environment),
        "concurrency_limit": None if shared else environment.work_pool_concurrency_limit,
    }
    queue = {
        "priority": environment.work_queue_priority,
        "concurrency_limit": environment.work_queue_concurrency_limit,
    }
    queue = {name: value for name, value in queue.items() if value is not None}
    if queue and (environment.own_queue or not shared):
        spec["work_queues"] = {environment.queue: queue}
    spec = {name: value for name, value in spec.items() if value is not None}
    return {f"work-pool/{environment.work_pool}": spec} if spec else {}


def declared_template(environment: Environment) -> dict[str, Any] | None:
    """Return the work pool's base job template from the repository, if it has one."""
    if environment.base_job_template is None:
        return None
    text = (root() / environment.base_job_template).read_text(encoding="utf-8")
    template: dict[str, Any] = json.loads(text)
    return template


def keep_switches(name: str, wanted: Spec, there: Found | None, recorded: Spec | None) -> Spec:
    """Return the spec to write: a switch stays as it is, unless its declared value has changed."""
    switch = SWITCHES.get(name.partition("/")[0])
    if switch and there and (recorded is None or recorded[switch] == wanted[switch]):
        return {**wanted, switch: there.spec[switch]}
    return wanted


def tagged(row: dict[str, Any]) -> Spec:
    """Return the spec of a Variable or an automation from its declaration or the server's row."""
    tags = {"tags": ordered(row["tags"])}
    if "trigger" not in row:
        return {"value": row["value"], **tags}
    fields = {name: normalised(row[name], ids=("id",)) for name in AUTOMATION}
    return {**fields, **{name: row[name] for name in ACTIONS}, **tags}
