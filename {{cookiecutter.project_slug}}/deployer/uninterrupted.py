"""What must not be cut short by Ctrl-C or SIGTERM."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Wait for a coroutine to its end, and only then give in to a cancel.

    A write that is cut short may still reach the server, after what was there was put back.

    Raises:
        asyncio.CancelledError: it was asked for meanwhile.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled:
        task.exception()  # or asyncio complains that nobody looked at it
        raise cancelled
    return task.result()
