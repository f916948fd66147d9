"""What `up` says while it works: with colour and elapsed time on a terminal, else plain lines."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

# A file or a pipe has no width to keep to, and a name can be found there only in one piece.
WIDTH = None if sys.stdout.isatty() else 1000
console = Console(width=WIDTH, markup=False, emoji=False, highlight=False)


def say(what: RenderableType) -> None:
    """Print text or a table at once."""
    console.print(what)


@contextmanager
def working(name: str) -> Iterator[None]:
    """Say what is being done; a terminal shows for how long already."""
    if not console.is_interactive:
        say(f"{name} …")
        yield
        return
    name_column = TextColumn("{task.description}", markup=False)
    columns = (SpinnerColumn(finished_text="✓"), name_column, TimeElapsedColumn())
    is_seen = sys.stderr.isatty()  # what goes to a file stays out of the way
    with Progress(*columns, console=console, redirect_stderr=is_seen) as progress:
        task = progress.add_task(name, total=1)
        yield
        progress.advance(task)
