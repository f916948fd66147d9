"""Print for a person: the report on stdout, progress and errors on stderr.

Colours are for terminals that support them. Otherwise (pipes, `NO_COLOR`, `TERM=dumb`) the text is
the same, without escape codes. Lines are never wrapped here.
A message to stderr is dropped if its terminal is closed or the reader of its pipe has gone: it must
not stop a rollback.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache

from rich.console import Console
from rich.text import Text

from deployer import alive
from deployer.credentials import mask_text


class Stderr(Console):
    """The console of stderr."""

    def on_broken_pipe(self) -> None:
        """Drop the text; rich would redirect stdout to nowhere and exit."""


@cache
def console(stderr: bool = False) -> Console:
    """Return the console of stdout, or that of stderr."""
    # With NO_COLOR alone, rich would still print bold and dim.
    plain = bool(os.environ.get("NO_COLOR"))
    kind = Stderr if stderr else Console
    return kind(stderr=stderr, color_system=None if plain else "auto", highlight=False)


def show(report: Text | str) -> None:
    """Print a report; Markdown and JSON are `str` and stay as they are."""
    alive.clear()
    if isinstance(report, Text):
        console().print(_masked(report), soft_wrap=True)
    else:
        print(mask_text(report), flush=True)


def say(message: str) -> None:
    """Print a message about progress, or a warning."""
    _tell(Text(message))


def fail(problem: str) -> None:
    """Print an error."""
    _tell(Text.assemble(("error:", "bold red"), f" {problem}"))


def _tell(message: Text) -> None:
    alive.clear()
    with suppress(OSError):
        console(stderr=True).print(_masked(message), soft_wrap=True)


def _masked(report: Text) -> Text:
    """Mask credentials in a report. A report with a mask loses its colours."""
    text = mask_text(report.plain)
    return report if text == report.plain else Text(text)
