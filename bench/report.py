"""The report: Markdown, with a last table of the thresholds and what was measured for each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bench.measure import load


@dataclass
class Report:
    """What is printed at the end, in one piece.

    Attributes:
        lines: Markdown.
        thresholds: what was measured, the figure, the wanted one, and whether it was reached.
    """

    lines: list[str] = field(default_factory=list)
    thresholds: list[tuple[str, str, str, bool]] = field(default_factory=list)

    def table(self, title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Add a table under a heading."""
        lines = [head, ["---"] * len(head), *rows]
        self.lines += [f"## {title}", "", *(f"| {' | '.join(cells)} |" for cells in lines), ""]

    def want(self, what: str, figure: str, wanted: str, reached: bool) -> None:
        """Add a threshold."""
        self.thresholds.append((what, figure, wanted, reached))

    def want_faster(self, what: str, ours: float, theirs: float, times: float) -> None:
        """Add the threshold that ours takes at most `1/times` of the seconds that theirs takes."""
        ratio = theirs / ours
        self.want(what, f"1/{ratio:.1f}", f"at most 1/{times:g}", ratio >= times)

    def text(self) -> str:
        """Return all of it, with the thresholds at the end."""
        head = ["what", "measured", "wanted", "reached"]
        rows = [[*each, "yes" if reached else "**no**"] for *each, reached in self.thresholds]
        self.table("Thresholds", head, rows)
        return "\n".join([*self.lines, f"Load at the end: {load()}."])
