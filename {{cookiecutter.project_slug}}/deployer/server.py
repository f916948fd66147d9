"""The Prefect server: connect to it, read from it and delete on it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from json import JSONDecodeError
from typing import Any

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.context import AsyncClientContext
from prefect.exceptions import ObjectNotFound, PrefectException, PrefectHTTPStatusError
from prefect.settings import get_current_settings

from deployer import connection, prefect_patches
from deployer import spec as specs
from deployer.api_errors import cause, explain, if_found, server_time
from deployer.environment import Environment
from deployer.errors import DeployerError
from deployer.spec import Spec
from deployer.unchanged import Exchange

PAGE = 200  # the most rows that Prefect returns at once
TAGS = ["deployer"]  # of the Variables in which the deployer keeps its own records


@dataclass(frozen=True)
class Live:
    """A deployment on the server: its spec, the row behind it, and the names of its automations."""

    id: str
    spec: Spec
    row: dict[str, Any]
    automations: tuple[str, ...] = ()


@asynccontextmanager
async def connect() -> AsyncIterator[Server]:
    """Open one client, which everything in the block shares, including `Flow.deploy`.

    Raises:
        DeployerError: the server refused a request, or could not be reached.
    """
    if not get_current_settings().api.url:
        raise DeployerError(
            "PREFECT_API_URL is not set, so Prefect would start a temporary server: set it to the "
            "URL of your server, such as PREFECT_API_URL=http://127.0.0.1:4200/api, or run "
            "`uvx nox -s up`, which starts a server here."
        )
    try:
        async with AsyncClientContext.get_or_create() as context:
            prefect_patches.retry_soon(context.client._client)
            yield Server(context.client)
    except (httpx.HTTPError, JSONDecodeError, OSError, PrefectException, RuntimeError) as error:
        inner = cause(error)
        unreachable = isinstance(inner, httpx.TransportError)
        problem = None if unreachable else await connection.explain_wrong_server()
        if problem is None and isinstance(inner, RuntimeError):
            raise  # not the one that Prefect raises for an unreachable or incompatible server
        raise DeployerError(problem or explain(error)) from error


def _live(row: dict[str, Any], flow: str, automations: list[dict[str, Any]]) -> Live:
    names = tuple(each["name"] for each in automations)
    return Live(row["id"], specs.live(row, flow, automations), row, names)


class Server:
    """The Prefect server that the environment's settings (`PREFECT_API_URL` …) point at."""

    def __init__(self, client: PrefectClient) -> None:
        self.client = client

    async def request(self, method: str, path: str, **kwargs: Any) -> Any:
        """Send one request and return the JSON of the answer, None if it has no body."""
        response = await self.client.request(method, path, **kwargs)  # type: ignore[arg-type]
        return response.json() if response.content else None

    async def set_variable(self, name: str, value: Any) -> None:
        """Create a Variable, or replace its value."""
        body = {"name": name, "value": value, "tags": TAGS}
        if await self.client.read_variable_by_name(name) is None:
            try:
                await self.request("POST", "/variables/", json=body)
                return
            except PrefectHTTPStatusError as error:
                # The first answer was lost, so that the client sent this twice.
                if error.response.status_code != httpx.codes.CONFLICT:
                    raise
        await self.request("PATCH", f"/variables/name/{name}", json=body)

    @contextmanager
    def recording(self) -> Iterator[list[Exchange]]:
        """Yield a list to which each request in the block is added, with its answer."""
        exchanges: list[Exchange] = []
        api = httpx.URL(str(self.client.api_url)).path.rstrip("/")

        async def record(answer: httpx.Response) -> None:
            missing = answer.status_code == httpx.codes.NOT_FOUND
            if answer.is_success or missing:  # any other answer is retried, or raises an error
                await answer.aread()
                request = answer.request
                path = request.url.raw_path.decode().removeprefix(api)
                body = json.loads(request.content) if request.content else None
                found = None if missing or not answer.content else answer.json()
                exchanges.append(Exchange(request.method, path, body, found))

        hooks = self.client._client.event_hooks["response"]
        hooks.append(record)
        try:
            yield exchanges
        finally:
            hooks.remove(record)

    async def rows(
        self, path: str, body: dict[str, Any], page: int = PAGE, offset: int = 0
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield the rows of a filter endpoint, and request the next page only when it is needed.

        Args:
            path: path of the endpoint.
            body: filter and order.
            page: how many rows to request at once.
            offset: how many rows to skip.
        """
        while True:
            rows = await self.request("POST", path, json={**body, "limit": page, "offset": offset})
            for row in rows:
                yield row
            offset += page
            if len(rows) < page:
                return

    async def pages(self, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        """Return all rows of a filter endpoint."""
        return [row async for row in self.rows(path, body)]

    async def now(self) -> datetime:
        """Return the server's time."""
        return server_time(await self.client.request("GET", "/admin/version"))

    async def read(self, environment: Environment, triggers: set[str]) -> dict[str, Live]:
        """Read the deployments that this project owns in an environment.

        Args:
            environment: the environment, whose tags mark them.
            triggers: names of the automations to read with them.

        Returns:
            The deployments by `FLOW/NAME`.
        """
        found = await self._find({"tags": {"all_": environment.marks}}, triggers)
        return {key: each for key, each in found.items() if environment.owns(each.spec["tags"])}

    async def named(self, keys: list[str]) -> dict[str, Live]:
        """Read the deployments of these keys, whoever owns them."""
        names = sorted({key.split("/", 1)[1] for key in keys})
        found = await self._find_any("name", names, None)
        return {key: found[key] for key in keys if key in found}

    async def tagged(self, tag: str | None) -> dict[str, Live]:
        """Read all deployments with a tag, whoever owns them; None reads those without it too."""
        return await self._find({"tags": {"all_": [tag]}} if tag else {}, None)

    async def read_again(self, live: Live) -> Live:
        """Read one deployment again.

        Raises:
            DeployerError: somebody deleted it.
        """
        row = await if_found(self.request("GET", f"/deployments/{live.id}"))
        if row is None:
            raise DeployerError("somebody deleted it meanwhile; deploy again.")
        owned = await self._automations(set(live.spec["triggers"]))
        return _live(row, live.spec["flow"], owned.get(live.id, []))

    async def read_these(self, ids: list[str], triggers: set[str]) -> dict[str, Live]:
        """Read the deployments of these ids; those that are gone are left out."""
        return await self._find_any("id", ids, triggers)

    async def _find_any(
        self, field: str, values: list[str], triggers: set[str] | None
    ) -> dict[str, Live]:
        """Read the deployments whose field has one of these values, a page of values at once."""
        found: dict[str, Live] = {}
        for start in range(0, len(values), PAGE):
            found |= await self._find({field: {"any_": values[start : start + PAGE]}}, triggers)
        return found

    async def _find(self, where: dict[str, Any], triggers: set[str] | None) -> dict[str, Live]:
        query = {"deployments": where}
        rows = await self.pages("/deployments/filter", {**query, "sort": "CREATED_DESC"})
        if not rows:
            return {}
        flows = {row["id"]: row["name"] for row in await self.pages("/flows/filter", query)}
        owned = await self._automations(triggers)
        found = [_live(row, flows[row["flow_id"]], owned.get(row["id"], [])) for row in rows]
        return {specs.key(each.spec): each for each in found}

    async def _automations(self, names: set[str] | None) -> dict[str, list[dict[str, Any]]]:
        """Return the automations of these names, or all, by the deployments that they run."""
        owned: dict[str, list[dict[str, Any]]] = {}
        where = {} if names is None else {"automations": {"name": {"any_": sorted(names)}}}
        for automation in await self.pages("/automations/filter", where) if names != set() else ():
            for identity in {each.get("deployment_id", "") for each in automation["actions"]}:
                owned.setdefault(identity, []).append(automation)
        return owned

    async def delete(self, live: Live) -> None:
        """Delete a deployment, unless it was deleted already, and its automations."""
        await self.delete_automations(live.id)
        await self._delete(f"/deployments/{live.id}")

    async def delete_starters(self, live: Live) -> None:
        """Delete what starts a deployment's runs by itself: its automations and schedules."""
        await self.delete_automations(live.id)
        for row in live.row["schedules"]:
            await self.delete_schedule(live, row["id"])

    async def delete_automations(self, identity: str) -> str:
        """Delete a deployment's automations, which Prefect would keep; return their owner."""
        resource = f"prefect.deployment.{identity}"
        await self.client.delete_resource_owned_automations(resource)
        return resource

    async def automation_ids(self, identity: str, names: set[str]) -> set[str]:
        """Return the ids of the automations of these names that run a deployment."""
        owned = await self._automations(names)
        return {each["id"] for each in owned.get(identity, [])}

    async def delete_automation(self, automation_id: str) -> None:
        """Delete one automation, unless it was deleted already."""
        await self._delete(f"/automations/{automation_id}")

    async def delete_schedule(self, live: Live, schedule_id: str) -> None:
        """Delete one schedule of a deployment, unless it was deleted already."""
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
        await if_found(self.request("DELETE", path))
