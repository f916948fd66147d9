"""Print for a person: the report on stdout, progress and errors on stderr.

Colours are for terminals that support them. Otherwise (pipes, `NO_COLOR`, `TERM=dumb`) the text is
the same, without escape codes. Lines are never wrapped here.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache

from rich.console import Console
from rich.text import Text

from deployer import alive
from deployer.credentials import mask_text


class _Stderr(Console):
    """A console whose reader may leave. Ctrl-C ends `tee` too, and a restore has to go on."""

    def on_broken_pipe(self) -> None:
        """Print nothing from now on, instead of ending the command as rich does."""
        self.quiet = True


@cache
def console(stderr: bool = False) -> Console:
    """Return the console of stdout, or that of stderr."""
    # With NO_COLOR alone, rich would still print bold and dim.
    plain = bool(os.environ.get("NO_COLOR"))
    kind = _Stderr if stderr else Console
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
    _to_stderr(Text(message))


def fail(problem: str) -> None:
    """Print an error."""
    _to_stderr(Text.assemble(("error:", "bold red"), f" {problem}"))


def _to_stderr(message: Text) -> None:
    alive.clear()
    with suppress(OSError):  # the terminal was closed
        console(stderr=True).print(_masked(message), soft_wrap=True)


def _masked(report: Text) -> Text:
    """Mask credentials in a report. A report with a mask loses its colours."""
    text = mask_text(report.plain)
    return report if text == report.plain else Text(text)
