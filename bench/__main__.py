"""`uvx nox -s bench`: measure, save the samples, and write BENCHMARKS.md from all saved samples."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path

from bench.measure import lacks, load, machine, versions
from bench.report import Part, render
from bench.samples import Measured, Sample, gather
from bench.sections import SECTIONS

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"
PARTS = [part for section in SECTIONS for part in section.parts]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure the chosen parts and write the report. Return 0, or 2 for an unknown part."""
    parser = argparse.ArgumentParser(prog="nox -s bench --", description=__doc__)
    parser.add_argument("--only", action="append", metavar="PART", help="a name; * matches several")
    parser.add_argument("--quick", action="store_true", help="only parts that take < 5 minutes")
    parser.add_argument("--rounds", type=int, help="number of rounds, instead of each part's own")
    parser.add_argument("--render", action="store_true", help="measure nothing, write the report")
    options = parser.parse_args(argv)
    chosen = [
        part
        for part in PARTS
        if not options.only or any(fnmatch(part.name, pattern) for pattern in options.only)
    ]
    if not chosen:
        parser.error(f"there is no such part: choose from {', '.join(part.name for part in PARTS)}")
    # Servers run in process groups of their own. SystemExit lets the context managers stop them.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # A person's own settings would change the figures.
    for name in list(os.environ):
        if name.startswith("PREFECT_") or name == "PYTHONDONTWRITEBYTECODE":
            del os.environ[name]
    try:
        for part in [] if options.render else chosen:
            rounds = part.quick if options.quick else options.rounds or part.rounds
            if rounds and lacks(part.needs):
                print(f"{part.name}: not measured, because there is no {part.needs} here.")
            elif rounds:
                take(part, rounds)
            elif options.only:
                print(f"{part.name}: not measured, because --quick leaves it out.")
    finally:
        write()  # a part that fails leaves the samples of the parts before it
    return 0


def take(part: Part, rounds: int) -> None:
    """Measure a part and save its samples; if it fails, save none of them."""
    begin = load()
    samples: list[Sample] = []
    with closing(part.measure(rounds)) as measuring:
        for sample in measuring:
            print(f"{part.name}: {sample.row}, {sample.who}: {sample.value:.2f} {sample.unit}")
            samples.append(sample)
    Measured(
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        machine=machine(),
        versions=versions(part.needs),
        rounds=rounds,
        load=(begin, load()),
        rows=gather(samples),
    ).write(RESULTS / f"{part.name}.json")


def write() -> None:
    """Write the report and its plots from the samples on disk."""
    from bench.plots import draw  # takes a second, and is not needed to measure

    files = {part.name: RESULTS / f"{part.name}.json" for part in PARTS}
    measured = {name: Measured.read(file) for name, file in files.items() if file.exists()}
    draw(measured, RESULTS)
    (ROOT / "BENCHMARKS.md").write_text(render(SECTIONS, measured), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
