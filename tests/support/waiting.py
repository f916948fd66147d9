"""Waiting that has an end."""

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
    """Look until what is found is true, and return it.

    Args:
        look: asked again and again; what it raises ends the waiting.
        within: how many seconds it may take.
        every: the seconds between two looks.
        about: says what a person needs to see when it takes longer; without it, what was found.

    Raises:
        TimeoutError: it took longer.
    """
    end = time.monotonic() + within
    while not (found := look()):
        if time.monotonic() > end:
            raise TimeoutError(f"not within {within:.0f} s: {about() if about else found!r}")
        time.sleep(every)
    return found
