"""Variables, concurrency limits, automations and the work pool, deployed with the deployments."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from deployer import Deployment
from deployer.check.resources import check
from deployer.cli import render
from deployer.destroy import destroy
from deployer.errors import DeployerError
from deployer.plan import Change, Plan
from deployer.resource_plan import changes
from deployer.resources import Found, declared
from deployer.rules import variable_problems
from prefect.automations import Automation, CompoundTrigger, EventTrigger, Posture
from prefect.client.schemas.actions import ConcurrencyLimitCreate, GlobalConcurrencyLimitCreate
from prefect.events.actions import DoNothing, RunDeployment, SuspendFlowRun
from prefect.variables import Variable

from tests.deployer.conftest import DeployerProject
from tests.deployer.sample_flows import plain
from tests.deployer.world import World, quiet, requests, writes
from tests.support.proxy import Proxy
from tests.support.server import PrefectServer

MAIN = [Deployment(plain, "main")]
REFUSED = Deployment(plain, "refused", job_variables={"stream_output": "perhaps"})
NAMES = [
    "variable/regions",
    "concurrency-limit/warehouse",
    "concurrency-limit/tag:database",
    "automation/watch",
]


def resources(number: int) -> list[Any]:
    """Return one resource of each kind, with this number as content."""
    event = EventTrigger(
        expect={"d", "c", "b", "a"},
        after={"y", "x", "z"},
        match={"prefect.resource.id": "prefect.flow-run.*"},
        posture=Posture.Reactive,
        threshold=number,
        within=timedelta(seconds=10),
    )
    silence = EventTrigger(
        expect={"heartbeat"}, posture=Posture.Proactive, within=timedelta(minutes=5)
    )
    return [
        Variable(name="regions", value={"first": number, "rest": [True, None]}, tags=["theirs"]),
        GlobalConcurrencyLimitCreate(name="warehouse", limit=number, slot_decay_per_second=0.5),
        ConcurrencyLimitCreate(tag="database", concurrency_limit=number),
        Automation(
            name="watch",
            trigger=CompoundTrigger(
                triggers=[event, silence], require="any", within=timedelta(minutes=1)
            ),
            actions=[
                DoNothing(),
                RunDeployment.model_validate({"source": "inferred", "parameters": {"id": number}}),
            ],
            actions_on_resolve=[SuspendFlowRun()],
        ),
    ]


def keys(world: World) -> list[str]:
    """Return the keys of a world's resources, in their order."""
    return [each + world.environment.name_suffix for each in NAMES]


def specs(world: World) -> dict[str, Any]:
    """Return the specs of a world's resources."""
    return {key: each.spec for key, each in world.resources().items()}


def actions(plan: Plan) -> dict[str, str]:
    """Return a plan's action for each resource."""
    return {each.key: each.action for each in plan.resources}


def row(world: World, key: str) -> dict[str, Any]:
    """Return a resource's row on the server, regardless of its owner."""
    word, _, name = key.partition("/")
    path = {"variable": "variables", "automation": "automations"}.get(word)
    rows = world.call("POST", f"/{path or 'v2/concurrency_limits'}/filter", {"limit": 200})
    (found,) = [each for each in rows if each["name"] == name]
    return dict(found)


def edit(world: World, key: str, body: dict[str, Any]) -> None:
    """Change a resource, as a person does in the UI."""
    found, word = row(world, key), key.partition("/")[0]
    if word == "variable":
        world.call("PATCH", f"/variables/{found['id']}", body)
    elif word == "automation":
        world.call("PATCH", f"/automations/{found['id']}", body)
    else:
        world.call("PATCH", f"/v2/concurrency_limits/{found['id']}", body)


