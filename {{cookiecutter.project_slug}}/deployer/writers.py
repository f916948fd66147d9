"""Write a deployment: from the catalog with `Flow.deploy`, or from a recorded spec with the API."""

from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from prefect.client.schemas.objects import ConcurrencyLimitConfig
from prefect.types.entrypoint import EntrypointType

from deployer import prefect_patches
from deployer import spec as specs
from deployer.catalog import Deployment
from deployer.server import Live, Server
from deployer.spec import Spec

# Use the flow's own version. By default Prefect uses the commit, so every plan would differ.
VERSION_TYPE: Any = "prefect:simple"
SAME_NAME = (  # fields that have the same name in a spec and in the API
    *("entrypoint", "job_variables", "parameters", "enforce_parameter_schema", "tags"),
    *("description", "version", "concurrency_limit", "paused", "pull_steps"),
)


async def deploy(server: Server, entry: Deployment, spec: Spec, live: Live | None) -> str:
    """Call `Flow.deploy` so that the server holds this spec.

    Args:
        server: where to write.
        entry: the catalog's entry.
        spec: the spec to reach.
        live: the deployment as it is now; None creates it.

    Returns:
        The deployment's id.
    """
    patched = prefect_patches.deployment_read_before(server.client, live.row if live else None)
    with patched, redirect_stdout(StringIO()):  # Prefect prints a table; the report has it all
        identity = await entry.flow.adeploy(
            **options(entry, spec),
            work_pool_name=spec["work_pool"],
            work_queue_name=spec["work_queue"],
            job_variables=spec["job_variables"],
            print_next_steps=False,
            ignore_warnings=True,
        )
    return str(identity)


def options(entry: Deployment, spec: Spec) -> dict[str, Any]:
    """Return the arguments of `Flow.deploy` and `Flow.to_deployment` that lead to this spec."""
    limit = spec["concurrency_limit"]
    if spec["collision_strategy"]:
        limit = ConcurrencyLimitConfig(limit=limit, **_concurrency_options(spec))
    return {
        "name": spec["name"],
        "schedules": [specs.to_schedule(*each) for each in spec["schedules"].items()],
        "paused": spec["paused"],
        "concurrency_limit": limit,
        "triggers": [
            each.model_copy(update={"enabled": spec["triggers"][each.name]["enabled"]})
            for each in entry.options.get("triggers") or []
        ],
        "parameters": spec["parameters"],
        "description": spec["description"],
        "tags": spec["tags"],
        "version": spec["version"],
        "version_type": VERSION_TYPE,
        "enforce_parameter_schema": spec["enforce_parameter_schema"],
        "entrypoint_type": EntrypointType.MODULE_PATH,
    }


async def put(server: Server, spec: Spec, live: Live | None) -> str:
    """Write a recorded spec as it is, without the code that declared it.

    Args:
        server: where to write.
        spec: the spec to reach.
        live: the deployment as it is now; None creates it.

    Returns:
        The deployment's id.
    """
    body = {
        **{name: spec[name] for name in SAME_NAME},
        "work_pool_name": spec["work_pool"],
        "work_queue_name": spec["work_queue"],
        "parameter_openapi_schema": spec["parameter_schema"],
        "concurrency_options": _concurrency_options(spec) or None,
    }
    if live is None:
        flow_id = str(await server.client.create_flow_from_name(spec["flow"]))
        new = [specs.schedule_create(*each) for each in spec["schedules"].items()]
        body |= {"flow_id": flow_id, "name": spec["name"], "schedules": new}
        identity = str((await server.request("POST", "/deployments/", json=body))["id"])
    else:
        identity = live.id
        await server.request("PATCH", f"/deployments/{identity}", json=body)
        await _put_schedules(server, spec, live)
    if spec["triggers"] or (live and live.spec["triggers"]):
        await _put_triggers(server, spec, identity)
    return identity


async def _put_schedules(server: Server, spec: Spec, live: Live) -> None:
    path = f"/deployments/{live.id}/schedules"
    ids = {row["slug"] or row["id"]: row["id"] for row in live.row["schedules"]}
    for slug in live.spec["schedules"].keys() - spec["schedules"].keys():
        await server.request("DELETE", f"{path}/{ids[slug]}")
    for slug, schedule in spec["schedules"].items():
        if slug not in ids:
            await server.request("POST", path, json=[specs.schedule_create(slug, schedule)])
        elif schedule != live.spec["schedules"][slug]:
            body = specs.schedule_create(None, schedule)
            await server.request("PATCH", f"{path}/{ids[slug]}", json=body)
    if any(specs.is_schedule_id(slug) for slug in spec["schedules"].keys() - ids.keys()):
        row = await server.request("GET", f"/deployments/{live.id}")
        now = specs.live(row, spec["flow"])["schedules"]
        for each in specs.renumber(spec["schedules"], now)[1]:
            await server.delete_schedule(live, each)


async def _put_triggers(server: Server, spec: Spec, identity: str) -> None:
    resource = await server.delete_automations(identity)
    names = {*spec["triggers"]}
    known = await server.automation_ids(identity, names)  # an operator's own, with the same names
    for automation in spec["triggers"].values():
        actions = [{**each, "deployment_id": identity} for each in automation["actions"]]
        body = {**automation, "actions": actions, "owner_resource": resource}
        known.add((await server.request("POST", "/automations/", json=body))["id"])
    for each in await server.automation_ids(identity, names) - known:
        await server.delete_automation(each)  # made by a first try whose answer was lost


def _concurrency_options(spec: Spec) -> dict[str, Any]:
    names = ("collision_strategy", "grace_period_seconds")
    return {name: spec[name] for name in names if spec[name] is not None}
