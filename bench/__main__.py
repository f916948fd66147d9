"""`python -m bench`: measure, print a Markdown report, exit with 1 where a threshold is missed."""
# ruff: noqa: T201 - the report is for a person

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
from collections import defaultdict
from dataclasses import dataclass

import prefect

from bench.measure import Cost, middle
from bench.subject import DEPLOY_ALL, DEPLOYER, Subject, fresh_server, rows_on, settle, subject
from tests.support.server import PrefectServer

CASES = ("create", "nothing changed", "all changed")
INTRODUCTION = """\
# The deployer's speed

Every figure is the median of {repeat} runs of a whole command as a person waits for it, start of
the interpreter included, from the same environment with compiled modules, in one project with one
flow a deployment and a schedule on every second one. Both sides have deployments of their own on
one server, take turns in going first, and wait until the scheduler is done with the last case;
each round has a fresh server.

- server: Prefect {prefect} on Python {python}, SQLite, every setting at its default but {settings}
- machine: {machine}, {cores} cores, load {load} at the start
"""
Threshold = tuple[str, str, str, bool]


@dataclass(frozen=True)
class Row:
    """The medians of one case."""

    case: str
    prefect: Cost
    deploy: Cost
    plan: Cost


def main(argv: list[str] | None = None) -> int:
    """Measure everything and print the report."""
    parser = argparse.ArgumentParser(prog="nox -s bench --", description=__doc__)
    parser.add_argument("--repeat", type=int, default=3, help="rounds (default 3)")
    parser.add_argument("--deployments", type=int, default=100, help="default 100")
    parser.add_argument("--many", type=int, default=1000, help="default 1000; 0 leaves it out")
    args = parser.parse_args(argv)
    # Servers live in process groups of their own: they end with this process only when it unwinds.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

    print(introduction(args.repeat), flush=True)
    thresholds = start_up(max(args.repeat, 5))
    thresholds += side_by_side(args.deployments, args.repeat)
    if args.many:
        thresholds += many(args.many, args.repeat)
    print("## Thresholds\n\n| what | measured | wanted | reached |\n| --- | --- | --- | --- |")
    for what, measured, wanted, reached in thresholds:
        print(f"| {what} | {measured} | {wanted} | {'yes' if reached else '**no**'} |")
    print(f"\nLoad at the end: {os.getloadavg()[0]:.1f}.")
    return 0 if all(reached for *_, reached in thresholds) else 1


def introduction(repeat: int) -> str:
    """Say what is measured, and where."""
    server = PrefectServer(sys.executable, ".")
    changed = [name for name in server.environment() if name.startswith("PREFECT_")]
    return INTRODUCTION.format(
        repeat=repeat,
        prefect=prefect.__version__,
        python=platform.python_version(),
        settings=", ".join(f"`{name}`" for name in sorted(changed)),
        machine=platform.machine(),
        cores=os.cpu_count(),
        load=f"{os.getloadavg()[0]:.1f}",
    )


def start_up(repeat: int) -> list[Threshold]:
    """Compare the start of the deployer with what no user of Prefect can avoid."""
    commands = {
        "import": [sys.executable, "-c", "import prefect"],
        "--help": [sys.executable, "-m", "deployer", "--help"],
        "check": [sys.executable, "-m", "deployer", "check"],
    }
    costs = defaultdict(list)
    with subject(0) as made:
        for round_ in range(repeat + 1):
            for name, command in commands.items():
                cost = made.run(*command)
                if round_:  # the first one compiles
                    costs[name].append(cost)
    found = {name: middle(each) for name, each in costs.items()}
    print("## Start-up\n\n| command | s |\n| --- | --- |")
    print(f"| `python -c 'import prefect'` | {found['import'].seconds:.2f} |")
    print(f"| `python -m deployer --help` | {found['--help'].seconds:.2f} |")
    print(f"| `python -m deployer check`, empty catalog | {found['check'].seconds:.2f} |\n")
    more = {name: found[name].seconds - found["import"].seconds for name in ("--help", "check")}
    return [
        (f"`{name}` over `import prefect`", f"{extra:+.2f} s", "≤ +0.30 s", extra <= 0.3)
        for name, extra in more.items()
    ]


