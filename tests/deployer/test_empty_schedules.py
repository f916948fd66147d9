"""A deployment that loses its last schedule, with both of Prefect's meanings of an empty list.

PREFECT_DEPLOYMENTS_CLEAR_SCHEDULES_ON_EMPTY is false by default; a later Prefect will make it true.
It affects `prefect deploy`, but not Flow.deploy(), which the deployer calls.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from deployer.catalog import Deployment
from deployer.errors import DeployerError
from prefect.schedules import Cron
from prefect.settings import PREFECT_DEPLOYMENTS_CLEAR_SCHEDULES_ON_EMPTY, temporary_settings

from tests.deployer.sample_flows import plain
from tests.deployer.world import World
from tests.support.server import PrefectServer

WITH = [Deployment(plain, "main", schedules=[Cron("0 6 * * *", slug="six"), Cron("0 7 * * *")])]
WITHOUT = [Deployment(plain, "main")]


@pytest.fixture(params=[False, True], ids=["kept", "cleared"], autouse=True)
def _meaning(request: pytest.FixtureRequest) -> Iterator[None]:
    """Make Prefect keep or clear the schedules if it gets an empty list."""
    with temporary_settings({PREFECT_DEPLOYMENTS_CLEAR_SCHEDULES_ON_EMPTY: request.param}):
        yield


def schedules(world: World) -> dict[str, bool]:
    """Return whether each schedule is active, by id."""
    (live,) = world.live().values()
    return {row["id"]: row["active"] for row in live.row["schedules"]}


def test_the_last_schedules_leave_with_the_catalog(server: PrefectServer) -> None:
    world = World(server)
    world.deploy(WITH)
    assert len(schedules(world)) == 2

    world.deploy(WITHOUT)

    assert schedules(world) == {}
    assert world.plan(WITHOUT).empty


def test_they_are_back_with_their_ids_when_the_deploy_fails(server: PrefectServer) -> None:
    world = World(server)
    world.deploy(WITH)
    before = schedules(world)
    refused = Deployment(plain, "refused", job_variables={"stream_output": "perhaps"})

    with pytest.raises(DeployerError, match="refused"):
        world.deploy([*WITHOUT, refused])

    assert schedules(world) == before
    assert set(before.values()) == {True}
