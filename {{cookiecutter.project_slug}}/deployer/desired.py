"""The desired state of a deploy, from the catalog or from a recorded release."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import to_jsonable_python

from deployer import resources as resource_specs
from deployer import spec as specs
from deployer.catalog import Deployment
from deployer.environment import Environment
from deployer.image_references import DEFAULT
from deployer.release import Release
from deployer.spec import Spec


@dataclass(frozen=True)
class Desired:
    """The state that a deploy has to reach.

    Attributes:
        specs: the wanted specs by `FLOW/NAME`.
        smoke: parameters of the smoke runs by `FLOW/NAME`.
        entries: the catalog's entries; None for a recorded release, whose code is not here.
        image: the image of the specs that name none; None for a working tree.
        images: the other images, by the names that entries use.
        commit: the source commit.
        rolled_back_to: number of the recorded release that this is; None for the catalog.
        resources: the wanted specs of resources other than deployments, by `KIND/NAME`.
    """

    specs: dict[str, Spec]
    smoke: dict[str, dict[str, Any]]
    entries: dict[str, Deployment] | None = None
    image: str | None = None
    commit: str | None = None
    rolled_back_to: int | None = None
    resources: dict[str, Spec] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)


def from_catalog(
    catalog: list[Deployment],
    environment: Environment,
    commit: str | None = None,
    resources: Sequence[Any] = (),
) -> Desired:
    """Return the state that a checked catalog declares for an environment."""
    entries, wanted, smoke = {}, {}, {}
    for entry in catalog:
        declared = specs.declared(entry, environment)
        key = specs.key(declared)
        entries[key], wanted[key] = entry, declared
        if entry.smoke is not None:
            smoke[key] = to_jsonable_python(entry.smoke)
    more = resource_specs.declared(resources, environment)
    others = {**environment.given_images}
    image = others.pop(DEFAULT, None)
    return Desired(wanted, smoke, entries, image, commit, resources=more, images=others)


def from_release(recorded: Release) -> Desired:
    """Return the state that a release recorded."""
    return Desired(
        recorded.specs,
        recorded.smoke,
        image=recorded.image,
        commit=recorded.commit,
        rolled_back_to=recorded.content,
        resources=recorded.resources,
        images=recorded.images,
    )
