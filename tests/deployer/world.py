"""The deployer in this process, with a separate environment for each test or example."""

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
from deployer.cli.context import desired_state
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
    """Print nothing."""


class World:
    """An environment on a server with a unique suffix and tags, and the deployer's functions."""

    def __init__(self, server: PrefectServer, **settings: Any) -> None:
        self._initialise(server, f"{os.getpid()}-{next(NUMBERS)}", settings)
        self.run(lambda connection: setup(connection, self.environment, {}))

    @classmethod
    def of(cls, server: PrefectServer, number: str, **settings: Any) -> World:
        """Return the world with this number, which another process has set up."""
        world = cls.__new__(cls)
        world._initialise(server, number, settings)
        return world

    def _initialise(self, server: PrefectServer, number: str, settings: dict[str, Any]) -> None:
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
        """Send one request directly to the server, bypassing any proxy."""
        try:
            return self.server.request(method, path, body)
        except HTTPError as error:
            if error.code != tolerate:
                raise
            return None

    def run(self, work: Callable[[Server], Awaitable[T]]) -> T:
        """Run a coroutine with a new server connection, as the command line does."""

        async def inside() -> T:
            async with connect() as server:
                return await work(server)

        home = self.server.env["PREFECT_HOME"]
        with temporary_settings({PREFECT_API_URL: self.api_url, PREFECT_HOME: home}):
            return asyncio.run(inside())

    def target(self, catalog: list[Deployment], resources: Sequence[Any] = ()) -> Desired:
        """Return the desired state for a catalog in this environment."""
        return from_catalog(catalog, self.environment, resources=resources)

    def deploy(
        self,
        catalog: list[Deployment],
        say: Callable[[str], None] = quiet,
        resources: Sequence[Any] = (),
        **options: Any,
    ) -> Result:
        """Deploy a catalog, by default without verification."""
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
        """Delete everything, so that its schedules no longer keep the server busy."""
        self.run(lambda server: destroy(server, self.environment, "a test", 60, quiet))

    def plan(self, catalog: list[Deployment], resources: Sequence[Any] = ()) -> Plan:
        """Return the plan for a catalog."""
        target = self.target(catalog, resources)
        return self.run(lambda server: refresh(server, self.environment, target)).plan

    def resources(self) -> Rows:
        """Return this environment's Variables, limits and automations."""
        return self.run(lambda server: Resources(server, self.environment).read({}, True))

    def live(self) -> dict[str, Live]:
        """Return this environment's deployments on the server."""
        return self.run(lambda server: server.read(self.environment, {"a trigger"}))

    def states(self) -> dict[str, Any]:
        """Return the normalised specs of this environment's deployments."""
        return {key: each.spec for key, each in self.live().items()}

    def automations(self) -> list[dict[str, Any]]:
        """Return all automations on the server with the name that the tests use."""
        where = {"automations": {"name": {"any_": ["a trigger"]}}, "limit": 200}
        return list(self.call("POST", "/automations/filter", where))

    def key(self, entry: Deployment) -> str:
        """Return the name of an entry's deployment on the server."""
        return entry.key + self.environment.name_suffix


def lock_of(world: World) -> str:
    """Return the API path of a world's lock."""
    return f"/variables/name/deployer-lock-{world.environment.key}"


def take_over(world: World) -> None:
    """Take over the lock, as a deployer does if its holder seems to be dead."""
    held = world.call("GET", lock_of(world))
    world.call("DELETE", f"/variables/{held['id']}")
    body = {"name": held["name"], "value": {"holder": "Bob", "token": "b"}}
    world.call("POST", "/variables/", body)


def planned(world: World, catalog: list[Deployment]) -> Desired:
    """Return the desired state that the command line computes, after reading the work pools."""
    _, found = world.run(lambda server: desired_state(server, world.environment, catalog))
    return found


@contextmanager
def requests() -> Iterator[list[str]]:
    """Record every request of this process, as method and path."""
    seen: list[str] = []
    send = httpx.AsyncClient.send

    async def recording(self: httpx.AsyncClient, request: httpx.Request, **kwargs: Any) -> Any:
        answer = await send(self, request, **kwargs)
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:  # it is sent again
            seen.append(f"{request.method} {request.url.path}")
        return answer

    # No request hook applies to all clients, so replace `send` and restore it at the end.
    httpx.AsyncClient.send = recording  # type: ignore[method-assign]
    try:
        yield seen
    finally:
        httpx.AsyncClient.send = send  # type: ignore[method-assign]


def writes(seen: list[str]) -> list[str]:
    """Return only the writing requests."""
    return [each for each in seen if not each.startswith("GET") and not each.endswith(READS)]
