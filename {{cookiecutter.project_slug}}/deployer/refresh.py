"""One snapshot at the server: what is there, what was last released, what would change."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from deployer import plan, release
from deployer.desired import Desired
from deployer.environment import Environment
from deployer.plan import Plan
from deployer.release import Release
from deployer.server import Live, Server


@dataclass(frozen=True)
class Snapshot:
    """What one snapshot found."""

    plan: Plan
    live: dict[str, Live]
    latest: Release | None

    def smoke(self, desired: Desired) -> dict[str, tuple[Live, dict[str, Any]]]:
        """Return what the desired runs once, with its parameters, of what was looked at."""
        seen = {change.key for change in self.plan.changes} & self.live.keys()
        return {key: (self.live[key], each) for key, each in desired.smoke.items() if key in seen}


async def refresh(
    server: Server,
    environment: Environment,
    desired: Desired,
    only: str | None = None,
    adopted: dict[str, Live] | None = None,
) -> Snapshot:
    """Read the server once and compare.

    Args:
        server: where to read.
        environment: whose deployments.
        desired: what is wanted.
        only: glob on `FLOW/NAME`; the plan holds nothing else.
        adopted: deployments that count as ours from now on.
    """
    latest = next(iter(await release.recent(server, environment)), None)
    known = [desired.specs, latest.specs if latest else {}]
    triggers = {name for specs in known for each in specs.values() for name in each["triggers"]}
    live = {**await server.read(environment, triggers), **(adopted or {})}
    wanted, found = desired.specs, {key: each.spec for key, each in live.items()}
    if only:
        wanted = {key: each for key, each in wanted.items() if fnmatchcase(key, only)}
        found = {key: each for key, each in found.items() if fnmatchcase(key, only)}
    return Snapshot(plan.make(wanted, found, latest.specs if latest else None), live, latest)
