"""Every call of the Prefect API that the deployer makes."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from io import StringIO
from typing import Any

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import ConcurrencyLimitConfig
from prefect.context import AsyncClientContext
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.types.entrypoint import EntrypointType

from deployer import state as states
from deployer.catalog import Deployment
from deployer.environment import Environment
from deployer.errors import DeployerError
from deployer.state import State

PAGE = 200  # the most that Prefect answers at once
# The flow's own version; by default it is the commit, and every plan would differ.
VERSION_TYPE: Any = "prefect:simple"
REFUSALS = {400, 404, 409, 422}


@dataclass(frozen=True)
class Live:
    """A deployment on the server: its id, its normalised state and the row it was made from."""

    id: str
    state: State
    row: dict[str, Any]


@asynccontextmanager
async def connect() -> AsyncIterator[Server]:
    """Open one client that everything inside shares, `Flow.deploy` included.

    Raises:
        DeployerError: a sentence for whatever the server or the way to it refuses.
    """
    try:
        async with AsyncClientContext.get_or_create() as context:
            yield Server(context.client)
    except (httpx.HTTPError, OSError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not isinstance(_cause(error), httpx.HTTPError):
            raise  # Prefect wraps a server that cannot be reached in one of these
        raise DeployerError(explain(error)) from error


class Server:
    """The Prefect server that the environment's settings (`PREFECT_API_URL` …) point at."""

    def __init__(self, client: PrefectClient) -> None:
        self.client = client

    async def request(self, method: str, path: str, **kwargs: Any) -> Any:
        """Send one request and return its JSON, None where the answer has no body."""
        response = await self.client.request(method, path, **kwargs)  # type: ignore[arg-type]
        return response.json() if response.content else None

    async def pages(self, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        """Return every row of a filter endpoint."""
        rows: list[dict[str, Any]] = []
        while True:
            page = await self.request(
                "POST", path, json={**body, "limit": PAGE, "offset": len(rows)}
            )
            rows += page
            if len(page) < PAGE:
                return rows

    async def now(self) -> datetime:
        """Return the server's own time."""
        response = await self.client.request("GET", "/admin/version")
        date = response.headers.get("date")
        return parsedate_to_datetime(date) if date else datetime.now(timezone.utc)

    async def read(self, environment: Environment, triggers: set[str]) -> dict[str, Live]:
        """Read what this project owns in an environment.

        Args:
            environment: whose tags to look for.
            triggers: names of the automations to read with it.

        Returns:
            The deployments by `FLOW/NAME`.
        """
        return await self._find({"tags": {"all_": environment.tags}}, triggers)

    async def named(self, keys: list[str]) -> dict[str, Live]:
        """Read the deployments of these keys, whoever owns them."""
        names = sorted({key.split("/", 1)[1] for key in keys})
        found: dict[str, Live] = {}
        for start in range(0, len(names), PAGE):
            found |= await self._find({"name": {"any_": names[start : start + PAGE]}}, set())
        return {key: found[key] for key in keys if key in found}

    async def _find(self, where: dict[str, Any], triggers: set[str]) -> dict[str, Live]:
        query = {"deployments": where}
        rows = await self.pages("/deployments/filter", {**query, "sort": "CREATED_DESC"})
        if not rows:
            return {}
        flows = {row["id"]: row["name"] for row in await self.pages("/flows/filter", query)}
        owned: dict[str, list[dict[str, Any]]] = {}
        if triggers:
            names = {"automations": {"name": {"any_": sorted(triggers)}}}
            for automation in await self.pages("/automations/filter", names):
                for action in automation["actions"]:
                    owned.setdefault(action.get("deployment_id", ""), []).append(automation)
        found = [
            Live(row["id"], states.live(row, flows[row["flow_id"]], owned.get(row["id"])), row)
            for row in rows
        ]
        return {states.key(each.state): each for each in found}

    async def deploy(self, entry: Deployment, state: State) -> None:
        """Call `Flow.deploy` so that the server holds this state."""
        limit = state["concurrency_limit"]
        if state["collision_strategy"]:
            limit = ConcurrencyLimitConfig(
                limit=limit,
                collision_strategy=state["collision_strategy"],
                grace_period_seconds=state["grace_period_seconds"],
            )
        with redirect_stdout(StringIO()):  # Prefect prints a table for each; the report names all
            await entry.flow.adeploy(
                name=state["name"],
                work_pool_name=state["work_pool"],
                work_queue_name=state["work_queue"],
                job_variables=state["job_variables"],
                schedules=[states.to_schedule(*each) for each in state["schedules"].items()],
                paused=state["paused"],
                concurrency_limit=limit,
                triggers=[
                    each.model_copy(update={"enabled": state["triggers"][each.name]["enabled"]})
                    for each in entry.options.get("triggers") or []
                ],
                parameters=dict(entry.options.get("parameters") or {}),
                description=state["description"],
                tags=state["tags"],
                version=state["version"],
                version_type=VERSION_TYPE,
                enforce_parameter_schema=state["enforce_parameter_schema"],
                entrypoint_type=EntrypointType.MODULE_PATH,
                print_next_steps=False,
                ignore_warnings=True,
            )

    async def put(self, state: State, live: Live | None) -> None:
        """Write a recorded state as it is, without the code that once declared it.

        Args:
            state: the state to reach.
            live: the deployment as it is now; None creates it.
        """
        body = {
            "entrypoint": state["entrypoint"],
            "work_pool_name": state["work_pool"],
            "work_queue_name": state["work_queue"],
            "job_variables": state["job_variables"],
            "parameters": state["parameters"],
            "parameter_openapi_schema": state["parameter_schema"],
            "enforce_parameter_schema": state["enforce_parameter_schema"],
            "tags": state["tags"],
            "description": state["description"],
            "version": state["version"],
            "concurrency_limit": state["concurrency_limit"],
            "concurrency_options": _concurrency_options(state),
            "paused": state["paused"],
            "pull_steps": state["pull_steps"],
        }
        if live is None:
            flow_id = str(await self.client.create_flow_from_name(state["flow"]))
            new = [states.schedule_create(*each) for each in state["schedules"].items()]
            body |= {"flow_id": flow_id, "name": state["name"], "schedules": new}
            identity = (await self.request("POST", "/deployments/", json=body))["id"]
        else:
            identity = live.id
            await self.request("PATCH", f"/deployments/{identity}", json=body)
            await self._put_schedules(state, live)
        if state["triggers"] or (live and live.state["triggers"]):
            await self._put_triggers(state, identity)

    async def _put_schedules(self, state: State, live: Live) -> None:
        path = f"/deployments/{live.id}/schedules"
        ids = {row["slug"] or row["id"]: row["id"] for row in live.row["schedules"]}
        for slug in live.state["schedules"].keys() - state["schedules"].keys():
            await self.request("DELETE", f"{path}/{ids[slug]}")
        for slug, schedule in state["schedules"].items():
            if slug not in ids:
                named = None if states.nameless(slug) else slug
                await self.request("POST", path, json=[states.schedule_create(named, schedule)])
            elif schedule != live.state["schedules"][slug]:
                body = states.schedule_create(None, schedule)
                await self.request("PATCH", f"{path}/{ids[slug]}", json=body)

    async def _put_triggers(self, state: State, identity: str) -> None:
        resource = f"prefect.deployment.{identity}"
        await self.client.delete_resource_owned_automations(resource)
        for automation in state["triggers"].values():
            actions = [{**each, "deployment_id": identity} for each in automation["actions"]]
            body = {**automation, "actions": actions, "owner_resource": resource}
            await self.request("POST", "/automations/", json=body)

    async def delete(self, live: Live) -> None:
        """Delete a deployment; one that is gone already is fine."""
        await self._delete(f"/deployments/{live.id}")

    async def delete_schedule(self, live: Live, schedule_id: str) -> None:
        """Delete one schedule of a deployment; one that is gone already is fine."""
        await self._delete(f"/deployments/{live.id}/schedules/{schedule_id}")

    async def delete_queue(self, pool: str, name: str) -> bool:
        """Delete a work queue; return whether it was there."""
        try:
            queue = await self.client.read_work_queue_by_name(name, pool)
            await self.client.delete_work_queue_by_id(queue.id)
        except ObjectNotFound:
            return False
        return True

    async def _delete(self, path: str) -> None:
        try:
            await self.request("DELETE", path)
        except PrefectHTTPStatusError as error:
            if error.response.status_code != httpx.codes.NOT_FOUND:
                raise


def _concurrency_options(state: State) -> dict[str, Any] | None:
    if not state["collision_strategy"]:
        return None
    grace = state["grace_period_seconds"]
    options = {"collision_strategy": state["collision_strategy"]}
    return options if grace is None else {**options, "grace_period_seconds": grace}


def is_refusal(error: BaseException) -> bool:
    """Whether the server understood a request and refused it: the next one may be fine."""
    error = _cause(error)
    return isinstance(error, httpx.HTTPStatusError) and error.response.status_code in REFUSALS


def _cause(error: BaseException) -> BaseException:
    """Return the HTTP error that Prefect wrapped, or the error itself."""
    inner: BaseException | None = error
    while inner is not None and not isinstance(inner, httpx.HTTPError):
        inner = inner.__cause__ or inner.__context__
    return inner or error


def explain(error: BaseException) -> str:
    """Return one sentence for an error of the API: what was refused, without the request's body."""
    error = _cause(error)
    if isinstance(error, httpx.HTTPStatusError):
        status = error.response.status_code
        if status in (401, 403):
            return (
                f"The Prefect server refuses the credentials ({status}): set PREFECT_API_KEY for "
                "Prefect Cloud, or PREFECT_API_AUTH_STRING for a server of your own."
            )
        where = f"{error.request.method} {error.request.url.path}"
        return f"The Prefect server answers {status} to {where}: {_detail(error.response)}."
    if isinstance(error, httpx.TimeoutException):
        return "The Prefect server did not answer in time: look at its log, then deploy again."
    if isinstance(error, httpx.TransportError):
        from prefect.settings import get_current_settings

        url = re.sub(r"//[^/@]*@", "//", str(get_current_settings().api.url))  # no password
        return f"The Prefect server at {url} cannot be reached ({error}): check PREFECT_API_URL."
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"


def _detail(response: httpx.Response) -> str:
    try:
        data = response.json()
    except ValueError:
        return response.reason_phrase
    if not isinstance(data, dict):
        return response.reason_phrase
    detail = data.get("detail") or data.get("exception_message") or data.get("exception_detail")
    if isinstance(detail, list):  # FastAPI's errors carry the whole input: keep place and message
        return "; ".join(f"{'.'.join(map(str, e.get('loc', ())))}: {e.get('msg')}" for e in detail)
    return str(detail or response.reason_phrase).splitlines()[0][:300]
