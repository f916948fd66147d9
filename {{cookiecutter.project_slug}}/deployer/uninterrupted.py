"""Let a write finish before Ctrl-C or SIGTERM takes effect."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Wait until a coroutine has ended, and only then raise a cancellation.

    A write that is interrupted may still reach the server, after the old state was restored.

    Raises:
        asyncio.CancelledError: the task was cancelled meanwhile.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled:
        task.exception()  # or asyncio warns that the exception was never retrieved
        raise cancelled
    return task.result()
