"""Lock a project's environment for one deployer at a time, with a Prefect Variable.

Creating a Variable is atomic. Leases of concurrency limits are not used, because the server keeps
them in memory and a restart leaves their slot taken.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
from prefect.client.schemas.actions import VariableCreate
from prefect.exceptions import ObjectAlreadyExists, PrefectHTTPStatusError

from deployer.environment import Environment
from deployer.errors import DeployerError
from deployer.project import lock_name
from deployer.server import TAGS, Server
from deployer.uninterrupted import uninterrupted

EXPIRY = 180  # seconds without a renewal after which the holder counts as dead
RENEWAL = 15  # seconds between renewals
TAKEN_OVER = (
    "Another deployer took the lock over while the server was not answering, and holds it now. "
    "Nothing was put back: wait for the other deployer, then deploy again."
)


@dataclass
class Lock:
    """A lock that is held.

    Attributes:
        server: where it is.
        id: the id of its Variable.
        renewed: when it was renewed last, by both clocks of this machine.
        lost: whether another deployer holds it now, so that nothing may be written any more.
        was_taken: whether another deployer held it at the first attempt.
    """

    server: Server
    id: UUID
    renewed: tuple[float, float]
    lost: bool = False
    was_taken: bool = False

    async def confirm(self) -> None:
        """Make sure that the lock is still held: call this before each write.

        Raises:
            DeployerError: another deployer took the lock over.
        """
        if self.lost:
            raise DeployerError(TAKEN_OVER)
        age = max(now - then for now, then in zip(_clocks(), self.renewed, strict=True))
        if age > EXPIRY / 3:
            await self.renew()

    async def renew(self) -> None:
        """Renew the lock, so that it does not expire.

        Raises:
            DeployerError: another deployer took the lock over.
        """
        sent = _clocks()
        try:
            await self.server.request("PATCH", f"/variables/{self.id}", json={"tags": TAGS})
        except PrefectHTTPStatusError as error:
            if error.response.status_code != httpx.codes.NOT_FOUND or await self._exists():
                raise
            self.lost = True
            raise DeployerError(TAKEN_OVER) from None
        self.renewed = sent

    async def _exists(self) -> bool:
        """Return whether the lock's Variable exists: a takeover deletes it.

        A proxy answers 404 as well while the server restarts, but then to this request too.
        """
        where = {"variables": {"id": {"any_": [str(self.id)]}}}
        return bool(await self.server.request("POST", "/variables/filter", json=where))


@asynccontextmanager
async def held(
    server: Server,
    environment: Environment,
    holder: str,
    timeout: float,
    say: Callable[[str], None],
) -> AsyncIterator[Lock]:
    """Hold the environment's lock while the body runs.

    Args:
        server: where the lock is.
        environment: what is locked.
        holder: who holds it, as other deployers see it.
        timeout: seconds to wait for another holder.
        say: called if it has to wait, or takes over an expired lock.

    Raises:
        DeployerError: another deployer held it until the timeout, or took it over.
    """
    lock = await _take(server, lock_name(environment.keys), holder, timeout, say)
    renewal = asyncio.create_task(_renew(lock, asyncio.current_task()))
    try:
        yield lock
    except asyncio.CancelledError:
        if not lock.lost:
            raise
        raise DeployerError(TAKEN_OVER) from None
    finally:
        renewal.cancel()
        with suppress(Exception):  # a lock that cannot be released expires
            await uninterrupted(server.request("DELETE", f"/variables/{lock.id}"))


def _clocks() -> tuple[float, float]:
    """Return two clocks: the first stops while a laptop sleeps, the second may be set."""
    return time.monotonic(), time.time()


async def _take(
    server: Server, name: str, holder: str, timeout: float, say: Callable[[str], None]
) -> Lock:
    deadline = time.monotonic() + timeout
    wanted = VariableCreate(name=name, value={"holder": holder, "token": str(uuid4())}, tags=TAGS)
    announced = was_taken = False
    while True:
        sent = _clocks()
        with suppress(ObjectAlreadyExists):
            made = await server.client.create_variable(wanted)
            return Lock(server, made.id, sent, was_taken=was_taken)
        lock: Any = await server.client.read_variable_by_name(name)
        if lock is None:
            was_taken = True
            continue
        if lock.value == wanted.value:
            # This process created it, but the answer was lost.
            return Lock(server, lock.id, sent, was_taken=was_taken)
        was_taken = True
        other = lock.value.get("holder") if isinstance(lock.value, dict) else lock.value
        if (await server.now() - lock.updated).total_seconds() > EXPIRY:
            say(f"the lock of {other} has expired: taking over")
            with suppress(PrefectHTTPStatusError):  # another deployer was faster
                await server.request("DELETE", f"/variables/{lock.id}")
            continue
        if time.monotonic() > deadline:
            raise DeployerError(
                f"{other} is deploying here: wait for it, or allow more time with --lock-timeout. "
                f"A deployer that died loses its lock after {EXPIRY} seconds."
            )
        if not announced:
            say(f"waiting for {other}, who is deploying here")
            announced = True
        await asyncio.sleep(1)


async def _renew(lock: Lock, holder: asyncio.Task[Any] | None) -> None:
    while not lock.lost:
        await asyncio.sleep(RENEWAL)
        with suppress(Exception):  # tried again, unless the lock is lost
            await lock.renew()
    if holder:
        holder.cancel()
