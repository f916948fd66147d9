"""The catalog as a `prefect.yaml`, for `prefect deploy --all`: Prefect's third way to deploy."""

from __future__ import annotations

from typing import Any

import yaml  # type: ignore[import-untyped]
from prefect.utilities.templating import (
    PLACEHOLDER_CAPTURE_REGEX,
    PlaceholderType,
    apply_values,
    find_placeholders,
)
from pydantic_core import to_jsonable_python

from deployer import plan
from deployer import spec as specs
from deployer.catalog import Deployment
from deployer.environment import Environment
from deployer.errors import DeployerError
from deployer.spec import Spec
from deployer.writers import VERSION_TYPE

HEADER = """\
# Made by `python -m deployer export {name}`: make it again, do not edit it.
# `prefect deploy --all` in the project's folder creates and updates these deployments. Only the
# deployer plans, keeps what operators switched, deletes what left the catalog and puts back.
# A schedule that left the catalog stays, unless it was the deployment's last one and Prefect is
# told to clear them: PREFECT_DEPLOYMENTS_CLEAR_SCHEDULES_ON_EMPTY=true.
"""
# Prefect fills in whatever stands between {{ and }}, secrets as plain text, when it reads the file.
# What the catalog means for the run has to arrive as it is, so a step's output stands for "{{".
OPEN = "{{ literal.open }}"
LITERAL = {"builtins.dict": {"literal": {"open": "{{"}}}


def to_yaml(environment: Environment, catalog: list[Deployment]) -> str:
    """Return a prefect.yaml that leaves the same deployments as the deployer does.

    Args:
        environment: where the deployments go.
        catalog: checked entries.

    Raises:
        DeployerError: names every entry that such a file cannot express.
    """
    deployments, problems = [], []
    for entry in catalog:
        wanted = plan.settle(specs.declared(entry, environment), None, None)
        try:
            deployments.append(_deployment(entry, wanted))
        except ValueError as error:
            problems.append(f"{entry.key} cannot be exported: {error}.")
    if problems:
        raise DeployerError(*problems)
    # Without `pull`, and with `build` left out, Prefect asks or invents steps of its own.
    content: dict[str, Any] = {"pull": [], "deployments": deployments}
    if OPEN in str(deployments):
        content = {"push": [LITERAL], **content}
    text: str = yaml.safe_dump(to_jsonable_python(content), sort_keys=False, allow_unicode=True)
    return HEADER.format(name=environment.name) + text


def _deployment(entry: Deployment, wanted: Spec) -> dict[str, Any]:
    flow = entry.flow
    limit: Any = wanted["concurrency_limit"]
    if wanted["collision_strategy"]:
        limit = {"limit": limit, "collision_strategy": wanted["collision_strategy"]}
        if wanted["grace_period_seconds"] is not None:
            limit["grace_period_seconds"] = wanted["grace_period_seconds"]
    found = {
        "name": wanted["name"],
        "entrypoint": wanted["entrypoint"],
        "description": wanted["description"] if wanted["description"] != flow.description else None,
        "version": wanted["version"] if wanted["version"] != flow.version else None,
        "version_type": VERSION_TYPE,
        "tags": wanted["tags"],
        "parameters": wanted["parameters"],
        "enforce_parameter_schema": wanted["enforce_parameter_schema"],
        "paused": wanted["paused"],
        "concurrency_limit": limit,
        "schedules": [_schedule(*each) for each in wanted["schedules"].items()],
        "work_pool": {
            "name": wanted["work_pool"],
            "work_queue_name": wanted["work_queue"],
            "job_variables": wanted["job_variables"],
        },
        "build": [],
    }
    made = {key: value for key, value in _literal(found).items() if value is not None}
    if triggers := entry.options.get("triggers"):
        made["triggers"] = [_trigger(each) for each in triggers]
    return made


def _schedule(slug: str, schedule: dict[str, Any]) -> dict[str, Any]:
    timing = {key: value for key, value in schedule.items() if value is not None}
    if not timing["parameters"]:
        del timing["parameters"]
    return {"slug": slug, **timing}


def _trigger(trigger: Any) -> dict[str, Any]:
    body = {k: v for k, v in trigger.model_dump(mode="json").items() if v is not None}
    parameters = body.pop("parameters", None)
    made: dict[str, Any] = _literal(body)
    if parameters:
        # Prefect keeps what an event fills in, such as {{ event.id }}, but no other placeholder.
        _literal(parameters)
        kinds = {placeholder.type for placeholder in find_placeholders(parameters)}
        kept = apply_values(parameters, {}, remove_notset=False) == parameters
        if not kept or kinds - {PlaceholderType.STANDARD}:
            raise ValueError(
                f"Prefect would fill in the placeholders in the parameters {parameters!r} of the "
                f"trigger {trigger.name!r}, and a prefect.yaml cannot prevent that"
            )
        made["parameters"] = parameters
    return made


def _literal(value: Any) -> Any:
    """Write a value so that Prefect's templating gives it back unchanged."""
    if isinstance(value, dict):
        if "$ref" in value:
            raise ValueError(
                f"Prefect would replace {value!r} by the block's content, and a prefect.yaml "
                "cannot prevent that"
            )
        return {key: _literal(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_literal(each) for each in value]
    if isinstance(value, str):
        return PLACEHOLDER_CAPTURE_REGEX.sub(lambda found: OPEN + found[0][2:], value)
    return value
