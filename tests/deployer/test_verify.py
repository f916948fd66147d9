"""Results of smoke runs, with a real server; the tests act as worker and operator."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
from deployer import release, verify
from deployer.catalog import Deployment
from deployer.cli import render
from deployer.errors import DeployerError
from deployer.refresh import refresh
from deployer.server import Live, Server
from deployer.verify import SmokeRun, smoke_runs, worker

from tests.deployer.sample_flows import anywhere, plain
from tests.deployer.world import POOL, World, quiet
from tests.support.server import PrefectServer
from tests.support.waiting import eventually

Act = Callable[[World, str], None]


def smoke_run(world: World, act: Act) -> SmokeRun:
    """Deploy one flow, start its smoke run and call `act` with it when it is scheduled."""
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


def poll(world: World, queue: str = "default") -> None:
    """Poll for work, as a worker does."""
    body = {"work_queue_names": [queue]}
    pool = f"/work_pools/{quote(POOL)}"
    where = f"{pool}/queues/{quote(queue)}"
    before = world.call("GET", where)["last_polled"]
    world.call("POST", f"{pool}/get_scheduled_flow_runs", body)
    # The server records the time of the poll after it has answered.
    eventually(lambda: world.call("GET", where)["last_polled"] != before)


def becomes(kind: str, name: str, message: str | None = None) -> Act:
    """Return a function that sets a run's state, as a flow that returns a state does."""
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


def test_all_runs_are_cancelled_though_somebody_interrupts_twice(server: PrefectServer) -> None:
    world = World(server)
    world.deploy([Deployment(plain, name) for name in ("one", "two", "three")])
    live = world.live()

    async def work(connection: Server) -> None:
        cancel = connection.client.set_flow_run_state
        runs: dict[str, tuple[Live, dict[str, Any]]] = {k: (each, {}) for k, each in live.items()}

        def say(_: str) -> None:
            task.cancel()

        task = asyncio.ensure_future(smoke_runs(connection, runs, 30, say))

        async def interrupted(*args: Any, **kwargs: Any) -> Any:
            task.cancel()
            return await cancel(*args, **kwargs)

        connection.client.set_flow_run_state = interrupted  # type: ignore[method-assign]
        await task

    with pytest.raises(asyncio.CancelledError):
        world.run(work)

    where = {"deployments": {"id": {"any_": [each.id for each in live.values()]}}}
    rows = world.call("POST", "/flow_runs/filter", where)
    assert len(rows) == 3
    assert {row["state_type"] for row in rows} <= {"CANCELLING", "CANCELLED"}


def test_a_run_that_is_being_created_when_somebody_interrupts_is_cancelled_too(
    server: PrefectServer,
) -> None:
    world = World(server)
    world.deploy([Deployment(plain, "main")])
    ((key, live),) = world.live().items()

    async def work(connection: Server) -> None:
        create = connection.client.create_flow_run_from_deployment
        task = asyncio.ensure_future(smoke_runs(connection, {key: (live, {})}, 30, quiet))

        async def interrupted(*args: Any, **kwargs: Any) -> Any:
            run = await create(*args, **kwargs)
            task.cancel()
            await asyncio.sleep(0.1)  # while the answer is on its way
            return run

        connection.client.create_flow_run_from_deployment = interrupted  # type: ignore[method-assign]
        await task

    with pytest.raises(asyncio.CancelledError):
        world.run(work)

    where = {"deployments": {"id": {"any_": [live.id]}}}
    (run,) = world.call("POST", "/flow_runs/filter", where)
    assert run["state_type"] in ("CANCELLING", "CANCELLED")


