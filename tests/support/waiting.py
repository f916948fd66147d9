"""Wait for a condition, with a timeout."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def eventually(
    look: Callable[[], Found | None],
    within: float = 90,
    every: float = 0.1,
    about: Callable[[], object] | None = None,
) -> Found:
    """Call `look` until its result is true, and return the result.

    Args:
        look: called repeatedly; exceptions that it raises are not caught.
        within: timeout in seconds.
        every: seconds between two calls.
        about: returns the details for the error message, by default the last result.

    Raises:
        TimeoutError: the result was not true in time.
    """
    end = time.monotonic() + within
    while not (found := look()):
        if time.monotonic() > end:
            raise TimeoutError(f"not within {within:.0f} s: {about() if about else found!r}")
        time.sleep(every)
    return found