def test_each_kind_is_created_changed_left_alone_and_deleted_by_a_deploy(
    server: PrefectServer,
) -> None:
    world = World(server)
    variable, limit, tag, automation = keys(world)

    world.deploy(MAIN, resources=resources(1))

    made = {key: row(world, key) for key in keys(world)}
    assert made[variable]["value"] == {"first": 1, "rest": [True, None]}
    assert {*made[variable]["tags"]} == {"theirs", *world.environment.tags}
    assert (made[limit]["limit"], made[limit]["slot_decay_per_second"]) == (1, 0.5)
    assert (made[tag]["limit"], made[tag]["active"]) == (1, True)
    assert made[automation]["trigger"]["triggers"][0]["threshold"] == 1
    assert {*made[automation]["tags"]} == {*world.environment.tags}

    with requests() as sent:
        again = world.deploy(MAIN, resources=resources(1))
    assert again.plan.empty
    assert actions(again.plan) == dict.fromkeys(keys(world), "unchanged")
    assert (bool(sent), writes(sent)) == (True, [])

    changed = world.deploy(MAIN, resources=resources(2)).plan
    assert actions(changed) == dict.fromkeys(keys(world), "update")
    fields = {each.key: {*each.fields} for each in changed.resources}
    assert fields[variable] == {"value.first"}
    assert fields[limit] == fields[tag] == {"limit"}
    assert {key: row(world, key)["id"] for key in made} == {k: v["id"] for k, v in made.items()}
    assert world.plan(MAIN, resources(2)).empty

    gone = world.deploy(MAIN).plan
    assert actions(gone) == dict.fromkeys(keys(world), "delete")
    assert (specs(world), world.plan(MAIN).resources) == ({}, ())


def test_who_has_no_resources_pays_no_request_for_them(server: PrefectServer) -> None:
    world = World(server)
    world.deploy(MAIN)

    with requests() as without:
        world.plan(MAIN)
    with requests() as with_them:
        world.plan(MAIN, resources(1))

    more = Counter(each.rpartition("/api")[2] for each in with_them)
    more -= Counter(each.rpartition("/api")[2] for each in without)
    ours = "deployer-limits"  # the Variable that lists our limits
    assert sorted(ours if ours in each else each for each in more.elements()) == [
        "/automations/filter",
        "/v2/concurrency_limits/filter",
        "/variables/filter",
        ours,
    ]


def test_a_deploy_that_fails_puts_back_every_kind(server: PrefectServer) -> None:
    world = World(server)
    first = [*resources(1), Variable(name="leaves", value="old")]
    world.deploy(MAIN, resources=first)
    before = specs(world)
    second = [*resources(2), Variable(name="comes", value="new")]

    with pytest.raises(DeployerError, match="put back automation/watch") as told:
        world.deploy([*MAIN, REFUSED], resources=second)

    assert "refused" in str(told.value)
    assert specs(world) == before


def test_what_was_deleted_comes_back_if_the_release_cannot_be_recorded(
    server: PrefectServer,
) -> None:
    world = World(server)
    world.deploy(MAIN, resources=resources(1))
    before = specs(world)
    with Proxy(server.api_url, "500", 1, path="/artifacts/") as proxy:
        world.api_url = proxy.api_url
        with pytest.raises(DeployerError, match="answers 500 to POST /api/artifacts/"):
            world.deploy(MAIN)
    world.api_url = server.api_url

    assert [each for each in proxy.writes if each.startswith("DELETE /api/v2/concurrency_limits")]
    assert specs(world) == before


def test_an_edit_made_during_a_deploy_that_fails_stays(server: PrefectServer) -> None:
    world = World(server)
    variable, *_ = keys(world)
    world.deploy(MAIN, resources=resources(1))

    def say(message: str) -> None:
        if message.startswith("1/"):  # the deployments are written
            edit(world, variable, {"value": {"first": 2, "rest": "by hand"}})

    with pytest.raises(DeployerError, match=f"edits that somebody made .* stay .{variable}"):
        world.deploy([REFUSED, *MAIN], say=say, resources=resources(2))

    assert row(world, variable)["value"] == {"first": 1, "rest": "by hand"}


def test_a_rollback_brings_earlier_resources_back(server: PrefectServer) -> None:
    world = World(server)
    first = [*resources(1), Variable(name="leaves", value="old")]
    world.deploy(MAIN, resources=first)
    earlier = specs(world)
    world.deploy(MAIN, resources=[*resources(2), Variable(name="comes", value="new")])

    back = world.roll_back(1)

    assert back.release
    assert back.release.resources.keys() == earlier.keys()
    assert specs(world) == earlier
    assert world.plan(MAIN, first).empty