def test_the_queue_that_a_deployment_names_is_the_one_that_has_to_be_polled(
    server: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "PATIENCE", 2)
    world = World(server)
    queue = f"queue {world.number}"
    entry = Deployment(plain, "main", smoke={}, work_queue_name=queue)
    said: list[str] = []

    poll(world)
    with pytest.raises(DeployerError, match=f"No worker polls the work queue '{queue}' of the"):
        world.deploy([entry], verify=True, say=said.append)
    assert said.count(f"waiting for a worker that polls the work queue '{queue}' of '{POOL}'") == 1
    said.clear()

    poll(world, queue)
    world.run(lambda connection: worker(connection, "SETUP", POOL, queue, said.append))

    # Only a missing poll is waited for: other problems are errors at once.
    monkeypatch.setattr(verify, "PATIENCE", 10_000)
    path = f"/work_pools/{quote(POOL)}/queues/{quote(queue)}"
    world.call("PATCH", path, {"is_paused": True})
    with pytest.raises(DeployerError, match=f"'{queue}' of the work pool '{POOL}' is paused"):
        world.deploy([entry], verify=True)

    world.call("DELETE", path)
    with pytest.raises(DeployerError, match=f"no work queue '{queue}' of the work pool '{POOL}'"):
        world.run(lambda connection: worker(connection, "SETUP", POOL, queue, said.append))
    with pytest.raises(DeployerError, match="There is no work pool 'nowhere' on the server"):
        world.run(lambda connection: worker(connection, "SETUP", "nowhere", queue, said.append))
    assert said == []


def test_where_nothing_is_run_a_queue_that_nobody_polls_is_a_warning(
    server: PrefectServer,
) -> None:
    world = World(server)
    queue = f"queue {world.number}"
    entry = Deployment(plain, "main", work_queue_name=queue)
    said: list[str] = []

    done = world.deploy([entry], verify=True, say=said.append)

    (warning,) = done.warnings
    assert warning.startswith(f"No worker polls the work queue '{queue}' of the work pool")
    assert f"warning: {warning}" in said
    assert warning in str(render.result(done, "text", "production"))
    assert "No worker polls" in render.result(done, "markdown", "production")
    poll(world, queue)
    changed = Deployment(plain, "main", work_queue_name=queue, description="new")
    assert world.deploy([changed], verify=True).warnings == []


def test_a_record_says_verified_only_where_something_ran(server: PrefectServer) -> None:
    world = World(server)
    poll(world)

    def complete(message: str) -> None:
        if message.startswith("smoke run of") and message.endswith("Scheduled"):
            where = {"flow_runs": {"tags": {"all_": ["smoke"]}}, "sort": "EXPECTED_START_TIME_DESC"}
            run, *_ = world.call("POST", "/flow_runs/filter", where)
            becomes("COMPLETED", "Completed")(world, run["id"])

    def word(**options: Any) -> str:
        number = next(numbers)
        entry = Deployment(anywhere, "main", parameters={"rows": number}, **options)
        done = world.deploy([entry], verify=True, say=complete)
        assert done.release
        return done.release.verified

    numbers = itertools.count(1)
    assert word() == "nothing to verify"
    assert word(smoke={}) == "verified"
    done = world.deploy([Deployment(anywhere, "main", smoke={})], verify=False)
    assert done.release
    assert done.release.verified == "not verified"
    found = world.run(lambda to: release.recent(to, world.environment, 3))
    assert [each.verified for each in found] == ["not verified", "verified", "nothing to verify"]


def test_only_what_is_released_desired_and_deployed_can_be_verified_later(
    server: PrefectServer,
) -> None:
    world = World(server)
    released, another = ([Deployment(anywhere, "main", parameters={"rows": n})] for n in (1, 2))
    world.deploy(released)

    def unseen(catalog: list[Deployment]) -> release.Release | None:
        desired = world.target(catalog)
        return world.run(lambda to: refresh(to, world.environment, desired)).unverified_release(
            desired
        )

    assert unseen(another) is None
    seen = unseen(released)
    assert seen
    assert seen.verified == "not verified"
    world.run(lambda to: release.mark_verified(to, world.environment, seen))

    assert world.run(lambda to: release.recent(to, world.environment)) == [
        replace(seen, verified="verified")
    ]
    assert unseen(released) is None
    key = {"artifacts": {"key": {"any_": [f"release-{world.environment.key}"]}}}
    (record,) = world.call("POST", "/artifacts/filter", key)
    page, _, _ = record["data"].partition("<details>")
    assert "| verified | verified |" in page
    assert "not verified" not in page
    assert "| + |" in page
