"""Releases and rollbacks: what they restore, and what they leave unchanged."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import httpx
import pytest
from deployer import release
from deployer.api_errors import server_time
from deployer.catalog import Deployment
from deployer.cli import render
from deployer.errors import DeployerError

from tests.deployer.sample_flows import anywhere, own, plain
from tests.deployer.world import POOL, World, requests
from tests.support.proxy import Proxy
from tests.support.server import PrefectServer


@pytest.mark.parametrize(
    ("dates", "hour"),
    [
        (["Mon, 23 Nov 2026 05:00:00 GMT"], 5),
        (["Mon, 23 Nov 2026 05:00:00 GMT", "Mon, 23 Nov 2026 06:00:00 GMT"], 5),
    ],
    ids=["a server's", "a server's and its proxy's"],
)
def test_the_time_is_the_server_s(dates: list[str], hour: int) -> None:
    found = server_time(httpx.Response(200, headers=[("Date", each) for each in dates]))

    assert found == datetime(2026, 11, 23, hour, tzinfo=UTC)


def test_a_server_that_does_not_tell_the_time_has_this_machine_s() -> None:
    assert abs(server_time(httpx.Response(200)) - datetime.now(UTC)) < timedelta(minutes=1)


def rows(number: int) -> list[Deployment]:
    """Return a catalog with a parameter that identifies the release."""
    return [Deployment(anywhere, "main", parameters={"rows": number})]


def test_a_deploy_asks_once_for_its_work_pool_and_its_workers(server: PrefectServer) -> None:
    world = World(server)

    with requests() as sent:
        world.deploy([Deployment(plain, str(number)) for number in range(3)])

    assert len([each for each in sent if each.startswith("GET /api/work_pools/")]) == 1
    assert len([each for each in sent if "/work_pools/" in each]) == 2


def test_a_deployment_that_is_updated_is_read_once_before_it(server: PrefectServer) -> None:
    world = World(server)
    world.deploy(rows(1))
    (live,) = world.live().values()

    with requests() as sent:
        world.deploy(rows(2))

    of_it = [each for each in sent if "/deployments/" in each and "/filter" not in each]
    path = f"/api/deployments/{live.id}"
    assert of_it == [f"GET {path}", f"PATCH {path}"]


def test_each_rollback_goes_one_further_back(server: PrefectServer) -> None:
    world = World(server)

    def deployed() -> int:
        (state,) = world.states().values()
        return int(state["parameters"]["rows"])

    for number in (1, 2):
        world.deploy(rows(number), verify=True)
    world.deploy(rows(3), verify=False)
    world.deploy(rows(4), verify=True)

    assert world.roll_back(verify=True).release
    assert deployed() == 2, "3 was not verified"
    back = world.roll_back(verify=True).release
    assert back
    assert (deployed(), back.number, back.again) == (1, 6, 1)
    with pytest.raises(DeployerError, match="There is no verified release before 1 in production"):
        world.roll_back(verify=True)

    world.deploy(rows(5), verify=True, resume=True)
    world.roll_back(verify=True)
    assert deployed() == 1, "the release before 5"


def test_an_old_release_among_many_is_found(server: PrefectServer) -> None:
    world = World(server)
    for number in range(1, 14):
        world.deploy(rows(number))

    world.roll_back(2)

    (state,) = world.states().values()
    assert state["parameters"] == {"rows": 2}
    with pytest.raises(DeployerError, match="There is no release 99 in production"):
        world.roll_back(99)


def test_only_what_is_deployed_is_smoke_run(server: PrefectServer) -> None:
    world = World(server)
    # There is no worker, so a smoke run would fail the deploy.
    smoked = Deployment(plain, "smoked", smoke={})
    world.deploy([smoked, Deployment(anywhere, "main")])

    done = world.deploy([smoked, *rows(2)], only="*/main*", verify=True)

    assert done.release
    assert done.runs == []


def test_what_only_leaves_alone_stays_paused_even_where_no_release_knows_it(
    server: PrefectServer,
) -> None:
    world = World(server)
    catalog = [Deployment(plain, "paused"), Deployment(anywhere, "main")]
    world.deploy(catalog)
    # As if a deployer had been killed before it recorded the release.
    world.run(lambda connection: release.delete_all(connection, world.environment))
    paused = world.live()[world.key(catalog[0])]
    world.call("PATCH", f"/deployments/{paused.id}", {"paused": True})

    world.deploy([catalog[0], *rows(2)], only="*/main*")
    world.deploy([catalog[0], *rows(3)])

    assert world.states()[world.key(catalog[0])]["paused"]


def test_a_release_whose_work_pool_is_gone_is_refused_before_anything_is_written(
    server: PrefectServer,
) -> None:
    world = World(server, work_pool="a pool of its own")
    world.deploy(rows(1))
    world.environment = replace(world.environment, work_pool=POOL)
    world.deploy(rows(2))
    before = world.states()
    world.call("DELETE", "/work_pools/a%20pool%20of%20its%20own")

    with pytest.raises(DeployerError, match=r"^The release uses the work pool 'a pool of its own'"):
        world.roll_back(1)

    assert world.states() == before


def test_what_is_deleted_meanwhile_is_made_again(server: PrefectServer) -> None:
    world = World(server)
    queue = f"queue {world.number}"
    world.deploy([Deployment(own, "main", parameters={"rows": 1}, work_queue_name=queue)])
    earlier = world.states()
    world.deploy([Deployment(own, "main", parameters={"rows": 2})])
    (live,) = world.live().values()
    world.call("DELETE", f"/work_pools/{quote(POOL)}/queues/{quote(queue)}")
    world.call("DELETE", f"/flows/{live.row['flow_id']}")

    world.roll_back(1)

    assert world.states() == earlier


def test_only_may_name_what_leaves(server: PrefectServer) -> None:
    world = World(server)
    world.deploy([*rows(1), Deployment(plain, "leaves")])

    done = world.deploy(rows(2), only="*/leaves*")

    assert done.release
    ((key, state),) = world.states().items()
    assert (key, state["parameters"]) == (world.key(rows(1)[0]), {"rows": 1})
    with pytest.raises(DeployerError, match="matches nothing"):
        world.deploy(rows(2), only="*/leaves*")


def test_more_releases_than_one_answer_holds_are_listed(
    server: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release, "PAGE", 2)
    world = World(server)
    for number in range(1, 6):
        world.deploy(rows(number))

    assert world.releases(3) == [5, 4, 3]
    assert world.releases(4) == [5, 4, 3, 2]
    assert world.releases(1000) == [5, 4, 3, 2, 1]


@pytest.mark.parametrize("text", [None, "by hand", "\n\n```json\n[]\n"])
def test_a_record_that_was_changed_by_hand_is_named(
    server: PrefectServer, text: str | None
) -> None:
    world = World(server)
    world.deploy(rows(1))
    where = {"artifacts": {"key": {"any_": [f"release-{world.environment.key}"]}}}
    (record,) = world.call("POST", "/artifacts/filter", where)
    world.call("PATCH", f"/artifacts/{record['id']}", {"data": text})

    with pytest.raises(DeployerError, match=rf"{record['id']}.*delete the record in the UI"):
        world.deploy(rows(2))


def edit(world: World, number: int, old: str, new: str) -> None:
    """Change the text of a release's record."""
    where = {"artifacts": {"key": {"any_": [f"release-{world.environment.key}"]}}, "limit": 200}
    for row in world.call("POST", "/artifacts/filter", where):
        if row["description"].startswith(f"Release {number} of"):
            assert old in row["data"]
            changed = row["data"].replace(old, new)
            world.call("PATCH", f"/artifacts/{row['id']}", {"data": changed})


