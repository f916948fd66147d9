"""Where the time of a cold build goes, step by step: `python -m bench.cold_build_steps`.

Not a part of BENCHMARKS.md, because the steps of two Dockerfiles cannot be compared row by row.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from statistics import median

from bench.images import DEFAULT, images
from bench.measure import load, measure, rounds
from bench.samples import OURS

# BuildKit's plain progress: a step's number, then its name, a line that it printed, or its end.
LINE = re.compile(r"^#(\d+) (.*)$", re.MULTILINE)
NAME = re.compile(r"\[|exporting to image")
END = re.compile(r"DONE ([\d.]+)s")
# Lines that divide a step which installs: pip has installed uv, and uv has installed all packages.
MARK = re.compile(r"([\d.]+) +(Successfully installed|Installed)\b")
WHOLE = "whole build"
SHORTEST = 0.1  # seconds of a step that is worth a line


def main(argv: Sequence[str] | None = None) -> int:
    """Build this template's image and Prefect's default in turn, and print their steps."""
    parser = argparse.ArgumentParser(prog="python -m bench.cold_build_steps", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(argv)
    found: dict[str, dict[str, list[float]]] = {OURS: {}, DEFAULT: {}}
    begin = load()
    with images() as made:
        for turns in rounds(list(found), options.rounds):
            for who in turns:
                folder = made[who].folder
                build = ["docker", "build", "--no-cache", "--progress=plain", "--tag"]
                cost = measure([*build, made[who].tag, "."], folder, os.environ)
                for name, seconds in {**steps(cost.output), WHOLE: cost.seconds}.items():
                    found[who].setdefault(name, []).append(seconds)
    print(f"Load {begin} to {load()}")
    for who, by_name in found.items():
        print(f"\n{who}, medians of {options.rounds} cold builds:")
        for name, values in by_name.items():
            if median(values) >= SHORTEST:
                print(f"{median(values):6.1f} s  {name}")
    return 0


def steps(output: str) -> dict[str, float]:
    """Return the seconds of each step by its name, in the order in which they ended.

    Args:
        output: what `docker build --progress=plain` printed.
    """
    names: dict[str, str] = {}
    marks: dict[str, dict[str, float]] = {}
    found: dict[str, float] = {}
    for number, text in LINE.findall(output):
        if NAME.match(text):
            names.setdefault(number, text[:70])
        elif mark := MARK.match(text):
            marks.setdefault(number, {})[mark[2]] = float(mark[1])
        elif (end := END.fullmatch(text)) and number in names:
            name, begin = names[number], 0.0
            for said, at in marks.get(number, {}).items():
                found[f"{name}: until `{said}`"] = at - begin
                begin = at
            found[name + ": the rest" * (number in marks)] = float(end[1]) - begin
    return found


if __name__ == "__main__":
    sys.exit(main())
