"""What a deploy is to reach: from the catalog, or from a recorded release. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deployer import release, state
from deployer.catalog import Deployment
from deployer.environment import Environment
from deployer.release import Release
from deployer.state import State


@dataclass(frozen=True)
class Target:
    """What to reach: from the catalog, or from a recorded release.

    Attributes:
        states: the wanted states by `FLOW/NAME`.
        smoke: parameters of the smoke runs by `FLOW/NAME`.
        switches: what is declared of pause and schedules.
        entries: the catalog's entries; None for a recorded release, whose code is not here.
        image: the image that the states use.
        commit: of the source.
        again: number of the recorded release; None for the catalog.
    """

    states: dict[str, State]
    smoke: dict[str, dict[str, Any]]
    switches: dict[str, Any]
    entries: dict[str, Deployment] | None = None
    image: str | None = None
    commit: str | None = None
    again: int | None = None


def from_catalog(
    catalog: list[Deployment],
    environment: Environment,
    image: str | None,
    commit: str | None = None,
) -> Target:
    """Return what a checked catalog asks for in an environment."""
    entries, states, smoke = {}, {}, {}
    for entry in catalog:
        declared = state.declared(entry, environment, image)
        key = state.key(declared)
        entries[key], states[key] = entry, declared
        if entry.smoke is not None:
            smoke[key] = entry.smoke
    return Target(states, smoke, release.switches(states), entries, image, commit)


def from_release(recorded: Release) -> Target:
    """Return what a recorded release asks for; pause and switches are today's operator's."""
    return Target(
        {
            key: _as_declared(each, recorded.switches.get(key))
            for key, each in recorded.states.items()
        },
        recorded.smoke,
        recorded.switches,
        image=recorded.image,
        commit=recorded.commit,
        again=recorded.again or recorded.number,
    )


def _as_declared(recorded: State, switches: dict[str, Any] | None) -> State:
    """Return a recorded state with what was declared of its switches, not what operators made."""
    if switches is None:
        return recorded
    settled = {
        kind: {
            name: {**each, **switches.get(kind, {}).get(name, {})}
            for name, each in recorded[kind].items()
        }
        for kind in ("schedules", "triggers")
    }
    return {**recorded, "paused": switches["paused"], **settled}
