"""What the server remembers of an environment beside its releases, in a Variable.

The highest order is that of the newest pipeline run that came here, even if it had nothing to
change. A hold keeps the next push from deploying again what somebody rolled back.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from deployer.api_errors import if_found
from deployer.environment import Environment
from deployer.errors import DeployerError
from deployer.server import Server

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


async def delete(server: Server, environment: Environment) -> None:
    """Forget it; nothing remembered is fine."""
    for name in _names(environment):
        await if_found(server.client.delete_variable_by_name(name))


def _names(environment: Environment) -> list[str]:
    return [f"deployer-state-{key}" for key in environment.keys]