def side_by_side(size: int, repeat: int) -> list[Threshold]:
    """Compare the deployer with `prefect deploy --all`."""
    costs: dict[tuple[str, str], list[Cost]] = defaultdict(list)
    with subject(size) as made:
        for number in range(repeat):
            with fresh_server(made) as server:
                for case in CASES:
                    for what, cost in one_case(made, server, case, number % 2 == 0).items():
                        costs[case, what].append(cost)
    sides = ("prefect", "deploy", "plan")
    rows = [Row(case, *(middle(costs[case, side]) for side in sides)) for case in CASES]
    print(f"## {size} deployments, half with schedules\n")
    print("| case | `prefect deploy --all` s | `deployer deploy --no-verify` s | ratio ", end="")
    print("| `deployer plan` s | ratio |\n| --- | --- | --- | --- | --- | --- |")
    for row in rows:
        print(f"| {row.case} | {row.prefect.seconds:.1f} ", end="")
        for cost in (row.deploy, row.plan):
            print(f"| {cost.seconds:.1f} | 1/{row.prefect.seconds / cost.seconds:.1f} ", end="")
        print("|")
    print()
    found = {row.case: row for row in rows}
    wanted = [
        ("nothing changed", "plan", 20),
        ("nothing changed", "deploy", 20),
        ("all changed", "deploy", 2),
        ("create", "deploy", 2),
    ]
    thresholds = []
    for case, what, times in wanted:
        ratio = found[case].prefect.seconds / getattr(found[case], what).seconds
        label = f"{size} deployments, {case}: {what}"
        thresholds.append((label, f"1/{ratio:.1f}", f"under 1/{times}", ratio > times))
    return thresholds


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
        say(f"{made.size} deployments, {case}: {what}")
        costs[what] = made.run(*commands[what])
        settle(server)
    for environment in ("deployer", "yaml"):
        held = rows_on(server, environment)
        if held != [wanted] * made.size:
            raise RuntimeError(f"{environment} holds {held}, not {made.size} times {wanted}")
    return costs


def many(size: int, repeat: int) -> list[Threshold]:
    """Measure a catalog of many deployments that are all there already."""
    with subject(size) as made, fresh_server(made) as server:
        say(f"{size} deployments: create")
        create = made.deployer("deploy", "deployer", "--no-verify")
        settle(server)
        costs = defaultdict(list)
        for _ in range(repeat):
            for what in ("plan", "deploy"):
                say(f"{size} deployments, nothing changed: {what}")
                costs[what].append(made.deployer(what, "deployer", *NO_VERIFY[what]))
    found = {what: middle(each) for what, each in costs.items()}
    print(f"## {size} deployments, half with schedules\n")
    print("| command | s | peak RSS MB |\n| --- | --- | --- |")
    labelled = {"create, `deploy` (once)": create}
    labelled |= {f"nothing changed, `{what}`": cost for what, cost in found.items()}
    for label, cost in labelled.items():
        print(f"| {label} | {cost.seconds:.1f} | {cost.megabytes:.0f} |")
    print()
    thresholds = []
    for what, cost in found.items():
        label = f"{size} deployments, nothing changed: {what}"
        seconds, megabytes = f"{cost.seconds:.1f} s", f"{cost.megabytes:.0f} MB"
        thresholds.append((label, seconds, "under 15 s", cost.seconds < 15))
        thresholds.append((f"{label}, memory", megabytes, "under 300 MB", cost.megabytes < 300))
    return thresholds


NO_VERIFY = {"plan": (), "deploy": ("--no-verify",)}


def say(message: str) -> None:
    """Tell a person what is going on."""
    print(message, file=sys.stderr, flush=True)


sys.exit(main())
