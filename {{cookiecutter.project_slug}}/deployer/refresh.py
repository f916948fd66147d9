"""Reads the server once, and compares: what is there, what was last released, what would change."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from deployer import environment_state, plan, release
from deployer.desired import Desired
from deployer.environment import Environment
from deployer.environment_state import EnvironmentState
from deployer.errors import DeployerError
from deployer.plan import Plan
from deployer.release import Release
from deployer.server import Live, Server

Rows = dict[str, Live]


@dataclass(frozen=True)
class Snapshot:
    """What the server held at one moment.

    Attributes:
        plan: how that differs from what is desired.
        live: our deployments by `FLOW/NAME`.
        latest: the newest release; None before the first.
        state: what the server remembers beside the releases.
    """

    plan: Plan
    live: Rows
    latest: Release | None
    state: EnvironmentState

    @property
    def highest_order(self) -> int | None:
        """The highest order of a pipeline run that came here; None before the first one."""
        known = [self.state.highest_order, self.latest.order if self.latest else None]
        return max((each for each in known if each is not None), default=None)

    @property
    def ids(self) -> dict[str, str]:
        """The id of each deployment by `FLOW/NAME`."""
        return {key: each.id for key, each in self.live.items()}

    @property
    def next_number(self) -> int:
        """The number of the release that comes next."""
        return self.latest.number + 1 if self.latest else 1

    def smoke(self, desired: Desired) -> dict[str, tuple[Live, dict[str, Any]]]:
        """Return what has to run once, with its parameters, of the deployments in the plan."""
        seen = {change.key for change in self.plan.changes} & self.live.keys()
        return {key: (self.live[key], each) for key, each in desired.smoke.items() if key in seen}


async def refresh(
    server: Server,
    environment: Environment,
    desired: Desired,
    only: str | None = None,
    adopted: Rows | None = None,
) -> Snapshot:
    """Read the server and compare it with what is desired.

    Args:
        server: where to read.
        environment: whose deployments.
        desired: what the server has to hold.
        only: glob on `FLOW/NAME`; the plan holds nothing else.
        adopted: deployments that count as ours from now on.

    Raises:
        DeployerError: the glob matches nothing.
    """
    latest = next(iter(await release.recent(server, environment)), None)
    recorded = latest.specs if latest else {}
    specs = [*desired.specs.values(), *recorded.values()]
    triggers = {name for each in specs for name in each["triggers"]}
    live = {**await server.read(environment, triggers), **(adopted or {})}
    wanted, found = desired.specs, {key: each.spec for key, each in live.items()}
    if only:
        wanted = {key: each for key, each in wanted.items() if fnmatchcase(key, only)}
        found = {key: each for key, each in found.items() if fnmatchcase(key, only)}
    made = plan.make(wanted, found, recorded)
    if only and not made.changes:
        raise DeployerError(f"--only {only!r} matches no deployment: it is a glob on FLOW/NAME.")
    return Snapshot(made, live, latest, await environment_state.read(server, environment))
