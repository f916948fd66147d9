"""The deployer in this process: one environment of its own for every example."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.error import HTTPError

import httpx
from deployer import release
from deployer.catalog import Deployment
from deployer.cli.context import declared
from deployer.deploy import deploy
from deployer.desired import Desired, from_catalog, from_release
from deployer.destroy import destroy
from deployer.environment import Environment
from deployer.kinds import Resources
from deployer.options import Options
from deployer.plan import Plan
from deployer.refresh import refresh
from deployer.resources import Rows
from deployer.result import Result
from deployer.server import Live, Server, connect
from deployer.setup import setup
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

from tests.support.server import PrefectServer

T = TypeVar("T")
POOL = "a pool"
NUMBERS = itertools.count(1)
READS = ("/filter", "/paginate", "/count")


def quiet(_: object) -> None:
    """Say nothing."""


class World:
    """One environment on a server, with suffix and tags that nobody else has."""

    def __init__(self, server: PrefectServer, **settings: Any) -> None:
        self._become(server, f"{os.getpid()}-{next(NUMBERS)}", settings)
        self.run(lambda connection: setup(connection, self.environment, {}))

    @classmethod
    def of(cls, server: PrefectServer, number: str, **settings: Any) -> World:
        """Return the world of that number, which another process has set up."""
        world = cls.__new__(cls)
        world._become(server, number, settings)
        return world

    def _become(self, server: PrefectServer, number: str, settings: dict[str, Any]) -> None:
        self.server = server
        self.api_url = server.api_url
        self.number = number
        self.environment = Environment(
            **{
                "project": f"project {number}",
                "name": "production",
                "work_pool": POOL,
                "work_pool_type": "process",
                "name_suffix": f"-{number}",
                **settings,
            }
        )

    def call(self, method: str, path: str, body: Any = None, tolerate: int = 0) -> Any:
        """Send one request to the server itself, whatever lies before it."""
        try:
            return self.server.request(method, path, body)
        except HTTPError as error:
            if error.code != tolerate:
                raise
            return None

    def run(self, work: Callable[[Server], Awaitable[T]]) -> T:
        """Run a coroutine with a server connection of its own, as the command line does."""

        async def inside() -> T:
            async with connect() as server:
                return await work(server)

        home = self.server.env["PREFECT_HOME"]
        with temporary_settings({PREFECT_API_URL: self.api_url, PREFECT_HOME: home}):
            return asyncio.run(inside())

    def target(self, catalog: list[Deployment], resources: Sequence[Any] = ()) -> Desired:
        """Return what a catalog asks for here."""
        return from_catalog(catalog, self.environment, resources=resources)

    def deploy(
        self,
        catalog: list[Deployment],
        say: Callable[[str], None] = quiet,
        resources: Sequence[Any] = (),
        **options: Any,
    ) -> Result:
        """Deploy a catalog, without verification unless asked for."""
        chosen = Options(**{"verify": False, **options})
        target = self.target(catalog, resources)
        return self.run(lambda server: deploy(server, self.environment, target, chosen, say, quiet))

    def releases(self, limit: int = 10) -> list[int]:
        """Return the numbers of the recorded releases, newest first."""
        found = self.run(lambda server: release.recent(server, self.environment, limit))
        return [each.number for each in found]

    def roll_back(self, number: int | None = None, **options: Any) -> Result:
        """Roll back to a recorded release."""
        chosen = Options(**{"verify": False, **options})

        async def work(server: Server) -> Result:
            target = from_release(await release.find(server, self.environment, number))
            return await deploy(server, self.environment, target, chosen, quiet, quiet)

        return self.run(work)

    def destroy(self) -> None:
        """Delete everything, so that its schedules keep no server busy any more."""
        self.run(lambda server: destroy(server, self.environment, "a test", 60, quiet))

    def plan(self, catalog: list[Deployment], resources: Sequence[Any] = ()) -> Plan:
        """Plan a catalog."""
        target = self.target(catalog, resources)
        return self.run(lambda server: refresh(server, self.environment, target)).plan

    def beside(self) -> Rows:
        """Return what is ours beside the deployments."""
        return self.run(lambda server: Resources(server, self.environment).read({}, True))

    def live(self) -> dict[str, Live]:
        """Return what is deployed."""
        return self.run(lambda server: server.read(self.environment, {"a trigger"}))

    def states(self) -> dict[str, Any]:
        """Return the normalised states of what is deployed."""
        return {key: each.spec for key, each in self.live().items()}

    def automations(self) -> list[dict[str, Any]]:
        """Return every automation on the server that is called as those of the tests."""
        where = {"automations": {"name": {"any_": ["a trigger"]}}, "limit": 200}
        return list(self.call("POST", "/automations/filter", where))

    def key(self, entry: Deployment) -> str:
        """Return an entry's name on the server."""
        return entry.key + self.environment.name_suffix


def planned(world: World, catalog: list[Deployment]) -> Desired:
    """Return what the command line makes of a catalog once it has asked for the work pools."""
    _, found = world.run(lambda server: declared(server, world.environment, catalog))
    return found


@contextmanager
def requests() -> Iterator[list[str]]:
    """Record every request of this process, as method and path."""
    seen: list[str] = []
    send = httpx.AsyncClient.send

    async def recording(self: httpx.AsyncClient, request: httpx.Request, **kwargs: Any) -> Any:
        seen.append(f"{request.method} {request.url.path}")
        return await send(self, request, **kwargs)

    # There is no hook before a request that every client has; it is put back at the end.
    httpx.AsyncClient.send = recording  # type: ignore[method-assign]
    try:
        yield seen
    finally:
        httpx.AsyncClient.send = send  # type: ignore[method-assign]


def writes(seen: list[str]) -> list[str]:
    """Return the requests among these that write."""
    return [each for each in seen if not each.startswith("GET") and not each.endswith(READS)]
