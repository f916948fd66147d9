"""The one exception that a person is meant to read."""

from __future__ import annotations


class DeployerError(Exception):
    """A person can mend this: one sentence for each problem, printed without a traceback.

    Args:
        problems: sentences that name the value, what is wrong with it and what to do.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def on_one_line(text: str) -> str:
    """Escape what would break a sentence apart, such as a line break in a name."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def reason(error: BaseException) -> str:
    """Return the first line of an error's text, or what it is where it has none."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def failure(environment: str, problems: tuple[str, ...]) -> str:
    """Return the problems as Markdown, for the summary of a job."""
    text = "\n".join(problems)
    return f"### {environment}: failed\n\n~~~~text\n{text}\n~~~~\n"
