"""Reports the vulnerabilities that a scanner found in an image, and fails at a threshold.

`python3 -m tools.vulnerabilities FILE --threshold high`: FILE is Grype's JSON.
Standard library only.
"""
# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SEVERITIES = ("negligible", "low", "medium", "high", "critical")  # in Grype's words
SHOWN = 20  # rows


@dataclass(frozen=True, order=True)
class Finding:
    """A known vulnerability of a package.

    Attributes:
        rank: the index of its severity in SEVERITIES; -1 if that is unknown.
        name: such as `CVE-2026-1234`.
        package: with its version.
        fixed: the versions that do not have it; empty if there is none yet.
    """

    rank: int
    name: str
    package: str
    fixed: str

    @property
    def severity(self) -> str:
        """Its severity, as a word."""
        return SEVERITIES[self.rank] if self.rank >= 0 else "unknown"


def parse(report: dict[str, Any]) -> list[Finding]:
    """Return what Grype found, the worst first."""
    found = set()
    for match in report["matches"]:
        vulnerability, artifact = match["vulnerability"], match["artifact"]
        severity = vulnerability.get("severity", "").lower()
        rank = SEVERITIES.index(severity) if severity in SEVERITIES else -1
        fixed = ", ".join((vulnerability.get("fix") or {}).get("versions") or [])
        package = f"{artifact['name']} {artifact['version']}"
        found.add(Finding(rank, vulnerability["id"], package, fixed))
    return sorted(found, key=lambda each: (-each.rank, not each.fixed, each.name, each.package))


def too_much(found: list[Finding], threshold: str) -> list[Finding]:
    """Return the findings that reach the threshold; none if it is empty."""
    return [each for each in found if threshold and each.rank >= SEVERITIES.index(threshold)]


def markdown(found: list[Finding], threshold: str) -> str:
    """Return a summary: how many of each severity, and the worst of them."""
    counted = Counter(each.severity for each in found)
    ordered = [name for name in (*reversed(SEVERITIES), "unknown") if counted[name]]
    counts = ", ".join(f"{counted[name]} {name}" for name in ordered) or "none"
    lines = [f"### Known vulnerabilities: {counts}", ""]
    if found:
        lines += ["| severity | vulnerability | package | fixed in |", "| --- | --- | --- | --- |"]
        lines += [
            f"| {each.severity} | {each.name} | {each.package} | {each.fixed or '-'} |"
            for each in found[:SHOWN]
        ]
        more = len(found) - SHOWN
        lines += ["", *([f"… and {more} more."] if more > 0 else [])]
    stopping = len(too_much(found, threshold))
    if stopping:
        lines.append(
            f"**{stopping} of them reach VULNERABILITY_THRESHOLD, which is {threshold}: nothing is "
            "deployed.** `gh workflow run deploy.yml -f rebuild=true` takes the newest base image."
        )
    return "\n".join(lines) + "\n"


def main(argv: list[str] | None = None) -> int:
    """Print the summary; return 1 if a vulnerability reaches the threshold."""
    parser = argparse.ArgumentParser(prog="python -m tools.vulnerabilities", description=__doc__)
    parser.add_argument("report", type=Path, help="Grype's JSON")
    parser.add_argument("--threshold", default="", help="the lowest severity that stops a deploy")
    options = parser.parse_args(argv)
    threshold = options.threshold.lower()
    if threshold and threshold not in SEVERITIES:
        print(
            f"error: VULNERABILITY_THRESHOLD is {options.threshold!r}, which is no severity: "
            f"use one of {', '.join(SEVERITIES)}.",
            file=sys.stderr,
        )
        return 1
    try:
        found = parse(json.loads(options.report.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        print(f"error: {options.report} is no report of Grype: {error}", file=sys.stderr)
        return 1
    print(markdown(found, threshold))
    return 1 if too_much(found, threshold) else 0


if __name__ == "__main__":
    sys.exit(main())