def theirs(world: World, number: int) -> None:
    """Create resources of the same names that do not belong to this project."""
    suffix = world.environment.name_suffix
    limit = {"limit": number, "slot_decay_per_second": 0.5}
    world.call("POST", "/variables/", {"name": f"regions{suffix}", "value": "theirs"})
    for name in ("warehouse", "tag:database"):
        body = {"name": f"{name}{suffix}", **limit}
        world.call("POST", "/v2/concurrency_limits/", body)
    trigger = {"type": "event", "posture": "Reactive", "expect": ["x"], "threshold": 1, "within": 0}
    body = {"name": f"watch{suffix}", "trigger": trigger, "actions": [{"type": "do-nothing"}]}
    world.call("POST", "/automations/", body)


def test_what_is_not_ours_is_named_refused_and_taken_over_with_adopt(
    server: PrefectServer,
) -> None:
    world = World(server)
    theirs(world, 7)
    before = {key: row(world, key) for key in keys(world)}

    planned = world.plan(MAIN, resources(1))
    assert len([note for note in planned.notes if "and is not this project's" in note]) == 4
    with pytest.raises(DeployerError) as refused:
        world.deploy(MAIN, resources=resources(1))
    assert refused.value.problems == planned.notes
    assert {key: row(world, key) for key in keys(world)} == before
    assert world.states() == {}

    with pytest.raises(DeployerError, match="refused"):
        world.deploy([*MAIN, REFUSED], resources=resources(1), adopt=True)
    assert specs(world) == {}, "adopted resources do not belong to us after a failed deploy"
    assert row(world, keys(world)[0])["value"] == "theirs"
    assert row(world, keys(world)[1])["limit"] == 7

    world.deploy(MAIN, resources=resources(1), adopt=True)
    assert {key: row(world, key)["id"] for key in keys(world)} == {
        key: each["id"] for key, each in before.items()
    }
    assert specs(world).keys() == {*keys(world)}
    assert world.plan(MAIN, resources(1)).empty


def test_what_somebody_makes_while_a_deploy_waits_is_not_taken_over(server: PrefectServer) -> None:
    world = World(server)
    with Proxy(server.api_url, k=1, then=lambda: theirs(world, 7)) as proxy:  # after the plan
        world.api_url = proxy.api_url
        with pytest.raises(DeployerError, match=f"created {keys(world)[0]} meanwhile: deploy"):
            world.deploy(MAIN, resources=resources(1))
    world.api_url = server.api_url

    assert row(world, keys(world)[0])["value"] == "theirs"
    assert world.states() == {}


def test_a_limit_of_others_that_is_as_declared_is_not_deleted_when_it_leaves(
    server: PrefectServer,
) -> None:
    world = World(server)
    theirs(world, 7)
    limit = GlobalConcurrencyLimitCreate(name="warehouse", limit=7, slot_decay_per_second=0.5)

    world.deploy(MAIN, resources=[limit])
    world.deploy([Deployment(plain, "main", description="without it")])

    assert row(world, keys(world)[1])["limit"] == 7
    with pytest.raises(DeployerError, match="not this project's"):
        world.deploy(MAIN, resources=[limit.model_copy(update={"limit": 8})])


def test_drift_is_undone_but_an_operator_s_switch_stays(server: PrefectServer) -> None:
    world = World(server)
    variable, limit, tag, automation = keys(world)
    world.deploy(MAIN, resources=resources(1))
    edit(world, variable, {"value": "by hand"})
    edit(world, limit, {"active": False, "limit": 9})
    edit(world, tag, {"active": False})
    edit(world, automation, {"enabled": False})

    planned = world.plan(MAIN, resources(1))
    assert {each.key: {*each.fields} for each in planned.resources if each.fields} == {
        variable: {"value"},
        limit: {"limit"},
    }
    world.deploy(MAIN, resources=resources(2))

    assert specs(world)[variable]["value"]["first"] == 2
    assert [specs(world)[key]["active"] for key in (limit, tag)] == [False, False]
    assert specs(world)[automation]["enabled"] is False


