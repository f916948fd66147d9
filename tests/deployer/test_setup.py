"""Two setups at the same time, as two pipelines of one repository start them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from deployer.environment import select
from deployer.errors import DeployerError
from deployer.server import Server
from deployer.setup import setup

from tests.deployer.world import World
from tests.support.server import PrefectServer


def test_setups_at_once_leave_one_pool_queue_and_block(server: PrefectServer) -> None:
    world = World(server)
    raced = replace(
        world.environment,
        work_pool=f"raced {world.number}",
        work_queue="raced",
        secrets={f"raced-{world.number}": "VALUE"},
    )

    async def all_at_once(connection: Server) -> list[Any]:
        each = [setup(connection, raced, {"VALUE": "never shown"}) for _ in range(4)]
        return await asyncio.gather(*each)

    for sentences in world.run(all_at_once):
        assert f"work queue {raced.work_pool}/raced is there" in sentences


@pytest.mark.parametrize("queue", [None, "queue-{label}"])
def test_the_pool_of_all_previews_is_made_before_there_is_one(
    server: PrefectServer, queue: str | None
) -> None:
    world = World(server)
    pool = f"previews {world.number}"
    table = replace(
        world.environment,
        name="preview",
        name_suffix="-{label}",
        work_pool=pool,
        work_pool_type="process",
        work_queue=queue,
    )
    preview = select({"preview": table}, "preview", None, shared=True)
    assert world.run(lambda to: setup(to, preview, {})) == [f"work pool {pool} created (process)"]
    with pytest.raises(DeployerError, match="needs --label"):
        select({"preview": table}, "preview", None)


def test_what_the_server_does_not_have_is_a_sentence_wherever_it_is_asked_for(
    server: PrefectServer,
) -> None:
    with pytest.raises(DeployerError, match="answers 404 to GET /api/work_pools/nowhere/queues"):
        World(server).run(lambda there: there.client.read_work_queue_by_name("none", "nowhere"))
