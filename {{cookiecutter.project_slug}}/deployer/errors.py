"""Errors for people: the deployer's exception, and findings about a server or an image."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape


class DeployerError(Exception):
    """An error that a person can fix: a sentence for each problem, without a traceback.

    Args:
        problems: sentences that name the value, what is wrong with it and what to do.

    Attributes:
        details: Markdown for the job summary, below the problems.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
        self.details = ""


@dataclass(frozen=True)
class Finding:
    """One problem that was found.

    Attributes:
        what: what is wrong, with the value.
        why: why that matters.
        fix: a command or an action.
        fatal: whether a deploy, or its runs, fail because of it.
    """

    what: str
    why: str
    fix: str
    fatal: bool = False

    def __str__(self) -> str:
        """Return the error message of a command that cannot continue."""
        return f"{self.what} To fix it: {self.fix}"


def on_one_line(text: str) -> str:
    """Escape characters that cannot be printed, such as a line break in a name."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def short_digests(text: str) -> str:
    """Shorten each image digest in a text to its first 12 digits."""
    return re.sub(r"(sha256:[0-9a-f]{12})[0-9a-f]{52}", r"\1…", text)


def cell(text: str) -> str:
    """Escape a text for a cell of a Markdown table, so that none of it is markup."""
    return re.sub(r"([|`*_])", r"\\\1", escape(text, quote=False))


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 deployment`, `2 deployments`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def reason(error: BaseException) -> str:
    """Return the first useful line of an error's message, or the error's type."""
    name = type(error).__name__
    first, *rest = str(error).splitlines() or [name]
    if name == "ValidationError" and len(rest) > 1:  # pydantic: a count, then field and fault
        return f"{rest[0]}: {rest[1].split(' [')[0].strip()}"
    return first


def failure(environment: str, problems: tuple[str, ...]) -> str:
    """Return the problems as Markdown, for the job summary."""
    text = "\n".join(problems)
    return f"### {environment}: failed\n\n~~~~text\n{text}\n~~~~\n"
