"""Convert a flow's docstring to Markdown, because Prefect's UI shows it as Markdown. Pure.

Unconverted, the lines of a section in Google style, such as `Args:`, would run together.
"""

from __future__ import annotations

import re
from textwrap import dedent

LISTS = ("Args", "Arguments", "Parameters", "Keyword Args", "Attributes", "Raises")
TEXTS = ("Returns", "Yields")
# The name of a section, and the indented lines below it.
SECTION = re.compile(
    rf"^({'|'.join(LISTS + TEXTS)}):[ \t]*\n((?:(?:[ \t].*)?\n)*[ \t]+\S.*)", re.MULTILINE
)
ITEM = re.compile(r"^(\*{0,2}[\w.]+)( \(.*?\))?:(?=\s)", re.MULTILINE)


def markdown(docstring: str) -> str:
    """Return a docstring whose sections have bold titles and list their items.

    Other text stays as it is.
    """
    before, *rest = SECTION.split(docstring)
    if not rest:
        return docstring
    blocks = [before]
    for name, lines, after in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
        body = dedent(lines)
        blocks += [f"**{name}**", ITEM.sub(r"- `\1`\2:", body) if name in LISTS else body, after]
    return "\n\n".join(each.strip("\n") for each in blocks if each.strip())
