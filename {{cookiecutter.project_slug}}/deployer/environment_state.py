"""The state of an environment apart from its releases, stored in a Variable on the server.

The highest order is the id of the newest pipeline run so far, even if that run changed nothing. A
hold stops the next push from deploying again what was rolled back. A second Variable stores the
note of `deployer/unchanged.py` that nothing differs; the pipeline writes its order there, unlocked.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from deployer.api_errors import if_found
from deployer.environment import Environment
from deployer.errors import DeployerError
from deployer.project import STATE, UNCHANGED, lock_name
from deployer.server import TAGS, Server
from deployer.unchanged import Unchanged


@dataclass(frozen=True)
class Hold:
    """Why deploys are refused after a rollback, until someone deploys with `--resume`.

    Attributes:
        at: when it began, by the server's clock, such as 2026-11-25 05:56:25+00:00.
        who: who rolled back.
        release: number of the release that was rolled back to.
        bad: number of the release that was deployed before; None if there was none.
        commit: commit of the bad release; None if it is not known.
    """

    at: str
    who: str
    release: int
    bad: int | None
    commit: str | None

    def __str__(self) -> str:
        """Return a sentence without its subject: `is held at release 7 …`."""
        bad = f" from release {self.bad}" if self.bad else ""
        bad += f" (commit {self.commit[:8]})" if self.bad and self.commit else ""
        return f"is held at release {self.release}: {self.who} rolled back{bad} at {self.at[:19]}"


@dataclass(frozen=True)
class EnvironmentState:
    """The stored state of an environment.

    Attributes:
        highest_order: the highest id of a pipeline run so far; None before the first one.
        hold: why deploys are refused; None if they are not.
    """

    highest_order: int | None = None
    hold: Hold | None = None


async def read(server: Server, environment: Environment) -> tuple[EnvironmentState, bool]:
    """Return the stored state of an environment, and whether its lock is taken.

    While it is taken, a deploy is under way, and may put back what is read now.

    Raises:
        DeployerError: somebody changed the variable by hand.
    """
    names, taken = _names(environment), lock_name(environment.keys)
    where = {"variables": {"name": {"any_": [*names, taken]}}}
    found = {row["name"]: row["value"] for row in await server.pages("/variables/filter", where)}
    name = next((each for each in names if each in found), None)
    if name is None:
        return EnvironmentState(), taken in found
    value = found[name]
    try:
        hold = Hold(**value["hold"]) if value["hold"] else None
        return EnvironmentState(value["highest_order"], hold), taken in found
    except (KeyError, TypeError):
        raise DeployerError(
            f"The variable {name} on the server is {value!r}, which the deployer did not write: "
            "delete it in the UI, under Variables."
        ) from None


async def write(server: Server, environment: Environment, state: EnvironmentState) -> None:
    """Store a state in place of the one before."""
    name, *_ = _names(environment)
    await server.set_variable(name, asdict(state))


async def merge_note(server: Server, environment: Environment) -> EnvironmentState:
    """Move the order of the note into the state, delete the note, and return the state.

    Call this with the lock, before any other write: a run writes its order to the note without it.
    """
    state, _ = await read(server, environment)
    stored: Any = await server.client.read_variable_by_name(unchanged_name(environment))
    if stored is None:
        return state
    order = stored.value.get("order") if isinstance(stored.value, dict) else None
    if isinstance(order, int) and order > (state.highest_order or 0):
        state = replace(state, highest_order=order)
        await write(server, environment, state)
    await _delete(server, unchanged_name(environment))
    return state


async def note(server: Server, environment: Environment, found: Unchanged) -> None:
    """Write the note that nothing differs, unless there is one.

    An existing note may hold the order of a newer run, so a deploy leaves it to `merge_note`.
    """
    name = unchanged_name(environment)
    if await server.client.read_variable_by_name(name) is None:
        body = {"name": name, "value": vars(found), "tags": TAGS}
        await server.request("POST", "/variables/", json=body)


async def delete(server: Server, environment: Environment) -> None:
    """Delete the state and the note, if they exist."""
    for name in (*_names(environment), unchanged_name(environment)):
        await _delete(server, name)


def unchanged_name(environment: Environment) -> str:
    """Return the name of the Variable that stores the note that nothing differs."""
    return f"{UNCHANGED}-{environment.key}"


async def _delete(server: Server, name: str) -> None:
    await if_found(server.client.delete_variable_by_name(name))


def _names(environment: Environment) -> list[str]:
    return [f"{STATE}-{key}" for key in environment.keys]
