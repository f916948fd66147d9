"""Which previews a sweep deletes."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

from deployer import environment
from deployer.catalog import Deployment
from deployer.destroy import destroy, sweep

from tests.deployer.sample_flows import plain
from tests.deployer.world import POOL, World, quiet
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

    assert done == [f"deleted plain/main {world.number}-pr-1", "deleted 1 release record"]
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
