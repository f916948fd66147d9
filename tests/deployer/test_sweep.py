"""Which previews a sweep deletes."""

from __future__ import annotations

import time
from dataclasses import replace
from urllib.parse import quote

import pytest
from deployer import environment, lock
from deployer.catalog import Deployment
from deployer.destroy import destroy, sweep
from deployer.errors import DeployerError
from prefect.events import DeploymentEventTrigger
from prefect.schedules import Cron
from prefect.variables import Variable

from tests.deployer.sample_flows import plain
from tests.deployer.world import POOL, World, quiet, take_over
from tests.support.proxy import Proxy
from tests.support.server import PrefectServer


def test_an_environment_that_is_called_like_a_preview_is_none(server: PrefectServer) -> None:
    world = World(server)
    preview = replace(world.environment, name="preview", name_suffix=f" {world.number}-{{label}}")
    eu = replace(preview, name="preview-eu", name_suffix=f" {world.number} in the EU")
    asia = replace(preview, name="preview-asia", name_suffix=f" {world.number} {{label}} in Asia")
    known = {each.name: each for each in (preview, eu, asia)}
    catalog = [Deployment(plain, "main")]
    for table, label in ((preview, "pr-1"), (preview, "pr-10"), (eu, None), (asia, "pr-1")):
        world.environment = environment.select(known, table.name, label)
        world.deploy(catalog)

    done = world.run(lambda to: sweep(to, known, "preview", ["pr-10"], "a test", 60, quiet))

    assert done == ["deleted 1 release record", f"deleted plain/main {world.number}-pr-1"]
    for table, label in ((preview, "pr-10"), (eu, None), (asia, "pr-1")):
        world.environment = environment.select(known, table.name, label)
        assert len(world.states()) == 1, table.name


def test_a_queue_that_previews_share_stays(server: PrefectServer) -> None:
    world = World(server, name="preview", name_suffix="-{label}", work_queue="previews")
    shared = environment.select({"preview": world.environment}, "preview", "pr")
    table = replace(world.environment, work_queue=f"{{label}} of {world.number}")
    own = environment.select({"preview": table}, "preview", "pr-7")
    for each in (shared, own):
        world.environment = each
        world.deploy([Deployment(plain, f"main {world.number}")])
        done = world.run(lambda to: destroy(to, world.environment, "a test", 60, quiet))
        assert (f"deleted the work queue {each.work_queue}" in done) is (each is own)

    world.call("GET", f"/work_pools/{quote(POOL)}/queues/previews")


@pytest.mark.parametrize(("path", "k"), [("/variables/", 2), ("/work_queues/", 1)])
def test_what_an_interrupted_destroy_leaves_starts_nothing_and_is_swept(
    server: PrefectServer, path: str, k: int
) -> None:
    world = World(server, name="preview", name_suffix="-{label}", work_queue="{label}")
    known, label = {"preview": world.environment}, f"pr-{world.number}"
    world.environment = environment.select(known, "preview", label)
    trigger = DeploymentEventTrigger(name="a trigger", expect={"a"})
    entry = Deployment(plain, "main", schedules=[Cron("0 1 * * *")], triggers=[trigger])
    variable = Variable(name=f"left_{world.number.replace('-', '_')}", value=1)
    world.deploy([entry], resources=[variable])
    (live,) = world.live().values()
    # The first Variable that is written is the lock.
    with Proxy(server.api_url, "500", k, path=path) as proxy:
        world.api_url = proxy.api_url
        with pytest.raises(DeployerError, match="answers 500 to DELETE"):
            world.destroy()
    world.api_url = server.api_url
    (left,) = world.live().values()
    assert (left.automations, left.row["schedules"]) == ((), [])

    world.run(lambda to: sweep(to, known, "preview", [], "a test", 60, quiet))

    assert (world.live(), world.resources(), world.releases()) == ({}, {}, [])
    assert live.id not in {row["actions"][0]["deployment_id"] for row in world.automations()}
    queue = f"/work_pools/{quote(POOL)}/queues/{label}"
    assert world.call("GET", queue, tolerate=404) is None


def test_a_destroyer_that_lost_its_lock_deletes_nothing_more(
    server: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "EXPIRY", 3)
    monkeypatch.setattr(lock, "RENEWAL", 1000)  # as on a machine too busy to renew in time
    world = World(server)
    world.deploy([Deployment(plain, "main")])

    def lose() -> None:
        take_over(world)
        time.sleep(1.5)  # longer than a lock is valid without renewal

    with Proxy(server.api_url, "none", 1, then=lose, path="/automations/") as proxy:
        world.api_url = proxy.api_url
        with pytest.raises(DeployerError, match="took the lock over"):
            world.destroy()

    assert not [each for each in proxy.writes if "/artifacts/" in each]
