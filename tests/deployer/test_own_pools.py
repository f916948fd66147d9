"""Deployments with their own work pool and queue, set with the options of `Flow.deploy`."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from deployer import spec as specs
from deployer import verify
from deployer.catalog import Deployment
from deployer.environment import Environment
from deployer.errors import DeployerError
from deployer.server import Server
from deployer.setup import setup

from tests.deployer.sample_flows import anywhere, plain
from tests.deployer.world import World, planned
from tests.support.server import PrefectServer


def test_an_entry_in_a_pool_of_its_own_is_held_against_that_pool(server: PrefectServer) -> None:
    world = World(server, work_pool="a pool with a template")
    other = f"other {world.number}"
    entry = Deployment(anywhere, "x", work_pool_name=other, job_variables={"steam_output": True})

    with pytest.raises(DeployerError, match=f"^There is no work pool '{other}' on the server"):
        planned(world, [entry])

    async def make(connection: Server) -> list[str]:
        return await setup(connection, world.environment, {}, [other])

    assert f"work pool {other} created (process)" in world.run(make)
    assert f"work pool {other} is there (process)" in world.run(make)
    with pytest.raises(DeployerError, match=f"'steam_output', which the .* pool '{other}'"):
        planned(world, [entry])


def test_a_deployment_goes_to_the_pool_and_queue_that_it_names(server: PrefectServer) -> None:
    world = World(server, work_queue="staging")
    other = f"other {world.number}"
    world.run(lambda connection: setup(connection, world.environment, {}, [other]))
    catalog = [
        Deployment(plain, "usual"),
        Deployment(plain, "pool", work_pool_name=other),
        Deployment(plain, "both", work_pool_name=other, work_queue_name="fast"),
    ]

    world.deploy(catalog)

    places = {key: (each["work_pool"], each["work_queue"]) for key, each in world.states().items()}
    assert places == {
        world.key(catalog[0]): (world.environment.work_pool, "staging"),
        world.key(catalog[1]): (other, "staging"),
        world.key(catalog[2]): (other, "fast"),
    }
    assert world.plan(catalog).empty


def test_a_worker_of_the_pool_that_a_deployment_names_is_waited_for(
    server: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "PATIENCE", 1)
    world = World(server)
    other = f"other {world.number}"
    world.run(lambda connection: setup(connection, world.environment, {}, [other]))
    usual = quote(world.environment.work_pool)
    world.call("POST", f"/work_pools/{usual}/get_scheduled_flow_runs", {})

    with pytest.raises(DeployerError, match=f"No worker polls the work queue 'default' .*{other}"):
        world.deploy([Deployment(plain, "x", work_pool_name=other, smoke={})], verify=True)


def test_the_queue_of_a_preview_goes_from_every_pool(server: PrefectServer) -> None:
    world = World(server, work_queue="pr-7", own_queue=True)
    other = f"other {world.number}"
    world.run(lambda connection: setup(connection, world.environment, {}, [other]))
    world.deploy([Deployment(plain, "x", work_pool_name=other)])

    world.destroy()

    for pool in (world.environment.work_pool, other):
        queues = world.call("POST", f"/work_pools/{quote(pool)}/queues/filter", {})
        assert "pr-7" not in {each["name"] for each in queues}


def test_the_pool_of_the_command_line_is_that_of_all() -> None:
    entry = Deployment(plain, "x", work_pool_name="own")
    declared = Environment(project="project", name="production", work_pool="pool")
    given = Environment(project="project", name="production", work_pool="pool", given_pool=True)

    assert specs.declared(entry, declared)["work_pool"] == "own"
    assert specs.declared(entry, given)["work_pool"] == "pool"
