"""The two ways to write a deployment: `Flow.deploy` forward, the recorded state back."""

from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from prefect.client.schemas.objects import ConcurrencyLimitConfig
from prefect.types.entrypoint import EntrypointType

from deployer import state as states
from deployer.catalog import Deployment
from deployer.server import Live, Server
from deployer.state import State

# The flow's own version; by default it is the commit, and every plan would differ.
VERSION_TYPE: Any = "prefect:simple"
SAME_NAME = (  # in a state as in the API
    *("entrypoint", "job_variables", "parameters", "enforce_parameter_schema", "tags"),
    *("description", "version", "concurrency_limit", "paused", "pull_steps"),
)


async def deploy(entry: Deployment, state: State) -> None:
    """Call `Flow.deploy` so that the server holds this state."""
    with redirect_stdout(StringIO()):  # Prefect prints a table for each; the report names all
        await entry.flow.adeploy(
            **options(entry, state),
            work_pool_name=state["work_pool"],
            work_queue_name=state["work_queue"],
            job_variables=state["job_variables"],
            print_next_steps=False,
            ignore_warnings=True,
        )


def options(entry: Deployment, state: State) -> dict[str, Any]:
    """Return what `Flow.deploy` and `Flow.to_deployment` take to make this state of an entry."""
    limit = state["concurrency_limit"]
    if state["collision_strategy"]:
        limit = ConcurrencyLimitConfig(limit=limit, **_concurrency_options(state))
    return {
        "name": state["name"],
        "schedules": [states.to_schedule(*each) for each in state["schedules"].items()],
        "paused": state["paused"],
        "concurrency_limit": limit,
        "triggers": [
            each.model_copy(update={"enabled": state["triggers"][each.name]["enabled"]})
            for each in entry.options.get("triggers") or []
        ],
        "parameters": state["parameters"],
        "description": state["description"],
        "tags": state["tags"],
        "version": state["version"],
        "version_type": VERSION_TYPE,
        "enforce_parameter_schema": state["enforce_parameter_schema"],
        "entrypoint_type": EntrypointType.MODULE_PATH,
    }


async def put(server: Server, state: State, live: Live | None) -> None:
    """Write a recorded state as it is, without the code that once declared it.

    Args:
        server: where to.
        state: the state to reach.
        live: the deployment as it is now; None creates it.
    """
    body = {
        **{name: state[name] for name in SAME_NAME},
        "work_pool_name": state["work_pool"],
        "work_queue_name": state["work_queue"],
        "parameter_openapi_schema": state["parameter_schema"],
        "concurrency_options": _concurrency_options(state) or None,
    }
    if live is None:
        flow_id = str(await server.client.create_flow_from_name(state["flow"]))
        new = [states.schedule_create(*each) for each in state["schedules"].items()]
        body |= {"flow_id": flow_id, "name": state["name"], "schedules": new}
        identity = (await server.request("POST", "/deployments/", json=body))["id"]
    else:
        identity = live.id
        await server.request("PATCH", f"/deployments/{identity}", json=body)
        await _put_schedules(server, state, live)
    if state["triggers"] or (live and live.state["triggers"]):
        await _put_triggers(server, state, identity)


async def _put_schedules(server: Server, state: State, live: Live) -> None:
    path = f"/deployments/{live.id}/schedules"
    ids = {row["slug"] or row["id"]: row["id"] for row in live.row["schedules"]}
    for slug in live.state["schedules"].keys() - state["schedules"].keys():
        await server.request("DELETE", f"{path}/{ids[slug]}")
    for slug, schedule in state["schedules"].items():
        if slug not in ids:
            named = None if states.nameless(slug) else slug
            await server.request("POST", path, json=[states.schedule_create(named, schedule)])
        elif schedule != live.state["schedules"][slug]:
            body = states.schedule_create(None, schedule)
            await server.request("PATCH", f"{path}/{ids[slug]}", json=body)


async def _put_triggers(server: Server, state: State, identity: str) -> None:
    resource = await server.delete_automations(identity)
    for automation in state["triggers"].values():
        actions = [{**each, "deployment_id": identity} for each in automation["actions"]]
        body = {**automation, "actions": actions, "owner_resource": resource}
        await server.request("POST", "/automations/", json=body)


def _concurrency_options(state: State) -> dict[str, Any]:
    names = ("collision_strategy", "grace_period_seconds")
    return {name: state[name] for name in names if state[name] is not None}
