"""What `up` says: colours and elapsed time are for terminals that take them, else plain lines."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.progress import Progress, SpinnerColumn, TimeElapsedColumn

# A file or a pipe has no width to keep to, and a name can be found there only in one piece.
WIDTH = None if sys.stdout.isatty() else 1000
console = Console(
    width=WIDTH,
    # With NO_COLOR rich itself leaves bold and dim.
    color_system=None if os.environ.get("NO_COLOR") else "auto",
    markup=False,
    emoji=False,
    highlight=False,
)


def say(what: RenderableType) -> None:
    """Print text or a table at once."""
    console.print(what)


@contextmanager
def waiting() -> Iterator[None]:
    """Show on a terminal for how long this lasts already; the deployer does so itself."""
    if console.color_system is None:
        yield
        return
    columns = (SpinnerColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, redirect_stderr=False) as progress:
        progress.add_task("")
        yield
