"""Every change to the inside of Prefect, and of Python for Prefect's sake, that the deployer makes.

Each function says what it changes, why, what that saves and when it can go. The times are those of
100 deployments on SQLite, two processors.
"""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

UNCOUNTED = 20  # tries of one request that a busy server may refuse


def collect_garbage_rarely() -> None:
    """Let the garbage collector run seldom: it looks again and again at modules that stay anyway.

    Saves a fifth of the import of Prefect. Until Prefect imports less, or freezes it itself.
    """
    gc.set_threshold(100_000, 50, 100)


def skip_last_collection() -> None:
    """Leave all objects to the system, which frees them at once, when the process ends.

    Saves 0.1 s of each command. Until Python does so itself.
    """
    gc.freeze()


def retry_soon(client: httpx.AsyncClient) -> None:
    """Ask a busy SQLite, which answers 503, often and for half a minute: each try may succeed.

    Prefect's client asks five times more, 2, 4, 8 … seconds apart, which is too few on a server
    that is busy with its own schedules. Saves half the time of a large deploy. Until Prefect's
    server sends `Retry-After` with its 503.
    """
    client.event_hooks["response"].append(_come_again_soon)


async def _come_again_soon(response: httpx.Response) -> None:
    if response.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        asked = response.request.extensions
        tries = asked["tries"] = asked.get("tries", 0) + 1
        response.headers.setdefault("Retry-After", str(min(0.1 * 2**tries, 2)))
        if tries <= UNCOUNTED:  # the client does not count what is answered during maintenance
            response.headers["Prefect-Maintenance"] = "true"


@contextmanager
def asking_once(client: Any) -> Iterator[None]:
    """Answer `Flow.deploy` from memory what it asks anew, and twice, for each deployment.

    Half of its requests are for the work pool and its workers. Saves 3 s of 20. Until
    `Flow.deploy` takes a work pool that was read already.
    """
    asked = ("read_work_pool", "read_workers_for_work_pool")
    with _answering(client, {each: _remembered(getattr(client, each)) for each in asked}):
        yield


@contextmanager
def knowing(client: Any, row: dict[str, Any] | None) -> Iterator[None]:
    """Answer `Flow.deploy` whether there is a deployment of its name, where it was just read.

    Args:
        client: Prefect's.
        row: what the server answered for it; None lets `Flow.deploy` ask.

    Saves one of four requests for each deployment that is updated. Until `Flow.deploy` takes the id
    of a deployment.
    """
    from prefect.client.schemas.responses import DeploymentResponse

    async def answer(_name: str) -> DeploymentResponse:
        return DeploymentResponse.model_validate(row)

    with _answering(client, {"read_deployment_by_name": answer} if row else {}):
        yield


@contextmanager
def _answering(client: Any, answers: dict[str, Callable[..., Awaitable[Any]]]) -> Iterator[None]:
    """Let a client answer some questions so, and as ever at the end."""
    for question, answer in answers.items():
        setattr(client, question, answer)
    try:
        yield
    finally:
        for question in answers:
            delattr(client, question)


def _remembered(ask: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    answers: dict[str, Any] = {}

    async def answer(pool: str, **options: Any) -> Any:
        if pool not in answers:
            answers[pool] = await ask(pool, **options)
        return answers[pool]

    return answer
