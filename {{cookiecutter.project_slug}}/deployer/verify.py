"""Check that deployments really run: a worker polls, and the smoke runs complete."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from prefect.client.schemas.objects import TERMINAL_STATES, StateType
from prefect.states import Cancelling
from prefect.utilities.urls import url_for

from deployer import work_pool as work_pools
from deployer.api_errors import if_found
from deployer.errors import DeployerError, Finding
from deployer.server import Live, Server
from deployer.uninterrupted import uninterrupted

PATIENCE = 20  # seconds to wait for the first poll of a new queue
ERROR = 40  # logging.ERROR
FINAL = {each.value for each in TERMINAL_STATES}


@dataclass(frozen=True)
class SmokeRun:
    """One finished smoke run.

    Attributes:
        key: `FLOW/NAME` of its deployment.
        name: name of the flow run.
        state: the last state's name, such as `Completed`.
        seconds: time from its creation to its end.
        url: URL of the flow run in the UI.
        logs: its error logs, or else its last message; empty if it completed.
    """

    key: str
    name: str
    state: str
    seconds: float
    url: str
    logs: tuple[str, ...] = ()


async def check(
    server: Server,
    setup: str,
    deployed: list[Live],
    smoke: dict[str, tuple[Live, dict[str, Any]]],
    timeout: float,
    say: Callable[[str], None],
) -> tuple[list[SmokeRun], list[str]]:
    """Do the smoke runs, once their queues have workers, and check the other queues for workers.

    Args:
        server: where they are.
        setup: the command that creates what the environment needs, for messages.
        deployed: all deployments.
        smoke: deployment and parameters of each smoke run, by `FLOW/NAME`.
        timeout: seconds after which runs that have not ended are cancelled.
        say: called with progress messages.

    Returns:
        The finished runs, and warnings that runs of other deployments would not start.

    Raises:
        DeployerError: a smoke run could not start, or did not complete.
    """
    needed = dict.fromkeys(_pool_and_queue(live) for live, _ in smoke.values())
    for names in needed:
        await worker(server, setup, *names, say)
    others = [each for each in dict.fromkeys(map(_pool_and_queue, deployed)) if each not in needed]
    warnings = [
        str(each) for names in others for each in await _start_problems(server, setup, *names)
    ]
    for warning in warnings:
        say(f"warning: {warning}")
    return await smoke_runs(server, smoke, timeout, say) if smoke else [], warnings


def _pool_and_queue(live: Live) -> tuple[str, str]:
    return live.spec["work_pool"], live.spec["work_queue"]


async def _start_problems(server: Server, setup: str, pool: str, queue: str) -> list[Finding]:
    """Return why no run from a work queue would start now."""
    found = await if_found(server.client.read_work_pool(pool))
    if found is None:
        return [work_pools.missing(pool, setup)]
    problems = work_pools.start_problems(server.client, found, queue, await server.now(), setup)
    return [each async for each in problems]


async def worker(
    server: Server, setup: str, pool: str, queue: str, say: Callable[[str], None]
) -> None:
    """Wait until runs from a work queue would start, up to PATIENCE seconds for a worker.

    Raises:
        DeployerError: pool or queue is missing or paused, or no worker polls it.
    """
    deadline, announced = time.monotonic() + PATIENCE, False
    while True:
        problems = await _start_problems(server, setup, pool, queue)
        if not problems:
            return
        only_a_poll = all(each.what.startswith(work_pools.NO_WORKER) for each in problems)
        if not only_a_poll or time.monotonic() > deadline:  # waiting solves no other problem
            raise DeployerError(*map(str, problems))
        if not announced:
            say(f"waiting for a worker that polls the work queue {queue!r} of {pool!r}")
            announced = True
        await asyncio.sleep(1)


async def smoke_runs(
    server: Server,
    runs: dict[str, tuple[Live, dict[str, Any]]],
    timeout: float,
    say: Callable[[str], None],
) -> list[SmokeRun]:
    """Run deployments once, at the same time, and wait for all of them.

    Args:
        server: where they are.
        runs: deployment and parameters by `FLOW/NAME`.
        timeout: seconds after which runs that have not ended are cancelled.
        say: called with a message for every new state.

    Returns:
        The finished runs, in the order given.

    Raises:
        DeployerError: runs did not complete; the message has their error logs and URLs.
    """
    started = time.monotonic()
    created: dict[str, str] = {}
    try:
        for key, (live, parameters) in runs.items():
            await uninterrupted(_start(server, key, live.id, parameters, created))
        rows = await _wait(server, created, started + timeout, say)
    except BaseException:
        await uninterrupted(_cancel(server, created))
        raise
    finished = [await _finished(server, key, rows[identity]) for identity, key in created.items()]
    if failed := [run for run in finished if run.logs]:
        raise DeployerError(*(_failure(run) for run in failed))
    return finished


async def _start(
    server: Server, key: str, identity: str, parameters: dict[str, Any], created: dict[str, str]
) -> None:
    run = await server.client.create_flow_run_from_deployment(
        UUID(identity), parameters=parameters, tags=["smoke"], idempotency_key=str(uuid4())
    )
    created[str(run.id)] = key


async def _cancel(server: Server, created: Iterable[str]) -> None:
    for identity in created:
        with suppress(Exception):  # the first error is the one to report
            await server.client.set_flow_run_state(UUID(identity), Cancelling())


async def _wait(
    server: Server, created: dict[str, str], deadline: float, say: Callable[[str], None]
) -> dict[str, dict[str, Any]]:
    where = {"flow_runs": {"id": {"any_": list(created)}}}
    seen: dict[str, str] = {}
    while True:
        rows = {row["id"]: row for row in await server.pages("/flow_runs/filter", where)}
        if gone := [key for identity, key in created.items() if identity not in rows]:
            raise DeployerError(f"Somebody deleted the smoke runs of {', '.join(gone)}: try again.")
        for identity, row in rows.items():
            if seen.get(identity) != row["state_name"]:
                seen[identity] = row["state_name"]
                say(f"smoke run of {created[identity]}: {row['state_name']}")
        late = [created[each] for each, row in rows.items() if row["state_type"] not in FINAL]
        if not late:
            return rows
        if time.monotonic() > deadline:
            raise DeployerError(
                f"The smoke runs of {', '.join(late)} did not end in time and are cancelled: "
                "look at the worker, or allow more time with --timeout."
            )
        await asyncio.sleep(1)


async def _finished(server: Server, key: str, row: dict[str, Any]) -> SmokeRun:
    logs: list[str] = []
    if row["state_type"] != StateType.COMPLETED.value:
        where = {"logs": {"flow_run_id": {"any_": [row["id"]]}, "level": {"ge_": ERROR}}}
        logs = [log["message"] for log in await server.pages("/logs/filter", where)]
        logs = logs or [row["state"].get("message") or "no message"]
    created, end = _time(row["created"]), _time(row["end_time"] or row["state"]["timestamp"])
    url = url_for("flow-run", obj_id=row["id"]) or f"flow run {row['id']}"
    seconds = (end - created).total_seconds()
    return SmokeRun(key, row["name"], row["state_name"], seconds, url, tuple(logs))


def _failure(run: SmokeRun) -> str:
    logs = "\n".join(f"    {line}" for message in run.logs for line in message.splitlines()[-15:])
    return f"The smoke run {run.name} of {run.key} ended {run.state}: {run.url}\n{logs}"


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
