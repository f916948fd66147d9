"""Properties that hold for any catalog and any manual edits, tested on a real server."""

from __future__ import annotations

import os
from typing import Any

import pytest
from deployer.catalog import Deployment
from deployer.check.catalog import check
from deployer.check.resources import check as check_resources
from deployer.errors import DeployerError
from deployer.resources import key as resource_key
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st
from prefect.events import DeploymentEventTrigger

from tests.deployer.sample_flows import plain
from tests.deployer.strategies import catalogs, edits, resources
from tests.deployer.world import World, requests, writes
from tests.support.server import PrefectServer

EXAMPLES = int(os.environ.get("DEPLOYER_EXAMPLES", "6"))
slow = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    # Shrinking repeats whole deploys for minutes, so only the soak session does it.
    phases=[Phase.generate, *([Phase.shrink] if EXAMPLES > 50 else [])],
)


def by_hand(world: World, changes: list[dict[str, Any]]) -> None:
    """Apply edits to the deployments, as a person does in the UI."""
    live = list(world.live().values())
    for number, change in enumerate(changes):
        if not live:
            return
        one = live[number % len(live)]
        path = f"/deployments/{one.id}"
        if "patch" in change:
            body = change["patch"]
            world.call("PATCH", path, {"work_pool_name": "a pool", **body} if body else {})
        elif "cron" in change:
            body = {"schedule": {"cron": change["cron"]}, "active": True, "slug": change["slug"]}
            world.call("POST", f"{path}/schedules", [body], tolerate=409)
        elif "toggle" in change and one.row["schedules"]:
            schedule = one.row["schedules"][change["toggle"] % len(one.row["schedules"])]
            body = {"active": not schedule["active"]}
            world.call("PATCH", f"{path}/schedules/{schedule['id']}", body)
        elif "delete" in change:
            world.call("DELETE", path, tolerate=404)
            live = [each for each in live if each is not one]


@given(catalogs(), resources())
@slow
def test_after_a_deploy_nothing_differs_and_nothing_is_written(
    server: PrefectServer, catalog: list[Deployment], declared: list[Any]
) -> None:
    assert check(catalog) == check_resources(declared) == []
    world = World(server)
    world.deploy(catalog, resources=declared)
    assert world.states().keys() == {world.key(entry) for entry in catalog}
    assert world.resources().keys() == {
        f"{resource_key(e)}{world.environment.name_suffix}" for e in declared
    }

    with requests() as sent:
        outcome = world.deploy(catalog, resources=declared)

    assert outcome.plan.empty, outcome.plan
    assert sent
    assert writes(sent) == []


@given(catalogs(), edits(), st.data())
@slow
def test_any_edit_by_hand_is_seen_and_undone_but_switches_stay(
    server: PrefectServer, catalog: list[Deployment], changes: list[dict[str, Any]], data: Any
) -> None:
    world = World(server)
    world.deploy(catalog)
    by_hand(world, changes)
    before = world.live()
    planned = world.plan(catalog)
    event("drift" if not planned.empty else "no drift")

    world.deploy(catalog, prune_limit=100)

    after = world.live()
    assert world.plan(catalog).empty
    assert after.keys() == {world.key(entry) for entry in catalog}
    for key in before.keys() & after.keys():
        old, new = before[key], after[key]
        assert new.id == old.id
        assert new.spec["paused"] == old.spec["paused"]
        for slug in old.spec["schedules"].keys() & new.spec["schedules"].keys():
            was, now = old.spec["schedules"][slug], new.spec["schedules"][slug]
            assert now["active"] == was["active"]


@given(catalogs(), catalogs(), resources(), resources())
@slow
def test_a_deploy_that_is_refused_leaves_exactly_what_was_there(
    server: PrefectServer,
    first: list[Deployment],
    second: list[Deployment],
    declared: list[Any],
    other: list[Any],
) -> None:
    world = World(server)
    world.deploy(first, resources=declared)
    before, there = world.live(), world.resources()
    # The pool's schema requires a boolean: the server refuses this after other writes.
    refused = Deployment(plain, "refused", job_variables={"stream_output": "perhaps"})

    with pytest.raises(DeployerError, match="refused"):
        world.deploy([*second, refused], prune_limit=100, resources=other)

    assert world.resources() == there
    after = world.live()
    assert {key: each.spec for key, each in after.items()} == {
        key: each.spec for key, each in before.items()
    }
    assert {key: each.id for key, each in after.items()} == {
        key: each.id for key, each in before.items()
    }


@given(catalogs(), catalogs(), resources(), resources())
@slow
def test_a_rollback_brings_the_earlier_release_back(
    server: PrefectServer,
    first: list[Deployment],
    second: list[Deployment],
    declared: list[Any],
    other: list[Any],
) -> None:
    world = World(server)
    world.deploy(first, resources=declared)
    earlier, there = world.states(), world.resources()
    changed = world.deploy(second, prune_limit=100, resources=other)

    if not (earlier or there) or changed.release is None:
        return
    world.roll_back(changed.release.number - 1, prune_limit=100)

    def without_switches(states: dict[str, Any]) -> dict[str, Any]:
        return {
            key: {
                **state,
                "paused": None,
                "schedules": {
                    slug: {**schedule, "active": None}
                    for slug, schedule in state["schedules"].items()
                },
            }
            for key, state in states.items()
        }

    assert without_switches(world.states()) == without_switches(earlier)
    back = world.resources()
    assert {key: each.spec for key, each in back.items()} == {k: e.spec for k, e in there.items()}


@given(catalogs(max_size=2), catalogs(), resources())
@slow
def test_what_is_not_ours_is_not_touched(
    server: PrefectServer, theirs: list[Deployment], ours: list[Deployment], declared: list[Any]
) -> None:
    neighbour, world = World(server), World(server)
    neighbour.deploy(theirs, resources=declared)
    before = {key: each.row for key, each in neighbour.live().items()}
    there = neighbour.resources()

    world.deploy(ours, resources=declared)
    world.deploy([], prune_limit=100)

    assert (world.resources(), neighbour.resources()) == ({}, there)

    after = {key: each.row for key, each in neighbour.live().items()}
    # The scheduler and the workers change these fields.
    moving = ("status", "last_polled")
    assert {k: {f: v for f, v in r.items() if f not in moving} for k, r in after.items()} == {
        k: {f: v for f, v in r.items() if f not in moving} for k, r in before.items()
    }


def test_an_automation_that_was_switched_off_stays_off(server: PrefectServer) -> None:
    def catalog(description: str, enabled: bool = True) -> list[Deployment]:
        trigger = DeploymentEventTrigger(name="a trigger", expect={"a.b"}, enabled=enabled)
        return [Deployment(plain, "triggered", description=description, triggers=[trigger])]

    def automation(world: World) -> dict[str, Any]:
        (live,) = world.live().values()
        rows = world.automations()
        (found,) = [row for row in rows if row["actions"][0]["deployment_id"] == live.id]
        return found

    world = World(server)
    world.deploy(catalog("first"))
    identity = automation(world)["id"]
    world.call("PATCH", f"/automations/{identity}", {"enabled": False})
    assert world.plan(catalog("first")).empty

    world.deploy(catalog("second"))
    assert automation(world)["enabled"] is False

    # If the catalog's own value has changed since the last release, the catalog wins.
    world.deploy(catalog("third", enabled=False))
    world.deploy(catalog("third", enabled=True))
    assert automation(world)["enabled"] is True
