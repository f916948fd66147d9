"""Which deploy may come: in order, as approved, and not over a rollback that holds."""

from __future__ import annotations

import pytest
from deployer import Deployment
from deployer.errors import DeployerError

from tests.deployer.sample_flows import anywhere
from tests.deployer.world import World, requests, writes
from tests.support.server import PrefectServer


def rows(number: int) -> list[Deployment]:
    """Return a catalog whose parameter says which release it is of."""
    return [Deployment(anywhere, "main", parameters={"rows": number})]


def deployed(world: World) -> int:
    """Return the parameter of what is deployed."""
    (spec,) = world.states().values()
    return int(spec["parameters"]["rows"])


def test_an_older_run_is_refused_after_a_newer_one_that_changed_nothing(
    server: PrefectServer,
) -> None:
    world = World(server)
    world.deploy(rows(1), order=99)
    world.deploy(rows(1), order=101)

    with pytest.raises(DeployerError, match=r"Run 100 is older than run 101.*rollback\.yml"):
        world.deploy(rows(2), order=100)

    assert deployed(world) == 1
    assert world.releases() == [1]


def test_a_run_that_changes_nothing_writes_no_deployment_to_be_remembered(
    server: PrefectServer,
) -> None:
    world = World(server)
    world.deploy(rows(1), order=1)
    before = world.live()

    with requests() as sent:
        world.deploy(rows(1), order=2)
    with requests() as again:
        world.deploy(rows(1), order=2)
        world.deploy(rows(1), order=1)
        world.deploy(rows(1))

    assert {each.split("/")[2] for each in writes(sent)} == {"variables"}
    assert writes(again) == []
    assert world.live() == before


def test_a_rollback_holds_until_somebody_resumes(server: PrefectServer) -> None:
    world = World(server)
    for number in (1, 2):
        world.deploy(rows(number), order=number, commit=f"{number}" * 40)
    held = world.roll_back(1, who="ada")

    assert held.hold
    assert str(held.hold).startswith(
        "is held at release 1: ada rolled back from release 2 (commit 22222222) at 20"
    )
    with pytest.raises(DeployerError, match=r"is held at release 1.*deploy with --resume"):
        world.deploy(rows(2), order=3)
    assert deployed(world) == 1
    still = world.deploy(rows(1), order=4)
    assert still.hold == held.hold

    resumed = world.deploy(rows(3), order=5, resume=True)

    assert resumed.hold is None
    assert deployed(world) == 3
    assert world.deploy(rows(4)).hold is None


def test_a_second_rollback_is_not_refused_and_still_names_what_was_bad_first(
    server: PrefectServer,
) -> None:
    world = World(server)
    for number in (1, 2, 3):
        world.deploy(rows(number))
    world.roll_back(2)

    again = world.roll_back(1)

    assert again.hold
    assert (again.hold.release, again.hold.bad) == (1, 3)
    assert deployed(world) == 1


def test_a_rollback_to_what_is_deployed_holds_it(server: PrefectServer) -> None:
    world = World(server)
    world.deploy(rows(1))

    held = world.roll_back(1)

    assert held.plan.empty
    assert held.hold
    assert (held.hold.release, held.hold.bad) == (1, None)
    with pytest.raises(DeployerError, match="is held at release 1"):
        world.deploy(rows(2))


def test_a_rollback_holds_nothing_if_that_is_asked_for(server: PrefectServer) -> None:
    world = World(server)
    for number in (1, 2):
        world.deploy(rows(number))

    world.roll_back(1, hold=False)
    world.deploy(rows(2))

    assert deployed(world) == 2


def test_what_is_destroyed_is_held_no_longer(server: PrefectServer) -> None:
    world = World(server)
    world.deploy(rows(1))
    world.roll_back(1)

    world.destroy()

    assert world.deploy(rows(2)).hold is None


def test_only_the_plan_that_was_approved_is_carried_out(server: PrefectServer) -> None:
    world = World(server)
    world.deploy(rows(1))
    approved = world.plan(rows(2)).hash
    world.deploy(rows(3))

    with pytest.raises(DeployerError, match=f"The plan {approved} was approved, but the plan is"):
        world.deploy(rows(2), expect_plan=approved)
    assert deployed(world) == 3
    world.deploy(rows(2), expect_plan=world.plan(rows(2)).hash)

    assert deployed(world) == 2


def test_an_approved_plan_that_somebody_else_carried_out_is_nothing_to_do(
    server: PrefectServer,
) -> None:
    world = World(server)
    approved = world.plan(rows(1)).hash
    world.deploy(rows(1))

    assert world.deploy(rows(1), expect_plan=approved).plan.empty


def test_the_hash_of_a_plan_tells_one_image_from_another_and_not_one_switch_from_another(
    server: PrefectServer,
) -> None:
    world = World(server)

    def planned(image: str) -> str:
        return world.plan([Deployment(anywhere, "main", job_variables={"label": image})]).hash

    new = planned("a"), planned("b")
    assert new[0] != new[1]
    world.deploy(rows(1))
    changed = planned("a"), planned("b")
    assert len({*changed, *new}) == 4
    (live,) = world.live().values()
    world.call("PATCH", f"/deployments/{live.id}", {"paused": True})
    assert (planned("a"), planned("b")) == changed
