"""Read the deployments of a prefect.yaml into specs. Pure functions.

A value that Prefect fills in when it reads the file is not known: it is left out, with a note.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import yaml  # type: ignore[import-untyped]
from prefect.schedules import Schedule
from prefect.utilities.templating import PlaceholderType, find_placeholders
from pydantic_core import to_jsonable_python

from deployer import spec as specs
from deployer.errors import DeployerError, reason
from deployer.importing.entries import TRIGGER, WHY
from deployer.spec import Spec

SAME = ("name", "entrypoint", "description", "version", "parameters", "enforce_parameter_schema")
OTHERS = {  # build and push are for the image, the rest comes from the flow or is read separately
    *("flow_name", "version_type", "build", "push", "pull", "paused", "tags", "work_pool"),
    *("concurrency_limit", "schedule", "schedules", "triggers"),
}
AT_RUN = {PlaceholderType.BLOCK_DOCUMENT, PlaceholderType.VARIABLE}  # a worker fills these in
BY_EVENT = re.compile(r"triggers\.\d+\.parameters\.")  # the event fills these in
TIMES = Schedule.__dataclass_fields__.keys()


def read(text: str) -> list[tuple[Spec, list[str]]]:
    """Return the spec of each deployment, and a note for each field that it leaves out.

    Raises:
        DeployerError: the text is not a prefect.yaml.
    """
    try:
        file = to_jsonable_python(yaml.safe_load(text))
        return [_deployment(each, file.get("pull")) for each in file["deployments"]]
    except (yaml.YAMLError, AttributeError, LookupError, TypeError) as error:
        raise DeployerError(
            f"--from is not a prefect.yaml with a list of deployments: {reason(error)}. Give the "
            "file that `prefect deploy` reads."
        ) from None


def _deployment(written: dict[str, Any], pull: Any) -> tuple[Spec, list[str]]:
    notes: list[str] = []
    row = _known({key: each for key, each in written.items() if key != "pull"}, notes)
    pool, tags, limit = row.get("work_pool") or {}, row.get("tags"), row.get("concurrency_limit")
    schedules, triggers = row.get("schedules") or row.get("schedule") or [], row.get("triggers")
    spec = {
        **{name: row.get(name) for name in (*SAME, "paused")},
        "tags": [tags] if isinstance(tags, str) else tags,
        "work_pool": pool.get("name"),
        "work_queue": pool.get("work_queue_name"),
        "job_variables": pool.get("job_variables"),
        **{"concurrency_limit": limit, "collision_strategy": None, "grace_period_seconds": None},
        "pull_steps": written.get("pull", pull),
        "schedules": {},
        "triggers": {},
    }
    if isinstance(limit, dict):
        spec["concurrency_limit"] = limit.pop("limit", None)
        spec |= limit
    for key in row.keys() - {*SAME, *OTHERS}:
        notes.append(f"{key}: is left out; no option of Flow.deploy has this name.")
    for number, each in enumerate([schedules] if isinstance(schedules, dict) else schedules, 1):
        slug = each.get("slug") or f"schedule-{number}"
        for key in each.keys() - TIMES:
            notes.append(f"schedules.{slug}.{key}: is left out; no schedule has this field.")
        try:
            spec["schedules"][slug] = specs.declared_schedule(_schedule(each), off=False)
        except ValueError as error:
            notes.append(f"schedules.{slug}: is left out; {reason(error)}.")
    for number, each in enumerate(triggers or [], 1):
        trigger = {"name": f"{row.get('name')}__automation_{number}", **each}
        try:
            model = TRIGGER.validate_python(trigger)
            spec["triggers"][trigger["name"]] = specs.declared_trigger(model)
        except ValueError as error:
            notes.append(f"triggers.{trigger['name']}: is left out; {reason(error)}.")
    return {name: each for name, each in spec.items() if each is not None}, notes


def _known(value: Any, notes: list[str], path: str = "") -> Any:
    """Return a value without what Prefect fills in (notes get it); `...` if nothing is left."""
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value, 1)
        found = {key: _known(each, notes, f"{path}{key}.") for key, each in pairs}
        kept = {key: each for key, each in found.items() if each is not ...}
        return kept if isinstance(value, dict) else list(kept.values())
    field = path.removeprefix("work_pool.").removesuffix(".")
    later = AT_RUN if field.startswith("job_variables.") else set()
    filled = [each.full_match for each in find_placeholders(value) if each.type not in later]
    if not filled or BY_EVENT.match(path):
        return value
    why = WHY.get(field, f"`prefect deploy` fills in {' '.join(filled)}: write the value")
    notes.append(f"{field}: is left out; {why}.")
    return ...


def _schedule(given: dict[str, Any]) -> Schedule:
    made = {key: each for key, each in given.items() if key in TIMES and each is not None}
    if "interval" in made:
        made["interval"] = specs.DURATION.validate_python(made["interval"])
    if "anchor_date" in made:
        anchor = datetime.fromisoformat(made["anchor_date"])
        made["anchor_date"] = anchor if anchor.tzinfo else anchor.replace(tzinfo=UTC)
    return Schedule(**made)
