"""What a deploy is to reach: from the catalog, or from a recorded release. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic_core import to_jsonable_python

from deployer import state
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
        entries: the catalog's entries; None for a recorded release, whose code is not here.
        image: the image that the states use.
        commit: of the source.
        again: number of the recorded release; None for the catalog.
    """

    states: dict[str, State]
    smoke: dict[str, dict[str, Any]]
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
            smoke[key] = to_jsonable_python(entry.smoke)
    return Target(states, smoke, entries, image, commit)


def from_release(recorded: Release) -> Target:
    """Return what a recorded release asks for."""
    return Target(
        recorded.states,
        recorded.smoke,
        image=recorded.image,
        commit=recorded.commit,
        again=recorded.again or recorded.number,
    )
