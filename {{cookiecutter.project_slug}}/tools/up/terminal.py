"""What `up` says: in colours where a terminal takes them, else in plain lines."""

from __future__ import annotations

import os
import sys

from rich.console import Console, RenderableType

from deployer import alive

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
    alive.clear()
    console.print(what)
