"""Prints the messages of `up`: in colours if the terminal has them, else in plain lines."""

from __future__ import annotations

import os
import sys

from rich.console import Console, RenderableType

from deployer import alive

# A file or a pipe has no width, and a name that is wrapped there cannot be searched for.
WIDTH = None if sys.stdout.isatty() else 1000
console = Console(
    width=WIDTH,
    # With NO_COLOR alone, rich still prints bold and dim text.
    color_system=None if os.environ.get("NO_COLOR") else "auto",
    markup=False,
    emoji=False,
    highlight=False,
)


def say(what: RenderableType) -> None:
    """Print text or a table at once."""
    alive.clear()
    console.print(what)