def test_a_rollback_prefers_what_was_seen_to_run(server: PrefectServer) -> None:
    world = World(server)
    for number in range(1, 6):
        world.deploy(rows(number))

    def goes_to() -> int:
        return world.run(lambda to: release.find(to, world.environment, None)).number

    with pytest.raises(DeployerError, match="There is no verified release before 5"):
        goes_to()
    for number in (2, 4):
        edit(world, number, '"not verified"', '"nothing to verify"')
    assert goes_to() == 4
    edit(world, 3, '"not verified"', '"verified"')
    assert goes_to() == 3


def test_records_of_older_deployers_are_read_as_what_they_meant(server: PrefectServer) -> None:
    world = World(server)
    for number in (1, 2, 3):
        entry = Deployment(anywhere, "main", parameters={"rows": number}, smoke={})
        world.deploy([entry] if number == 2 else rows(number))
    for number, old in ((1, "true"), (2, "true"), (3, "false")):
        edit(world, number, '"verified": "not verified"', f'"verified": {old}')

    found = world.run(lambda to: release.recent(to, world.environment, 3))

    assert [each.verified for each in found] == ["not verified", "verified", "nothing to verify"]


def test_one_can_go_back_to_a_record_that_has_our_tags_among_the_others(
    server: PrefectServer,
) -> None:
    world = World(server)
    world.deploy([Deployment(anywhere, "main", tags=["zeta"])])
    (now,) = world.run(lambda to: release.recent(to, world.environment))
    (spec,) = now.specs.values()
    ours = json.dumps(spec["tags"])
    edit(world, 1, ours, json.dumps(sorted(spec["tags"])))
    assert sorted(spec["tags"]) != spec["tags"]

    (old,) = world.run(lambda to: release.recent(to, world.environment))
    assert old == now
    world.deploy(rows(2))
    world.roll_back(1)
    assert world.releases() == [3, 2, 1]


