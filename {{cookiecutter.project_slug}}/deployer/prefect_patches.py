"""All of the deployer's patches to Prefect's internals, and to Python for Prefect's sake.

Each function says what it changes, why, what that saves and when it can be removed. The times are
for 100 deployments on SQLite and two processors.
"""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

FREE_RETRIES = 20  # of one request, before the client begins to count its own five


def collect_garbage_rarely() -> None:
    """Run the garbage collector rarely: it scans imported modules again and again, and frees none.

    Saves a fifth of Prefect's import time. Remove when Prefect imports less, or does this itself.
    """
    gc.set_threshold(100_000, 50, 100)


def skip_last_collection() -> None:
    """Skip the garbage collection at exit: the operating system frees all memory at once.

    Saves 0.1 s per command. Remove when Python does this itself.
    """
    gc.freeze()


def retry_soon(client: httpx.AsyncClient) -> None:
    """Retry often, for over half a minute, if the server answers 503 because SQLite is busy.

    Prefect's client retries five times, after 2, 4, 8 … seconds. That is too few if the server is
    busy with its own schedules. Saves half the time of a large deploy. Remove when Prefect's
    server sends `Retry-After` with its 503.
    """
    client.event_hooks["response"].append(_shorten_wait)


async def _shorten_wait(response: httpx.Response) -> None:
    if response.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        extensions = response.request.extensions
        tries = extensions["tries"] = extensions.get("tries", 0) + 1
        response.headers.setdefault("Retry-After", str(min(0.1 * 2**tries, 2)))
        if tries <= FREE_RETRIES:  # the client does not count retries during maintenance
            response.headers["Prefect-Maintenance"] = "true"


@contextmanager
def work_pools_read_once(client: Any) -> Iterator[None]:
    """Cache the work pools and workers, which `Flow.deploy` reads twice for each deployment.

    They are half of its requests. Saves 3 s of 20. Remove when `Flow.deploy` accepts a work pool
    that was read already.
    """
    names = ("read_work_pool", "read_workers_for_work_pool")
    with _replaced(client, {name: _cached(getattr(client, name)) for name in names}):
        yield


@contextmanager
def deployment_read_before(client: Any, row: dict[str, Any] | None) -> Iterator[None]:
    """Let `Flow.deploy` use a row that was just read, instead of reading the deployment by name.

    Args:
        client: Prefect's client.
        row: the server's answer for the deployment; None lets `Flow.deploy` read it.

    Saves one of four requests for each deployment that is updated. Remove when `Flow.deploy`
    accepts the id of a deployment.
    """
    from prefect.client.schemas.responses import DeploymentResponse

    async def read(_name: str) -> DeploymentResponse:
        return DeploymentResponse.model_validate(row)

    with _replaced(client, {"read_deployment_by_name": read} if row else {}):
        yield


@contextmanager
def _replaced(client: Any, methods: dict[str, Callable[..., Awaitable[Any]]]) -> Iterator[None]:
    """Replace methods of a client, and restore them at the end."""
    for name, method in methods.items():
        setattr(client, name, method)
    try:
        yield
    finally:
        for name in methods:
            delattr(client, name)


def _cached(read: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    answers: dict[str, Any] = {}

    async def read_once(pool: str, **options: Any) -> Any:
        if pool not in answers:
            answers[pool] = await read(pool, **options)
        return answers[pool]

    return read_once
