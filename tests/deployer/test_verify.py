"""What a smoke run's end means: the server is real, and the test plays worker and operator."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from deployer.catalog import Deployment
from deployer.errors import DeployerError
from deployer.verify import SmokeRun, smoke_runs

from tests.deployer.sample_flows import plain
from tests.deployer.world import World
from tests.support.server import PrefectServer

Act = Callable[[World, str], None]


def smoke_run(world: World, act: Act) -> SmokeRun:
    """Deploy one flow and run it once; when the run is scheduled, do something with it."""
    world.deploy([Deployment(plain, "main")])
    ((key, live),) = world.live().items()

    def say(_: str) -> None:
        if not acted:
            acted.append(live.id)
            where = {"deployments": {"id": {"any_": [live.id]}}}
            (run,) = world.call("POST", "/flow_runs/filter", where)
            act(world, run["id"])

    acted: list[str] = []
    (run,) = world.run(lambda server: smoke_runs(server, {key: (live, {})}, 30, say))
    return run


def becomes(kind: str, name: str, message: str | None = None) -> Act:
    """Return what puts a run into a state, as a flow that returns one does."""
    state = {"type": kind, "name": name, "message": message}
    return lambda world, run: world.call(
        "POST", f"/flow_runs/{run}/set_state", {"state": state, "force": True}
    )


def test_a_run_that_completes_under_another_name_is_a_success(server: PrefectServer) -> None:
    run = smoke_run(World(server), becomes("COMPLETED", "Skipped"))

    assert (run.state, run.logs) == ("Skipped", ())


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("FAILED", "TimedOut", "It took too long."),
        ("CRASHED", "Crashed", None),
        ("CANCELLED", "Completed", "Somebody cancelled it."),
    ],
)
def test_any_other_end_is_a_failure(
    server: PrefectServer, kind: str, name: str, message: str | None
) -> None:
    with pytest.raises(DeployerError, match=f"ended {name}: .*\n +{message or 'no message'}"):
        smoke_run(World(server), becomes(kind, name, message))


def test_a_run_that_somebody_deletes_is_not_waited_for(server: PrefectServer) -> None:
    def delete(world: World, run: str) -> None:
        world.call("DELETE", f"/flow_runs/{run}")

    with pytest.raises(DeployerError, match="Somebody deleted the smoke runs of plain/main"):
        smoke_run(World(server), delete)
