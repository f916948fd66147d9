"""Read the server once, and compare it with what is desired and with the last release."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from deployer import environment_state, plan, release, resource_plan
from deployer.desired import Desired
from deployer.environment import Environment, origins
from deployer.environment_state import EnvironmentState
from deployer.errors import DeployerError
from deployer.kinds import Resources
from deployer.plan import Plan
from deployer.release import Release
from deployer.resources import Rows as ResourceRows
from deployer.server import Live, Server

Rows = dict[str, Live]


@dataclass(frozen=True)
class Snapshot:
    """What the server held at one moment.

    Attributes:
        plan: the changes that lead from this to what is desired.
        live: this project's deployments by `FLOW/NAME`.
        latest: the newest release; None before the first.
        state: the environment's state: its highest order and its hold.
        locked: whether the lock was taken: if by another deployer, what was read may be put back.
        foreign: deployments of other owners that have the names of new ones: Prefect would
            overwrite them silently.
        foreign_notes: a sentence about each of those, and about each such resource.
        resources: the live resources by `KIND/NAME`.
    """

    plan: Plan
    live: Rows
    latest: Release | None
    state: EnvironmentState
    locked: bool
    foreign: Rows
    foreign_notes: tuple[str, ...]
    resources: ResourceRows

    @property
    def highest_order(self) -> int | None:
        """The highest id of a pipeline run in this environment; None before the first one."""
        known = [self.state.highest_order, self.latest.order if self.latest else None]
        return max((each for each in known if each is not None), default=None)

    @property
    def ids(self) -> dict[str, str]:
        """The id of each deployment by `FLOW/NAME`."""
        return {key: each.id for key, each in self.live.items()}

    @property
    def next_number(self) -> int:
        """The number of the next release."""
        return self.latest.number + 1 if self.latest else 1

    @property
    def deployed(self) -> list[Live]:
        """The live deployments in the plan that it does not delete."""
        kept = [each.key for each in self.plan.changes if each.after]
        return [self.live[key] for key in kept if key in self.live]

    def unverified_release(self, desired: Desired) -> Release | None:
        """Return the newest release if it is not verified and already is what is desired."""
        latest = self.latest
        if latest is None or latest.verified != release.UNVERIFIED or not self.plan.empty:
            return None
        return latest if latest.specs == desired.specs else None

    def smoke(self, desired: Desired) -> dict[str, tuple[Live, dict[str, Any]]]:
        """Return the smoke runs of the deployments in the plan: (deployment, parameters) by key."""
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
        only: glob on `FLOW/NAME` and `KIND/NAME`; the plan leaves out what does not match.
        adopted: deployments to treat as this project's own.

    Raises:
        DeployerError: the glob matches nothing.
    """
    state, locked = await environment_state.read(server, environment)
    latest = next(iter(await release.recent(server, environment)), None)
    recorded = latest.specs if latest else {}
    specs = [*desired.specs.values(), *recorded.values()]
    triggers = {name for each in specs for name in each["triggers"]}
    live = {**await server.read(environment, triggers), **(adopted or {})}
    wanted, found = desired.specs, {key: each.spec for key, each in live.items()}
    declared = latest.resources if latest else {}
    resources = await Resources(server, environment).read({**declared, **desired.resources})
    changes = resource_plan.changes(desired.resources, resources, declared)
    if only:
        wanted = {key: each for key, each in wanted.items() if fnmatchcase(key, only)}
        found = {key: each for key, each in found.items() if fnmatchcase(key, only)}
        changes = tuple(each for each in changes if fnmatchcase(each.key, only))
    made = plan.make(wanted, found, recorded, changes)
    foreign = await server.named([each.key for each in made.of("create")])
    homes = await _homes(server, foreign, environment)
    foreign_notes = tuple(_foreign_note(*each, environment, homes) for each in foreign.items())
    taken = resource_plan.foreign(changes, resources)
    made = replace(made, notes=(*made.notes, *taken, *foreign_notes))
    if only and not made.everything:
        raise DeployerError(
            f"--only {only!r} matches nothing: it is a glob on FLOW/NAME, or on KIND/NAME of a "
            "resource."
        )
    notes = (*taken, *foreign_notes)
    return Snapshot(made, live, latest, state, locked, foreign, notes, resources)


async def _homes(server: Server, foreign: Rows, environment: Environment) -> dict[str, str]:
    """Return the repository of each origin of foreign deployments, if a release names it."""
    found: dict[str, str] = {}
    for each in foreign.values():
        tags = each.spec["tags"]
        named = dict(tag.split(":", 1) for tag in tags if ":" in tag)
        for origin in origins(tags) - found.keys():
            names = {"project": named.get("project", ""), "name": named.get("environment", "")}
            with suppress(DeployerError):  # the release record cannot be read
                theirs = replace(environment, **names, origin=origin)
                found[origin] = await release.repository(server, theirs) or ""
    return found


def _foreign_note(key: str, found: Live, environment: Environment, homes: dict[str, str]) -> str:
    """Return a sentence that a deployment of this key exists and is not this project's."""
    tags = found.spec["tags"]
    mark = "environment:"
    elsewhere = [each.removeprefix(mark) for each in tags if each.startswith(mark)]
    if f"project:{environment.project}" in tags and environment.owns(tags) and elsewhere:
        return (
            f"{key} is deployed already, in this project's environment {elsewhere[0]}: give one of "
            "the two environments another name_suffix in deployments/environments.toml, or take "
            "it over with --adopt."
        )
    known = {each: homes.get(each) for each in sorted(origins(tags))}
    theirs = ", ".join(f"{each} of {home}" if home else each for each, home in known.items())
    here = f"here it is {environment.origin}" if environment.origin else "here there is none"
    both = f" (its origin is {theirs}, and {here})" if theirs else ""
    return (
        f"{key} exists already and is not this project's{both}: rename the entry, or take it over "
        "with --adopt."
    )