def test_a_switch_used_while_a_deploy_waits_stays(server: PrefectServer) -> None:
    world = World(server)
    world.deploy(MAIN, resources=resources(1))
    automation = keys(world)[-1]

    def say(message: str) -> None:
        if message == keys(world)[0]:  # before anything is written
            edit(world, automation, {"enabled": False})

    with Proxy(server.api_url) as proxy:  # everything is read after the first write, the lock
        proxy.then, proxy.k = lambda: edit(world, automation, {"enabled": False}), 1
        world.api_url = proxy.api_url
        world.deploy(MAIN, say=say, resources=resources(2))
    world.api_url = server.api_url

    assert specs(world)[automation]["enabled"] is False


def test_an_automation_whose_creation_gets_no_answer_is_one(server: PrefectServer) -> None:
    world = World(server)
    with Proxy(server.api_url, "cut", 1, path="/automations/") as proxy:
        world.api_url = proxy.api_url
        world.deploy(MAIN, resources=resources(1))

    assert proxy.writes.count("POST /api/automations/") == 2
    assert row(world, keys(world)[-1])


def test_an_automation_that_a_restore_creates_without_an_answer_is_one(
    server: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(server)
    world.deploy(MAIN, resources=resources(1))
    key = keys(world)[-1]
    body = {"name": row(world, key)["name"], **specs(world)[key]}
    monkeypatch.setenv("PREFECT_CLIENT_MAX_RETRIES", "0")

    def say(message: str) -> None:
        if message.startswith("recording"):
            raise DeployerError("The test fails here.")

    def send_before() -> None:  # as if both tries had arrived, but no answer came back
        world.call("POST", "/automations/", body)

    with Proxy(server.api_url, "cut", 2, then=send_before, path="/automations/") as proxy:
        world.api_url = proxy.api_url
        with pytest.raises(DeployerError, match=f"before the deploy: put back {key}"):
            world.deploy(MAIN, resources=resources(1)[:-1], say=say)
    world.api_url = server.api_url

    assert len(world.resources()[key].ids) == 1
    assert row(world, key)["trigger"]["triggers"][0]["threshold"] == 1


def test_only_takes_the_keys_of_resources_too(server: PrefectServer) -> None:
    world = World(server)
    world.deploy(MAIN, resources=resources(1))
    variable, *others = keys(world)

    only = world.deploy(
        [Deployment(plain, "main", description="new")],
        resources=resources(2),
        only="variable/*",
    )

    assert [each.key for each in only.plan.everything] == [variable]
    assert only.release
    assert {key: each.get("limit") for key, each in only.release.resources.items()} == {
        variable: None,
        **dict.fromkeys(others[:2], 1),
        others[2]: None,
    }
    assert specs(world)[variable]["value"]["first"] == 2
    assert specs(world)[others[0]]["limit"] == 1


def test_more_than_half_of_the_resources_are_deleted_only_if_that_is_meant(
    server: PrefectServer,
) -> None:
    world = World(server)
    world.deploy(MAIN, resources=[*resources(1), Variable(name="more", value=1)])

    with pytest.raises(DeployerError, match="This would delete 5 of 5 resources, more than the 50"):
        world.deploy(MAIN)
    assert len(specs(world)) == 5

    world.deploy(MAIN, resources=resources(1))
    assert len(specs(world)) == 4


def test_destroy_deletes_what_is_ours_of_every_kind_and_no_more(server: PrefectServer) -> None:
    world, neighbour = World(server), World(server)
    for each in (world, neighbour):
        each.deploy(MAIN, resources=resources(1))

    gone = world.run(lambda there: destroy(there, world.environment, "a test", 60, quiet))

    assert {f"deleted {key}" for key in keys(world)} < {*gone}
    assert (specs(world), len(specs(neighbour))) == ({}, 4)
    ledgers = [each["name"] for each in world.call("POST", "/variables/filter", {})]
    assert f"deployer-limits-{world.environment.key}" not in ledgers


def test_the_work_pool_and_its_queue_are_kept_as_declared(server: PrefectServer) -> None:
    made = World(server)
    pool = f"pool {made.number}"
    settings = {"work_pool": pool, "work_queue": "fast"}
    world = World(server, **settings, work_pool_concurrency_limit=3, work_queue_priority=1)
    key = f"work-pool/{pool}"
    world.deploy(MAIN)
    assert world.plan(MAIN).empty

    world.environment = replace(
        world.environment, work_pool_concurrency_limit=5, work_queue_concurrency_limit=2
    )
    planned = world.plan(MAIN)
    (change,) = planned.resources
    assert (change.key, change.action) == (key, "update")
    assert change.fields == {
        "concurrency_limit": (3, 5),
        "work_queues.fast.concurrency_limit": (None, 2),
    }
    with pytest.raises(DeployerError, match=f"put back {key}"):
        world.deploy([*MAIN, REFUSED])
    assert world.plan(MAIN) == planned

    world.deploy(MAIN)
    found = world.call("GET", f"/work_pools/{pool}".replace(" ", "%20"))
    assert found["concurrency_limit"] == 5
    world.roll_back(1)
    # The first release did not declare the pool's limit, so the rollback leaves it.
    assert world.plan(MAIN).resources[0].fields == {"concurrency_limit": (3, 5)}

    world.environment = replace(
        world.environment,
        work_pool_concurrency_limit=None,
        work_queue_priority=None,
        work_queue_concurrency_limit=None,
    )
    assert world.deploy(MAIN, resume=True).plan.resources == ()
    world.destroy()
    assert world.call("GET", f"/work_pools/{pool}".replace(" ", "%20"))


RESOURCES = """
from prefect.client.schemas.actions import ConcurrencyLimitCreate
from prefect.variables import Variable

RESOURCES = [
    Variable(name="regions", value=["eu"]),
    ConcurrencyLimitCreate(tag="warehouse-api", concurrency_limit=5),
]
"""


def test_a_project_declares_resources_in_its_catalog_and_values_in_an_environment(
    project: DeployerProject,
) -> None:
    file = "deployments/environments.toml"
    catalog = (project.path / "deployments/catalog.py").read_text()
    project.write("deployments/catalog.py", catalog + RESOURCES)
    declared = (project.path / file).read_text()
    local = '[local]\nname_suffix = "-in-a-project"\nvariables = { regions = ["moon"] }\n'
    project.write(file, declared.replace("[local]\n", local))
    project.deployer("setup", "local")

    done = project.deployer("deploy", "local", "--no-verify")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        "+ variable/regions-in-a-project\n"
        "+ concurrency-limit/tag:warehouse-api-in-a-project\n"
        "+ basic-data-flow/hourly-in-a-project\n"
    )
    body = {"variables": {"name": {"any_": ["regions-in-a-project"]}}}
    (made,) = project.server.request("POST", "/variables/filter", body)
    assert made["value"] == ["moon"]
    again = project.deployer("plan", "local", "--detailed-exitcode")
    assert (again.returncode, "5 unchanged" in again.stdout) == (0, True)

    wrong = catalog.replace("CATALOG = [", "CATALOG = [7,") + RESOURCES.replace(
        "regions", "API_KEY"
    )
    project.write("deployments/catalog.py", wrong)
    project.write(file, declared.replace("[local]\n", '[local]\nname_suffix = " A"\n'))
    refused = project.deployer("check")
    assert refused.returncode == 1
    assert "entry 1 of CATALOG is 7" in refused.stderr
    assert "variable/API_KEY: the Variable's name 'API_KEY' has to be" in refused.stderr

    project.write("deployments/catalog.py", catalog + RESOURCES)
    refused = project.deployer("check")
    assert "In local the Variable's name 'regions A' has to be up to 255 of a-z" in refused.stderr


