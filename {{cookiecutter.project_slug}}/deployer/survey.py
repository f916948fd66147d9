"""One look at the server: what is there, what was last released, what would change."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from deployer import plan, release
from deployer.environment import Environment
from deployer.plan import Plan
from deployer.release import Release
from deployer.server import Live, Server
from deployer.target import Target


@dataclass(frozen=True)
class Survey:
    """What one look found."""

    plan: Plan
    live: dict[str, Live]
    latest: Release | None

    def smoke(self, target: Target) -> dict[str, tuple[Live, dict[str, Any]]]:
        """Return what the target runs once, with its parameters, of what was looked at."""
        seen = {change.key for change in self.plan.changes} & self.live.keys()
        return {key: (self.live[key], each) for key, each in target.smoke.items() if key in seen}


async def survey(
    server: Server,
    environment: Environment,
    target: Target,
    only: str | None = None,
    adopted: dict[str, Live] | None = None,
) -> Survey:
    """Read the server once and compare.

    Args:
        server: where to read.
        environment: whose deployments.
        target: what is wanted.
        only: glob on `FLOW/NAME`; the plan holds nothing else.
        adopted: deployments that count as ours from now on.
    """
    latest = next(iter(await release.recent(server, environment)), None)
    known = [target.states, latest.states if latest else {}]
    triggers = {name for states in known for each in states.values() for name in each["triggers"]}
    live = {**await server.read(environment, triggers), **(adopted or {})}
    wanted, found = target.states, {key: each.state for key, each in live.items()}
    if only:
        wanted = {key: each for key, each in wanted.items() if fnmatchcase(key, only)}
        found = {key: each for key, each in found.items() if fnmatchcase(key, only)}
    return Survey(plan.make(wanted, found, latest.states if latest else None), live, latest)