def test_a_record_of_one_image_names_no_others(server: PrefectServer) -> None:
    world = World(server)
    world.deploy(rows(1))
    where = {"artifacts": {"key": {"any_": [f"release-{world.environment.key}"]}}}
    (row,) = world.call("POST", "/artifacts/filter", where)
    assert '"resources"' in row["data"]
    assert '"images"' not in row["data"]  # older deployers refuse this key


def test_old_records_go_but_those_that_somebody_may_go_back_to(server: PrefectServer) -> None:
    world = World(server, keep_releases=3)
    world.deploy(rows(1), verify=True)
    for number in (2, 3, 4, 5):
        world.deploy(rows(number))
    assert world.releases() == [5, 4, 3, 1], "1 is the only verified release"

    world.environment = replace(world.environment, keep_releases=1)
    world.roll_back(3)
    assert world.releases() == [6, 3, 1], "3 is held"
    world.deploy(rows(7), verify=True, resume=True)
    assert world.releases() == [7, 1]
    world.deploy(rows(8))
    assert world.releases() == [8, 7]
    world.roll_back()
    assert world.releases() == [9, 7]


def test_a_record_that_cannot_be_deleted_fails_no_deploy(server: PrefectServer) -> None:
    world = World(server, keep_releases=1)
    world.deploy(rows(1))
    with Proxy(server.api_url, "500", 2, path="/artifacts/") as proxy:
        world.api_url = proxy.api_url
        done = world.deploy(rows(2))
        assert proxy.writes[-1].startswith("DELETE /api/artifacts/")
    world.api_url = server.api_url

    (warning,) = done.warnings
    assert warning.startswith("Old release records were not deleted: The Prefect server answers")
    assert world.releases() == [2, 1]
    assert world.plan(rows(2)).empty
    world.deploy(rows(3))
    assert world.releases() == [3]


def test_a_release_that_holds_a_secret_can_be_forgotten(server: PrefectServer) -> None:
    world = World(server)
    for number in (1, 2, 3):
        world.deploy(rows(number))
    edit(world, 2, '"parameters": {"rows": 2}', '"parameters": {"password": "hunter2"}')

    def forget(*numbers: int) -> None:
        world.run(lambda to: release.forget(to, world.environment, numbers))

    found = world.run(lambda to: release.recent(to, world.environment, 3))
    told = str(render.releases(found, "text", "production"))
    assert f"Release 2 holds what looks like a credential, such as {world.key(rows(2)[0])}" in told
    assert "hunter2" not in told

    with pytest.raises(DeployerError, match="Release 3 is the newest in production"):
        forget(3)
    with pytest.raises(DeployerError, match="There is no release 9 in production"):
        forget(9)
    forget(2)

    assert world.releases() == [3, 1]
    key = {"artifacts": {"key": {"any_": [f"release-{world.environment.key}"]}}}
    assert "hunter2" not in str(world.call("POST", "/artifacts/filter", key))
    world.deploy(rows(4))
    assert world.releases() == [4, 3, 1]