# Without a server


def environment(**settings: Any) -> Any:
    """Return an environment with these settings."""
    from deployer.environment import Environment

    given = {"project": "p", "name": "production", "work_pool": "pool", **settings}
    return Environment(**given)


def test_a_pool_that_previews_share_or_that_is_given_instead_is_left_alone() -> None:
    limits = {"work_pool_concurrency_limit": 3, "work_queue_priority": 1, "work_queue": "q"}

    assert declared([], environment(**limits)) == {
        "work-pool/pool": {"concurrency_limit": 3, "work_queues": {"q": {"priority": 1}}}
    }
    assert declared([], environment(**limits, given_pool=True)) == {}
    assert declared([], environment(**limits, label="pr-7")) == {}
    assert declared([], environment(**limits, label="pr-7", own_queue=True)) == {
        "work-pool/pool": {"work_queues": {"q": {"priority": 1}}}
    }


def test_the_environment_s_variables_win_and_its_schedules_switch_automations_off() -> None:
    here = environment(name_suffix="-s", schedules="off", variables={"regions": ["eu"], "more": 1})

    found = declared(resources(1), here)

    values = {key: each["value"] for key, each in found.items() if key.startswith("variable/")}
    assert values == {"variable/regions-s": ["eu"], "variable/more-s": 1}
    assert found["automation/watch-s"]["enabled"] is False
    assert declared(resources(1), environment())["automation/watch"]["enabled"] is True


