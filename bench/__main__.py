"""`python -m bench`: measure, print a Markdown report, exit with 1 where a threshold is missed."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys

import prefect

from bench import deploys, images, pipeline
from bench.measure import load
from bench.report import Report
from tests.support.server import PrefectServer

PARTS = ("deployer", "pipeline", "images")
INTRODUCTION = """\
# Speed and size

- server: Prefect {prefect} on Python {python}, SQLite, every setting at its default but {settings}
- machine: {machine}, {cores} cores, load {load} at the start
"""


def main(argv: list[str] | None = None) -> int:
    """Measure what the command line names and print the report.

    Returns:
        The exit code: 1 if a threshold was missed.
    """
    parser = argparse.ArgumentParser(prog="nox -s bench --", description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=PARTS, help="measure this part, and others named so"
    )
    parser.add_argument("--repeat", type=int, default=3, help="rounds (default 3)")
    parser.add_argument("--deployments", type=int, default=100, help="default 100; 0 leaves it out")
    parser.add_argument("--many", type=int, default=1000, help="default 1000; 0 leaves it out")
    args = parser.parse_args(argv)
    # Servers live in process groups of their own: they end with this process only when it unwinds.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # A person's own settings would change the figures.
    for name in list(os.environ):
        if name.startswith("PREFECT_") or name == "PYTHONDONTWRITEBYTECODE":
            del os.environ[name]

    report = Report([introduction()])
    parts = args.only or PARTS
    if "deployer" in parts:
        deploys.measure(report, args.repeat, args.deployments, args.many)
    if "pipeline" in parts:
        pipeline.measure(report, args.repeat)
    if "images" in parts:
        images.measure(report, args.repeat)
    print(report.text())
    return 0 if all(reached for *_, reached in report.thresholds) else 1


def introduction() -> str:
    """Return what the server and the machine are, as Markdown."""
    server = PrefectServer(sys.executable, ".")
    changed = [name for name in server.environment() if name.startswith("PREFECT_")]
    return INTRODUCTION.format(
        prefect=prefect.__version__,
        python=platform.python_version(),
        settings=", ".join(f"`{name}`" for name in sorted(changed)),
        machine=platform.machine(),
        cores=os.cpu_count(),
        load=load(),
    )


sys.exit(main())
