"""What is printed at the end: tables, and the thresholds with what was measured."""

from __future__ import annotations

import os
from dataclasses import dataclass, field


@dataclass
class Report:
    """What is printed at the end, in one piece.

    Attributes:
        lines: Markdown.
        thresholds: what was measured, the figure, the wanted one, and whether it was reached.
    """

    lines: list[str] = field(default_factory=list)
    thresholds: list[tuple[str, str, str, bool]] = field(default_factory=list)

    def table(self, title: str, head: list[str], rows: list[list[str]]) -> None:
        """Add a table."""
        lines = [head, ["---"] * len(head), *rows]
        self.lines += [f"## {title}", "", *(f"| {' | '.join(cells)} |" for cells in lines), ""]

    def want(self, what: str, figure: str, wanted: str, reached: bool) -> None:
        """Add a threshold."""
        self.thresholds.append((what, figure, wanted, reached))

    def text(self) -> str:
        """Return all of it, with the thresholds."""
        head = ["what", "measured", "wanted", "reached"]
        rows = [[*each, "yes" if reached else "**no**"] for *each, reached in self.thresholds]
        self.table("Thresholds", head, rows)
        return "\n".join([*self.lines, f"Load at the end: {os.getloadavg()[0]:.1f}."])