def test_a_suffix_that_no_variable_can_have_is_refused() -> None:
    with pytest.raises(DeployerError, match="'regions Eu' has to be up to 255 of a-z"):
        declared(resources(1), environment(name_suffix=" Eu"))


WRONG = {
    "no list": ({}, "RESOURCES is {}: write a list"),
    "a deployment": ([MAIN[0]], "entry 1 of RESOURCES: <deployer.catalog.Deployment"),
    "twice": ([resources(1)[0]] * 2, "variable/regions: there are 2 entries of this name"),
    "a bad name": ([Variable(name="Regions", value=1)], "'Regions' has to be up to 255 of a-z"),
    "a secret's name": (
        [Variable(name="db_password", value="hunter2")],
        "the Variable db_password would be readable in the UI and in every release: put it into a "
        "Secret block and load that in the flow.",
    ),
    "a password in an address": (
        [Variable(name="database", value="postgresql://ada:hunter2@db/x")],
        "the Variable database would be readable",
    ),
    "a secret inside": (
        [Variable(name="database", value={"api_key": "hunter2-hunter2"})],
        "the Variable database would be readable",
    ),
    "a secret in an action": (
        [
            Automation(
                name="a",
                trigger=EventTrigger(expect={"a"}),
                actions=[
                    RunDeployment.model_validate(
                        {"source": "inferred", "job_variables": {"env": {"DB_PASSWORD": "hunter2"}}}
                    )
                ],
            )
        ],
        "automation/a: actions.job_variables.env.DB_PASSWORD would be readable in the UI",
    ),
    "our tag": ([Variable(name="a", value=1, tags=["project:x"])], "'project:x' is reserved"),
    "a limit below nothing": (
        [ConcurrencyLimitCreate(tag="a", concurrency_limit=-1)],
        "concurrency_limit is -1, but it cannot be less than 0",
    ),
    "a tag that Prefect refuses": (
        [ConcurrencyLimitCreate(tag="a/b", concurrency_limit=1)],
        "its name is 'a/b': leave '/' out",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_a_resource_is_a_sentence(case: str) -> None:
    entries, sentence = WRONG[case]

    (problem,) = check(entries)

    assert problem.startswith("deployments/catalog.py")
    assert sentence in problem
    assert check(resources(1)) == []


def test_a_value_that_prefect_would_refuse_is_a_sentence() -> None:
    assert [*variable_problems("a", "é" * 2500)] == [
        "the Variable a has more than 5000 bytes, which Prefect refuses."
    ]
    assert [*variable_problems("a", "é" * 2499)] == []
    (problem,) = variable_problems("a", datetime(2026, 1, 1))
    assert problem.startswith("the Variable a cannot be sent as JSON")


def test_resources_are_in_the_text_the_table_the_json_and_the_hash_of_a_plan() -> None:
    (change,) = changes({"variable/a": {"value": 2, "tags": []}}, {}, {})
    plan = Plan((), resources=(change,))

    assert render.text(plan).plain == (
        "+ variable/a\nPlan: 1 to add, 0 to change, 0 to delete, 0 unchanged."
    )
    assert "| + | variable/a |" in render.markdown(plan, "Plan")
    content = json.loads(render.as_json(plan))
    assert [(each["key"], each["action"]) for each in content["changes"]] == [
        ("variable/a", "create")
    ]
    assert isinstance(change, Change)
    assert not plan.empty


def test_the_value_of_a_variable_is_compared_to_the_last_key() -> None:
    there = {"variable/a": Found({"value": {"k": None}, "tags": []}, True)}

    (change,) = changes({"variable/a": {"value": {}, "tags": []}}, there, {})

    assert change.fields == {"value": ({"k": None}, {})}
