"""What `doctor` reports: something that is wrong, why it matters and what mends it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        what: what is wrong, with the value.
        why: why that matters.
        mend: a command or an action.
        fatal: whether a deploy, or its runs, fail because of it.
    """

    what: str
    why: str
    mend: str
    fatal: bool


def text(findings: Sequence[Finding]) -> str:
    """Return findings for a terminal, what is fatal first."""
    if not findings:
        return "Everything looks well."
    ordered = sorted(findings, key=lambda finding: not finding.fatal)
    return "\n\n".join(
        f"{'error' if each.fatal else 'warning'}: {each.what}\n"
        f"    why:  {each.why}\n"
        f"    mend: {each.mend}"
        for each in ordered
    )
