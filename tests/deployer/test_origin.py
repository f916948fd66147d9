"""Two repositories with the same project name on one server do not touch each other."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from deployer import destroy, guards, plan
from deployer.catalog import Deployment
from deployer.errors import DeployerError
from deployer.project import FILE

from tests.baking import Project
from tests.deployer.conftest import DeployerProject
from tests.deployer.sample_flows import anywhere, plain
from tests.deployer.world import World
from tests.support.server import PrefectServer

OURS, THEIRS = "aaaa11112222", "bbbb33334444"
THREE = [Deployment(plain, name) for name in ("a", "b", "c")]


def of_origin(world: World, origin: str | None, **settings: Any) -> World:
    """Return a world with the same project and environment, but another origin."""
    other = World.of(world.server, world.number)
    other.environment = replace(world.environment, origin=origin, **settings)
    return other


def test_two_repositories_of_one_name_leave_each_other_alone(server: PrefectServer) -> None:
    ours = World(server, origin=OURS)
    theirs = of_origin(ours, THEIRS)
    ours.deploy(THREE, order=9)
    before = ours.states()
    assert {f"origin:{OURS}"} <= {tag for each in before.values() for tag in each["tags"]}

    done = theirs.deploy([Deployment(anywhere, "other")], order=1)

    assert done.plan.counts == {"create": 1, "update": 0, "delete": 0, "unchanged": 0}
    assert (ours.releases(), theirs.releases()) == ([1], [1])
    theirs.roll_back(1)
    assert ours.deploy(THREE).hold is None
    theirs.destroy()
    assert ours.states() == before
    assert (ours.releases(), theirs.releases()) == ([1], [])


def test_what_this_projects_other_environment_has_is_refused_with_its_name(
    server: PrefectServer,
) -> None:
    ours = World(server, origin=OURS)
    other = of_origin(ours, OURS, name="elsewhere")
    ours.deploy(THREE[:1])
    before = ours.states()

    with pytest.raises(DeployerError) as refused:
        other.deploy(THREE[:1])

    where = f"is deployed already, in this project's environment {ours.environment.name}: "
    assert f"{ours.key(THREE[0])} {where}give one of the two" in str(refused.value)
    assert ours.states() == before


def test_previews_of_another_repository_are_not_left_over(server: PrefectServer) -> None:
    ours = World(server, origin=OURS, name="preview-pr-1", label="pr-1")
    theirs = of_origin(ours, THEIRS)
    ours.deploy(THREE)

    def labels(world: World) -> list[str]:
        return world.run(lambda to: destroy.labels(to, world.environment))

    assert (labels(ours), labels(theirs)) == (["pr-1"], [])


def test_another_repositorys_deployment_is_named_in_the_plan_and_taken_over_only_if_asked(
    server: PrefectServer,
) -> None:
    ours = World(server, origin=OURS)
    theirs = of_origin(ours, THEIRS)
    ours.deploy(THREE, run_url="https://github.com/acme/flows/actions/runs/7")
    before = ours.states()
    said = f"{ours.key(THREE[0])} exists already and is not this project's (its origin is {OURS} "
    said += f"of https://github.com/acme/flows, and here it is {THEIRS}): rename the entry, or "
    said += "take it over with --adopt."

    assert theirs.plan(THREE[:1]).notes == (said,)
    with pytest.raises(DeployerError) as refused:
        theirs.deploy(THREE[:1])
    assert refused.value.problems == (said,)
    assert ours.states() == before

    theirs.deploy(THREE[:1], adopt=True)

    assert set(theirs.states()) == {ours.key(THREE[0])}
    assert set(ours.states()) == {ours.key(each) for each in THREE[1:]}
    with pytest.raises(DeployerError, match=f"its origin is {THEIRS}, and here it is {OURS}"):
        ours.deploy(THREE)


def test_what_was_deployed_before_there_were_origins_stays_ours(server: PrefectServer) -> None:
    old = World(server)
    old.deploy(THREE, order=7)
    old.deploy(THREE[:2], order=8)
    held = old.roll_back(1).hold
    assert held
    new = of_origin(old, OURS)
    first = new.live()[new.key(THREE[0])]

    with pytest.raises(DeployerError, match="Run 7 is older than run 8"):
        new.deploy(THREE[:2], order=7)
    with pytest.raises(DeployerError, match="is held at release 1"):
        new.deploy(THREE[:2])
    done = new.deploy(THREE[:2], resume=True)

    assert done.plan.counts == {"create": 0, "update": 2, "delete": 1, "unchanged": 0}
    assert done.plan.notes == ()
    assert new.releases() == [4, 3, 2, 1]
    assert first.id in {each.id for each in new.live().values()}
    assert new.deploy(THREE[:2]).hold is None
    assert new.roll_back(1).release, "an older record can be put back"
    new.destroy()
    assert (new.releases(), old.releases()) == ([], [])


def test_a_project_without_an_origin_leaves_alone_what_has_one(server: PrefectServer) -> None:
    ours = World(server, origin=OURS)
    nobody = of_origin(ours, None)
    ours.deploy(THREE)
    before = ours.states()

    nobody.deploy([Deployment(anywhere, "other")])
    with pytest.raises(DeployerError, match=f"its origin is {OURS}, and here there is none"):
        nobody.deploy(THREE[:1])

    now = ours.states()
    assert {key: now[key] for key in before} == before


def test_a_tag_that_somebody_added_in_the_ui_takes_nothing_away(server: PrefectServer) -> None:
    ours = World(server, origin=OURS)
    ours.deploy(THREE)
    for live in ours.live().values():
        tags = [*live.spec["tags"], "origin:crm"]
        ours.call("PATCH", f"/deployments/{live.id}", {"tags": tags})

    assert ours.plan(THREE).counts["update"] == 3


def test_a_rename_is_one_of_the_same_flow_of_the_same_origin() -> None:
    def spec(name: str, *tags: str) -> dict[str, object]:
        rest = {"job_variables": {}, "paused": False, "schedules": {}, "triggers": {}}
        return {"flow": "f", "name": name, "tags": [*tags], **rest}

    for origin, is_renamed in ((OURS, True), (THEIRS, False)):
        live = {f"f/{n}": spec(str(n), f"origin:{origin}") for n in range(5)}
        declared = {f"f/new-{n}": spec(f"new-{n}", f"origin:{OURS}") for n in range(5)}
        made = plan.make(declared, live)
        if is_renamed:
            guards.refuse_mass_deletion(made, 50)
        else:
            with pytest.raises(DeployerError, match="would delete 5 of 5 deployments"):
                guards.refuse_mass_deletion(made, 50)


def test_two_projects_made_with_the_default_answers_do_not_harm_each_other(
    template_twice: tuple[DeployerProject, DeployerProject],
) -> None:
    first, second = template_twice
    origins = [tomllib.loads(each.project.read(FILE))["origin"] for each in template_twice]
    assert len({*origins}) == 2
    assert first.deployer("setup", "local").returncode == 0
    # --adopt: projects of other tests may have left such deployments on this server.
    done = first.deployer("deploy", "local", "--no-verify", "--adopt")
    assert done.returncode == 0, done.stderr
    where = {"deployments": {"tags": {"all_": [f"origin:{origins[0]}"]}}}
    before = first.server.request("POST", "/deployments/filter", where)
    assert len(before) == 3

    plan = second.deployer("plan", "local")
    refused = second.deployer("deploy", "local", "--no-verify")

    assert "3 to add, 0 to change, 0 to delete" in plan.stdout
    assert plan.stdout.count(f"its origin is {origins[0]}, and here it is {origins[1]}") == 3
    assert refused.returncode == 1
    assert refused.stderr.count("exists already and is not this project's") == 3
    assert first.server.request("POST", "/deployments/filter", where) == before
    count = "from tools import records; print(len([*records.recorded('local')]))"
    found = [
        each.project.run("python", "-c", count, env=each.server.env).stdout.strip()
        for each in template_twice
    ]
    assert found == ["1", "0"]
    first.deployer("destroy", "local", "--yes")


@pytest.fixture
def template_twice(
    bake: Callable[..., Project], tmp_path: Path, server: PrefectServer
) -> tuple[DeployerProject, DeployerProject]:
    """Two projects with the same answers, on one server."""
    made = []
    for name in ("first", "second"):
        path = bake().path
        made.append(DeployerProject(Project(path.rename(tmp_path / name)), server))
    return made[0], made[1]
