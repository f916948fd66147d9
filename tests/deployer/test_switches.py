"""Operators' switches are kept: during a deploy, after a failed one, and after a rename."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from deployer import Deployment, plan
from deployer.errors import DeployerError
from deployer.plan import value_to_restore
from deployer.server import Live
from deployer.transaction import spec_to_restore
from prefect.schedules import Schedule

from tests.deployer.sample_flows import anywhere, plain
from tests.deployer.world import World
from tests.support.server import PrefectServer


def every(slug: str, hour: int = 3) -> Schedule:
    """Return a daily schedule with this slug."""
    return Schedule(cron=f"0 {hour} * * *", slug=slug, timezone="UTC")


def entry(name: str, rows: int, *schedules: Schedule, **options: Any) -> Deployment:
    """Return an entry with a number that identifies its version."""
    return Deployment(anywhere, name, parameters={"rows": rows}, schedules=[*schedules], **options)


def of(world: World, name: str) -> Live:
    """Return the deployment whose name starts with this one."""
    (found,) = (each for key, each in world.live().items() if f"/{name}" in key)
    return found


def pause(world: World, live: Live) -> None:
    """Pause a deployment, as an operator does in the UI."""
    world.call("PATCH", f"/deployments/{live.id}", {"paused": True})


def switch_off(world: World, live: Live, slug: str) -> None:
    """Switch a schedule off, as an operator does in the UI."""
    (row,) = (row for row in live.row["schedules"] if row["slug"] == slug)
    path = f"/deployments/{live.id}/schedules/{row['id']}"
    world.call("PATCH", path, {"active": False})


def when(word: str, act: Callable[[], None]) -> Callable[[str], None]:
    """Return a progress callback that calls `act` once, at the first message with this word."""
    done: list[str] = []

    def say(message: str) -> None:
        if word in message and not done:
            done.append(message)
            act()

    return say


def test_a_pause_between_the_plan_and_the_write_stays(server: PrefectServer) -> None:
    world = World(server)
    world.deploy([entry("main", 1, every("six"))])

    live = of(world, "main")

    def act() -> None:
        pause(world, live)
        switch_off(world, live, "six")

    world.deploy([entry("main", 2, every("six"))], say=when("1/1", act))

    spec = of(world, "main").spec
    assert spec["parameters"] == {"rows": 2}
    assert spec["paused"]
    assert not spec["schedules"]["six"]["active"]


def test_a_pause_during_a_deploy_that_fails_stays(server: PrefectServer) -> None:
    world = World(server)
    world.deploy([entry("main", 1, every("six")), entry("other", 1)])
    bad = [entry("main", 2, every("six")), entry("other", 2, concurrency_limit=-1)]

    live = of(world, "main")

    def act() -> None:
        pause(world, live)
        switch_off(world, live, "six")

    with pytest.raises(DeployerError, match=r"edits that somebody made meanwhile stay .*main"):
        world.deploy(bad, say=when("2/2", act))

    spec = of(world, "main").spec
    assert spec["parameters"] == {"rows": 1}
    assert spec["paused"]
    assert not spec["schedules"]["six"]["active"]


def test_a_restore_takes_back_what_was_written_and_nothing_else() -> None:
    old: dict[str, Any] = {"a": 1, "b": {"x": 1, "gone": 1}, "c": 1}
    wrote = {"a": 2, "b": {"x": 2, "new": 2}, "c": 1}

    assert value_to_restore(old, wrote, wrote) == old
    assert value_to_restore(old, wrote, old) == old
    assert value_to_restore(old, wrote, {**wrote, "c": 9}) == {**old, "c": 9}
    assert value_to_restore(old, wrote, {**wrote, "a": 9}) == {**old, "a": 9}
    theirs = {**wrote, "b": {"x": 2, "new": 9, "theirs": 5}}
    assert value_to_restore(old, wrote, theirs) == {**old, "b": {**old["b"], "theirs": 5}}


def test_a_schedule_without_a_slug_is_recognised_when_it_is_there_again() -> None:
    old, again = [[str(UUID(int=10 * side + each)) for each in range(3)] for side in (1, 2)]
    early, late = {"cron": "0 1 * * *"}, {"cron": "0 2 * * *"}
    before = {"schedules": {"a": early, old[0]: early, old[1]: early}}
    written = {"schedules": {"a": late}}
    three = dict.fromkeys(again, early)  # one too many, because an answer was lost

    def restored(**schedules: Any) -> Any:
        same, spec = spec_to_restore(before, written, {"schedules": {"a": late, **schedules}})
        return same["schedules"] == spec["schedules"], spec["schedules"]

    assert restored() == (True, before["schedules"])
    assert restored(**{again[0]: early}) == (True, {"a": early, again[0]: early, old[1]: early})
    assert restored(**three) == (True, {"a": early, again[0]: early, again[1]: early})
    theirs = {again[0]: late}
    assert restored(**theirs) == (False, {**before["schedules"], **theirs})


def test_a_new_name_keeps_what_was_switched_off(server: PrefectServer) -> None:
    world = World(server)
    world.deploy([entry("old", 1, every("six")), Deployment(plain, "plain")])
    pause(world, of(world, "old"))
    switch_off(world, of(world, "old"), "six")

    world.deploy([entry("new", 1, every("six")), Deployment(plain, "plain")])

    spec = of(world, "new").spec
    assert spec["paused"]
    assert not spec["schedules"]["six"]["active"]
    assert not of(world, "plain").spec["paused"]
    assert world.plan([entry("new", 1, every("six")), Deployment(plain, "plain")]).empty


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([every("six")], [every("seven", hour=9)]),
        ([every("six"), every("nine", 9)], [every("nine late", 9), every("dawn", 6)]),
    ],
    ids=["the only one", "the one at the same time"],
)
def test_a_schedule_with_a_new_slug_stays_switched_off(
    server: PrefectServer, before: list[Schedule], after: list[Schedule]
) -> None:
    world = World(server)
    world.deploy([entry("main", 1, *before)])
    switch_off(world, of(world, "main"), str(before[-1].slug))

    world.deploy([entry("main", 1, *after)])

    schedules = of(world, "main").spec["schedules"]
    assert {slug: each["active"] for slug, each in schedules.items()} == {
        str(each.slug): number != 0 for number, each in enumerate(after)
    }


def test_a_plan_says_which_switch_would_be_lost(server: PrefectServer) -> None:
    world = World(server)
    world.deploy([entry("one", 1, every("six")), entry("two", 1), entry("stays", 1, every("six"))])
    pause(world, of(world, "one"))
    switch_off(world, of(world, "stays"), "six")
    new = [every("dawn", 5), every("dusk", 19)]
    made = world.plan([entry("three", 1), entry("four", 1), entry("stays", 1, *new)])

    suffix = world.environment.name_suffix
    one, stays = f"{anywhere.name}/one{suffix}", f"{anywhere.name}/stays{suffix}"
    three, four = f"{anywhere.name}/three{suffix}", f"{anywhere.name}/four{suffix}"
    assert set(made.notes) == {
        f"Of {one}, this deploy deletes what an operator switched off (the deployment), "
        f"and creates {four}, {three} with the switches that the catalog declares.",
        f"Of {stays}, this deploy deletes what an operator switched off (six), "
        "and creates dawn, dusk with the switches that the catalog declares.",
    }


def test_a_switch_that_the_catalog_declares_is_no_loss() -> None:
    spec = {"flow": "f", "paused": True, "schedules": {}, "triggers": {}, "parameters": {}}
    others = {"f/b": spec, "f/c": spec}

    assert plan.make(others, {"f/a": spec}, {"f/a": spec}).notes == ()
    assert plan.make(others, {"f/a": spec}, {"f/a": {**spec, "paused": False}}).notes != ()
