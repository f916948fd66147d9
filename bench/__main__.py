"""`python -m bench`: measure, print a Markdown report, exit with 1 where a threshold is missed."""
# ruff: noqa: T201 - it speaks to a person

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
from collections import defaultdict
from statistics import median

import prefect

from bench import images, pipeline
from bench.measure import Cost
from bench.report import Report
from bench.subject import DEPLOY_ALL, DEPLOYER, Subject, fresh_server, rows_on, settle, subject
from tests.support.server import PrefectServer

PARTS = ("deployer", "pipeline", "images")
CASES = ("create", "nothing changed", "all changed")
INTRODUCTION = """\
# Speed and size

- server: Prefect {prefect} on Python {python}, SQLite, every setting at its default but {settings}
- machine: {machine}, {cores} cores, load {load} at the start
"""
OF_THE_DEPLOYER = """\
# The deployer

Every figure is the median of {repeat} runs of a whole command as a person waits for it, start of
the interpreter included, from the same environment with compiled modules, in one project with one
flow a deployment and a schedule on every second one. Both sides have deployments of their own on
one server, take turns in going first, and wait until the scheduler is done with the last case;
each round has a fresh server.
"""
WANTED = (
    ("nothing changed", "plan", 20),
    ("nothing changed", "deploy", 20),
    ("all changed", "deploy", 2),
    ("create", "deploy", 2),
)
NO_VERIFY = {"plan": (), "deploy": ("--no-verify",)}


def main(argv: list[str] | None = None) -> int:
    """Measure everything and print the report."""
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
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

    report = Report([introduction()])
    parts = args.only or PARTS
    if "deployer" in parts:
        report.lines.append(OF_THE_DEPLOYER.format(repeat=args.repeat))
        start_up(report, max(args.repeat, 5))
        if args.deployments:
            side_by_side(report, args.deployments, args.repeat)
        if args.many:
            many(report, args.many, args.repeat)
    if "pipeline" in parts:
        pipeline.measure(report, args.repeat)
    if "images" in parts:
        images.measure(report, args.repeat)
    print(report.text())
    return 0 if all(reached for *_, reached in report.thresholds) else 1


def introduction() -> str:
    """Say what is measured, and where."""
    server = PrefectServer(sys.executable, ".")
    changed = [name for name in server.environment() if name.startswith("PREFECT_")]
    return INTRODUCTION.format(
        prefect=prefect.__version__,
        python=platform.python_version(),
        settings=", ".join(f"`{name}`" for name in sorted(changed)),
        machine=platform.machine(),
        cores=os.cpu_count(),
        load=f"{os.getloadavg()[0]:.1f}",
    )


def start_up(report: Report, repeat: int) -> None:
    """Compare the start of the deployer with what no user of Prefect can avoid."""
    commands = {
        "python -c 'import prefect'": [sys.executable, "-c", "import prefect"],
        "python -m deployer --help": [*DEPLOYER, "--help"],
        "python -m deployer check": [*DEPLOYER, "check"],
    }
    costs = defaultdict(list)
    with subject(0) as made:
        for number in range(repeat + 1):
            for name, command in commands.items():
                cost = made.run(*command)
                if number:  # the first one compiles
                    costs[name].append(cost.seconds)
    found = {name: median(each) for name, each in costs.items()}
    rows = [[f"`{name}`", f"{seconds:.2f}"] for name, seconds in found.items()]
    report.table("Start-up, with an empty catalog", ["command", "s"], rows)
    unavoidable, *ours = found
    for name in ours:
        extra = found[name] - found[unavoidable]
        report.want(f"`{name}` over `import prefect`", f"{extra:+.2f} s", "+0.30 s", extra <= 0.3)


def side_by_side(report: Report, size: int, repeat: int) -> None:
    """Compare the deployer with `prefect deploy --all`."""
    costs: dict[tuple[str, str], list[float]] = defaultdict(list)
    with subject(size) as made:
        for number in range(repeat):
            with fresh_server(made) as server:
                for case in CASES:
                    for what, cost in one_case(made, server, case, number % 2 == 0).items():
                        costs[case, what].append(cost.seconds)
    found = {key: median(each) for key, each in costs.items()}
    times = {(case, what): found[case, "prefect"] / found[case, what] for case, what in found}
    rows = [
        [case, f"{found[case, 'prefect']:.1f}"]
        + [
            text
            for what in ("deploy", "plan")
            for text in (f"{found[case, what]:.1f}", f"1/{times[case, what]:.1f}")
        ]
        for case in CASES
    ]
    head = ["case", "`prefect deploy --all` s"]
    head += ["`deployer deploy --no-verify` s", "ratio", "`deployer plan` s", "ratio"]
    title = f"{size} deployments, half with schedules"
    report.table(title, head, rows)
    for case, what, wanted in WANTED:
        label = f"{size} deployments, {case}: `{what}` to `prefect deploy --all`"
        ratio = times[case, what]
        report.want(label, f"1/{ratio:.1f}", f"under 1/{wanted}", ratio > wanted)


def one_case(
    made: Subject, server: PrefectServer, case: str, prefect_first: bool
) -> dict[str, Cost]:
    """Measure one case on both sides, and see that the server holds what it should."""
    wanted = 2 if case == "all changed" else 1
    if case == "all changed":
        made.declare(wanted)
    commands = {
        "prefect": DEPLOY_ALL,
        "plan": (*DEPLOYER, "plan", "deployer"),
        "deploy": (*DEPLOYER, "deploy", "deployer", "--no-verify"),
    }
    costs = {}
    for what in commands if prefect_first else ("plan", "deploy", "prefect"):
        costs[what] = made.run(*commands[what])
        say(f"{made.size} deployments, {case}: {what}", costs[what])
        settle(server)
    for environment in ("deployer", "yaml"):
        held = rows_on(server, environment)
        if held != [wanted] * made.size:
            raise RuntimeError(f"{environment} holds {held}, not {made.size} times {wanted}")
    return costs


def many(report: Report, size: int, repeat: int) -> None:
    """Measure a catalog of many deployments that are all there already."""
    costs: dict[str, list[Cost]] = defaultdict(list)
    with subject(size) as made, fresh_server(made) as server:
        costs["create, `deploy`, once"].append(made.deployer("deploy", "deployer", "--no-verify"))
        say(f"{size} deployments, create: deploy", costs["create, `deploy`, once"][0])
        settle(server)
        for _ in range(repeat):
            for what, options in NO_VERIFY.items():
                cost = made.deployer(what, "deployer", *options)
                costs[f"nothing changed, `{what}`"].append(cost)
                say(f"{size} deployments, nothing changed: {what}", cost)
    rows = []
    for case, each in costs.items():
        seconds, megabytes = median(c.seconds for c in each), median(c.megabytes for c in each)
        rows.append([case, f"{seconds:.1f}", f"{megabytes:.0f}"])
        if case.startswith("nothing"):
            label = f"{size} deployments, {case}"
            report.want(label, f"{seconds:.1f} s", "under 15 s", seconds < 15)
            report.want(f"{label}: peak RSS", f"{megabytes:.0f} MB", "300 MB", megabytes < 300)
    title = f"{size} deployments, half with schedules"
    report.table(title, ["command", "s", "peak RSS MB"], rows)


def say(what: str, cost: Cost) -> None:
    """Tell a person what was measured, while the rest goes on."""
    print(f"{what}: {cost.seconds:.1f} s", file=sys.stderr, flush=True)


sys.exit(main())
