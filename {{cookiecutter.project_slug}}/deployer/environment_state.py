"""What the server remembers of an environment beside its releases, in a Variable.

The highest order is that of the newest pipeline run that came here, even if it had nothing to
change. A hold keeps the next push from deploying again what somebody rolled back. A Variable of its
own holds what `deployer/unchanged.py` says; the pipeline writes its order there without the lock.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from deployer.api_errors import if_found
from deployer.environment import Environment
from deployer.errors import DeployerError
from deployer.project import STATE, UNCHANGED
from deployer.server import Server
from deployer.unchanged import Unchanged

TAGS = ["deployer"]


@dataclass(frozen=True)
class Hold:
    """Why nothing is deployed until somebody says so.

    Attributes:
        at: when it began, by the server's clock, such as 2026-11-25 05:56:25+00:00.
        who: who rolled back.
        release: number of the release that was rolled back to.
        bad: number of the release that was deployed before; None where nothing was.
        commit: of the bad release; None where nobody said.
    """

    at: str
    who: str
    release: int
    bad: int | None
    commit: str | None

    def __str__(self) -> str:
        """Say it in a sentence without its subject: `is held at release 7 …`."""
        left = f" from release {self.bad}" if self.bad else ""
        left += f" (commit {self.commit[:8]})" if self.bad and self.commit else ""
        return f"is held at release {self.release}: {self.who} rolled back{left} at {self.at[:19]}"


@dataclass(frozen=True)
class EnvironmentState:
    """What is remembered.

    Attributes:
        highest_order: the highest pipeline run id that came here; None before the first one.
        hold: why nothing is deployed; None where nothing holds.
    """

    highest_order: int | None = None
    hold: Hold | None = None


async def read(server: Server, environment: Environment) -> EnvironmentState:
    """Return what the server remembers of an environment.

    Raises:
        DeployerError: somebody changed the variable by hand.
    """
    found: Any = None
    for name in _names(environment):
        found = found or await server.client.read_variable_by_name(name)
    if found is None:
        return EnvironmentState()
    try:
        hold = found.value["hold"]
        return EnvironmentState(found.value["highest_order"], Hold(**hold) if hold else None)
    except (KeyError, TypeError):
        raise DeployerError(
            f"The variable {found.name} on the server is {found.value!r}, which the deployer did "
            "not write: delete it in the UI, under Variables."
        ) from None


async def write(server: Server, environment: Environment, state: EnvironmentState) -> None:
    """Remember this instead of what was there."""
    name, *_ = _names(environment)
    body = {"name": name, "value": asdict(state), "tags": TAGS}
    found = await server.client.read_variable_by_name(name)
    if found is None:
        await server.request("POST", "/variables/", json=body)
    else:
        await server.request("PATCH", f"/variables/{found.id}", json=body)


async def settle(server: Server, environment: Environment) -> EnvironmentState:
    """Return what is remembered once nothing is noted any more: with the lock, before any write.

    The highest order that a run has noted without the lock is remembered from now on.
    """
    state = await read(server, environment)
    noted: Any = await server.client.read_variable_by_name(unchanged_name(environment))
    if noted is None:
        return state
    order = noted.value.get("order") if isinstance(noted.value, dict) else None
    if isinstance(order, int) and order > (state.highest_order or 0):
        state = replace(state, highest_order=order)
        await write(server, environment, state)
    await _forget(server, unchanged_name(environment))
    return state


async def note(server: Server, environment: Environment, found: Unchanged) -> None:
    """Note that nothing differs, unless something is noted.

    What is noted may hold the order of a newer run: only `settle` takes it away.
    """
    name = unchanged_name(environment)
    if await server.client.read_variable_by_name(name) is None:
        body = {"name": name, "value": vars(found), "tags": TAGS}
        await server.request("POST", "/variables/", json=body)


async def delete(server: Server, environment: Environment) -> None:
    """Forget everything; nothing remembered is fine."""
    for name in (*_names(environment), unchanged_name(environment)):
        await _forget(server, name)


def unchanged_name(environment: Environment) -> str:
    """Return the name of the Variable that says when nothing differs."""
    return f"{UNCHANGED}-{environment.key}"


async def _forget(server: Server, name: str) -> None:
    await if_found(server.client.delete_variable_by_name(name))


def _names(environment: Environment) -> list[str]:
    return [f"{STATE}-{key}" for key in environment.keys]
