"""What a person sees: the report on stdout, progress and errors on stderr.

Colours and the spinner are for terminals that take them. Elsewhere (pipes, `NO_COLOR`, `TERM=dumb`)
the text is the same without a single escape code. Lines are never wrapped here.
"""

from __future__ import annotations

import os
from asyncio import AbstractEventLoop
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from rich.console import Console
from rich.text import Text

from deployer.credentials import cover

PATIENCE = 2  # seconds before the spinner shows


@cache
def console(stderr: bool = False) -> Console:
    """Return the console of stdout, or that of stderr."""
    # With NO_COLOR rich itself leaves bold and dim.
    plain = bool(os.environ.get("NO_COLOR"))
    return Console(stderr=stderr, color_system=None if plain else "auto", highlight=False)


def show(report: Text | str) -> None:
    """Print a report; Markdown and JSON are `str` and stay as they are."""
    if isinstance(report, Text):
        console().print(_covered(report), soft_wrap=True)
    else:
        print(cover(report), flush=True)


def say(message: str) -> None:
    """Tell about progress."""
    console(stderr=True).print(_covered(Text(message)), soft_wrap=True)


def fail(problem: str) -> None:
    """Print an error."""
    message = Text.assemble(("error:", "bold red"), f" {problem}")
    console(stderr=True).print(_covered(message), soft_wrap=True)


def _covered(report: Text) -> Text:
    """Return a report as it is, or without its colours where something in it is masked."""
    text = cover(report.plain)
    return report if text == report.plain else Text(text)


@contextmanager
def spinner(loop: AbstractEventLoop) -> Iterator[None]:
    """Show on a terminal that a command is at work, and for how long."""
    stderr = console(stderr=True)
    if stderr.color_system is None or not stderr.file.isatty():  # FORCE_COLOR makes no terminal
        yield
        return
    from rich.progress import Progress, SpinnerColumn, TimeElapsedColumn

    # What goes to stdout is the report, which must not come out on stderr.
    columns = (SpinnerColumn(), TimeElapsedColumn())
    progress = Progress(*columns, console=stderr, transient=True, redirect_stdout=False)
    progress.add_task("")
    timer = loop.call_later(PATIENCE, progress.start)
    try:
        yield
    finally:
        timer.cancel()
        progress.stop()
