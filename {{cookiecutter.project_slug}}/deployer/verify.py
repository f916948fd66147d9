"""Whether a deployment really runs: a worker polls, and the smoke runs complete."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelling

from deployer.environment import Environment
from deployer.errors import DeployerError
from deployer.server import Live, Server

FRESH = 60  # seconds since a worker's last poll; workers poll every 15
PATIENCE = 20  # seconds to wait for the first poll of a new queue
ERROR = 40  # logging.ERROR


@dataclass(frozen=True)
class SmokeRun:
    """One finished smoke run.

    Attributes:
        key: `FLOW/NAME` of its deployment.
        id: of the flow run.
        name: of the flow run.
        state: the last state's name, such as `Completed`.
        seconds: from its creation to its end.
        url: of the flow run in the UI.
        logs: its error logs; empty where it completed.
    """

    key: str
    id: str
    name: str
    state: str
    seconds: float
    url: str
    logs: tuple[str, ...] = ()


async def check(
    server: Server,
    environment: Environment,
    smoke: dict[str, tuple[Live, dict[str, Any]]],
    timeout: float,
    say: Callable[[str], None],
) -> list[SmokeRun]:
    """Wait for a worker, then for the smoke runs; without smoke runs no worker is asked for."""
    if not smoke:
        return []
    await worker(server, environment)
    return await smoke_runs(server, smoke, timeout, say)


async def worker(server: Server, environment: Environment) -> None:
    """Wait some seconds for a worker that polls the environment's queue.

    Raises:
        DeployerError: there is no such pool or queue, it is paused, or nobody polls it.
    """
    pool_name, queue_name = environment.work_pool, environment.work_queue or "default"
    try:
        pool = await server.client.read_work_pool(pool_name)
    except ObjectNotFound:
        raise DeployerError(
            f"There is no work pool {pool_name!r}: run `python -m deployer setup`."
        ) from None
    if pool.is_push_pool or pool.is_managed_pool:
        return
    deadline = time.monotonic() + PATIENCE
    while True:
        queue = await server.client.read_work_queue_by_name(queue_name, pool_name)
        for what, paused in (("pool", pool.is_paused), ("queue", queue.is_paused)):
            if paused:
                raise DeployerError(
                    f"The work {what} of {pool_name}/{queue_name} is paused: resume it in the UI."
                )
        polled = queue.last_polled
        if polled and (await server.now() - polled).total_seconds() < FRESH:
            return
        if time.monotonic() > deadline:
            raise DeployerError(
                f"No worker polls the work queue {queue_name!r} of the work pool {pool_name!r}: "
                f"start one with `prefect worker start --pool '{pool_name}'`."
            )
        await asyncio.sleep(1)


async def smoke_runs(
    server: Server,
    runs: dict[str, tuple[Live, dict[str, Any]]],
    timeout: float,
    say: Callable[[str], None],
) -> list[SmokeRun]:
    """Run deployments once, side by side, and wait for all of them.

    Args:
        server: where they are.
        runs: deployment and parameters by `FLOW/NAME`.
        timeout: seconds after which runs that have not ended are cancelled.
        say: told about every change of a state.

    Returns:
        The finished runs, in the order given.

    Raises:
        DeployerError: with the error logs and the addresses of the runs that did not complete.
    """
    started = time.monotonic()
    created: dict[str, str] = {}
    try:
        for key, (live, parameters) in runs.items():
            run = await server.client.create_flow_run_from_deployment(
                UUID(live.id), parameters=parameters, tags=["smoke"], idempotency_key=str(uuid4())
            )
            created[str(run.id)] = key
        rows = await _wait(server, created, started + timeout, say)
    except BaseException:
        await _cancel(server, list(created))
        raise
    finished = [await _finished(server, created[row["id"]], row) for row in rows]
    failed = [run for run in finished if run.state != "Completed"]
    if failed:
        raise DeployerError(*(_failure(run) for run in failed))
    return finished


async def _wait(
    server: Server, created: dict[str, str], deadline: float, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    seen: dict[str, str] = {}
    while True:
        rows = await server.pages(
            "/flow_runs/filter", {"flow_runs": {"id": {"any_": list(created)}}}
        )
        for row in rows:
            if seen.get(row["id"]) != row["state_name"]:
                seen[row["id"]] = row["state_name"]
                say(f"smoke run of {created[row['id']]}: {row['state_name']}")
        if all(row["state"] and row["state"]["type"] in FINAL for row in rows):
            order = list(created)
            return sorted(rows, key=lambda row: order.index(row["id"]))
        if time.monotonic() > deadline:
            late = [created[i] for i, name in seen.items() if name.upper() not in FINAL]
            raise DeployerError(
                f"The smoke runs of {', '.join(late)} did not end in time and are cancelled: "
                "look at the worker, or allow more with --timeout."
            )
        await asyncio.sleep(1)


FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


async def _cancel(server: Server, ids: list[str]) -> None:
    for identity in ids:
        await server.client.set_flow_run_state(UUID(identity), Cancelling())


async def _finished(server: Server, key: str, row: dict[str, Any]) -> SmokeRun:
    logs: list[dict[str, Any]] = []
    if row["state_name"] != "Completed":
        where = {"logs": {"flow_run_id": {"any_": [row["id"]]}, "level": {"ge_": ERROR}}}
        logs = await server.pages("/logs/filter", where)
    end = row["end_time"] or row["state"]["timestamp"]
    seconds = (_time(end) - _time(row["created"])).total_seconds()
    lines = tuple(log["message"] for log in logs) or (row["state"].get("message") or "no message",)
    return SmokeRun(
        key, row["id"], row["name"], row["state_name"], seconds, run_url(row["id"]), lines
    )


def run_url(identity: str) -> str:
    """Return the address of a flow run in the UI."""
    from prefect.utilities.urls import url_for

    return url_for("flow-run", obj_id=UUID(identity)) or f"flow run {identity}"


def deployment_url(identity: str) -> str:
    """Return the address of a deployment in the UI."""
    from prefect.utilities.urls import url_for

    return url_for("deployment", obj_id=UUID(identity)) or f"deployment {identity}"


def _failure(run: SmokeRun) -> str:
    logs = "\n".join(f"    {line}" for message in run.logs for line in message.splitlines()[-15:])
    return f"The smoke run {run.name} of {run.key} ended {run.state}: {run.url}\n{logs}"


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
