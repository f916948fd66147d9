"""What a person is meant to read: the one exception, and what is wrong with a server or image."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape


class DeployerError(Exception):
    """A person can fix this: one sentence for each problem, printed without a traceback.

    Args:
        problems: sentences that name the value, what is wrong with it and what to do.

    Attributes:
        details: Markdown for the summary of a job, below the problems.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
        self.details = ""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

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
        """Say it as the error of a command that cannot go on."""
        return f"{self.what} To fix it: {self.fix}"


def on_one_line(text: str) -> str:
    """Escape what would break a sentence apart, such as a line break in a name."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def short_digests(text: str) -> str:
    """Return a text in which each image's digest has its first 12 digits alone."""
    return re.sub(r"(sha256:[0-9a-f]{12})[0-9a-f]{52}", r"\1…", text)


def cell(text: str) -> str:
    """Return a text for a cell of a Markdown table, in which nothing of it is markup."""
    return re.sub(r"([|`*_])", r"\\\1", escape(text, quote=False))


def reason(error: BaseException) -> str:
    """Return the first line of an error's text that says something, or what the error is."""
    name = type(error).__name__
    first, *rest = str(error).splitlines() or [name]
    if name == "ValidationError" and len(rest) > 1:  # pydantic counts, then names field and fault
        return f"{rest[0]}: {rest[1].split(' [')[0].strip()}"
    return first


def failure(environment: str, problems: tuple[str, ...]) -> str:
    """Return the problems as Markdown, for the summary of a job."""
    text = "\n".join(problems)
    return f"### {environment}: failed\n\n~~~~text\n{text}\n~~~~\n"
