"""Automations of deployments: compared, kept, and deleted with their deployment."""

from __future__ import annotations

from typing import Any

import pytest
from deployer import spec as specs
from deployer.catalog import Deployment
from deployer.errors import DeployerError
from deployer.transaction import switched_off
from prefect.events import DeploymentEventTrigger

from tests.deployer.sample_flows import anything, plain
from tests.deployer.world import World
from tests.support.server import PrefectServer


def triggered(name: str, **options: Any) -> Deployment:
    """Return an entry with a trigger for several events."""
    trigger = DeploymentEventTrigger(
        name="a trigger", expect={"b", "a", "c", "e", "d"}, for_each={"y", "x", "z"}
    )
    return Deployment(plain, name, triggers=[trigger], **options)


def automations(world: World, *deployments: str) -> set[str]:
    """Return those of the given deployments that an automation starts."""
    return {row["actions"][0]["deployment_id"] for row in world.automations()} & {*deployments}


def test_the_order_of_a_set_is_no_difference(server: PrefectServer) -> None:
    world = World(server)
    world.deploy([triggered("main")])

    assert world.plan([triggered("main")]).empty
    (state,) = world.states().values()
    # Sorted, because sets have another order in another process.
    (automation,) = state["triggers"].values()
    assert automation["trigger"]["expect"] == ["a", "b", "c", "d", "e"]
    assert automation["trigger"]["for_each"] == ["x", "y", "z"]


def test_what_a_trigger_hands_on_is_compared_and_brought_back_whatever_its_name(
    server: PrefectServer,
) -> None:
    world = World(server)

    def catalog(value: str) -> list[Deployment]:
        given = {"id": value, "expect": value, "updated": [value, "a"]}
        trigger = DeploymentEventTrigger(name="a trigger", expect={"a"}, parameters=given)
        return [Deployment(anything, "main", triggers=[trigger])]

    def parameters() -> Any:
        (state,) = world.states().values()
        return state["triggers"]["a trigger"]["actions"][0]["parameters"]

    world.deploy(catalog("x"))
    first = parameters()
    assert not world.plan(catalog("y")).empty
    world.deploy(catalog("y"))
    world.roll_back(1)

    assert parameters() == first == {"id": "x", "expect": "x", "updated": ["x", "a"]}


def test_automations_go_with_their_deployment(server: PrefectServer) -> None:
    world = World(server)
    world.deploy([triggered("one"), triggered("two"), triggered("three")])
    ids = [each.id for each in world.live().values()]
    assert automations(world, *ids) == {*ids}

    world.deploy([triggered("one"), Deployment(plain, "two")])
    (kept,) = automations(world, *ids)
    assert kept == world.live()[world.key(triggered("one"))].id
    world.destroy()

    assert automations(world, *ids) == set()


def test_a_deploy_that_is_refused_leaves_no_automation_behind(server: PrefectServer) -> None:
    world = World(server)
    before = world.call("POST", "/automations/count")
    refused = Deployment(plain, "refused", job_variables={"stream_output": "perhaps"})

    with pytest.raises(DeployerError, match="refused"):
        world.deploy([triggered("new"), refused])

    assert world.states() == {}
    assert world.call("POST", "/automations/count") == before


def test_what_leaves_is_started_by_no_event_while_the_rest_is_verified(
    server: PrefectServer,
) -> None:
    world = World(server)
    entry = triggered("leaves")

    off = switched_off(specs.declared(entry, world.environment))

    assert [each["enabled"] for each in off["triggers"].values()] == [False]


def automation_of(world: World) -> dict[str, Any]:
    """Return the sent fields and the id of the only deployment's only automation."""
    (live,) = world.live().values()
    rows = world.automations()
    (row,) = [row for row in rows if row["actions"][0]["deployment_id"] == live.id]
    return {name: row[name] for name in ("id", "name", "enabled", "trigger", "actions")}


def test_an_operator_s_copy_of_an_automation_stays_and_stops_no_deploy(
    server: PrefectServer,
) -> None:
    world = World(server)
    world.deploy([triggered("main")])
    body = {key: value for key, value in automation_of(world).items() if key != "id"}
    copy = world.call("POST", "/automations/", body)["id"]

    assert world.plan([triggered("main")]).empty
    world.deploy([triggered("main", description="changed")])

    assert world.call("GET", f"/automations/{copy}")["name"] == "a trigger"


def test_an_automation_that_starts_a_deployment_twice_is_one(server: PrefectServer) -> None:
    world = World(server)
    world.deploy([triggered("main")])
    body = automation_of(world)
    path = f"/automations/{body.pop('id')}"
    world.call("PUT", path, {**body, "actions": body["actions"] * 2})

    (live,) = world.live().values()

    assert live.automations == ("a trigger",)
    assert len(live.spec["triggers"]["a trigger"]["actions"]) == 2
