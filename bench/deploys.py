"""How long the deployer takes, beside `prefect deploy --all` with the same catalog."""

from __future__ import annotations

import sys
from collections import defaultdict
from itertools import chain
from statistics import median

from bench.measure import Cost, medians, rounds, say
from bench.project import DEPLOY_ALL, DEPLOYER, declared, fresh_server, rows_on, settle
from bench.report import Report

INTRODUCTION = """\
# The deployer

Every figure is the median of {repeat} runs of a whole command as a person waits for it, start of
the interpreter included, from the same environment with compiled modules, in one project with one
flow a deployment and a schedule on every second one. Both sides have deployments of their own on
one server, take turns in going first, and wait until the scheduler is done with the last case;
each round has a fresh server.
"""
# The value of a parameter that every deployment declares, on both sides, in each case.
CASES = {"create": 1, "nothing changed": 1, "all changed": 2}
PEER, PLAN, DEPLOY = "prefect deploy --all", "deployer plan", "deployer deploy --no-verify"
COMMANDS = {
    PEER: DEPLOY_ALL,
    PLAN: (*DEPLOYER, "plan", "deployer"),
    DEPLOY: (*DEPLOYER, "deploy", "deployer", "--no-verify"),
}
# How many times faster than the peer.
WANTED = {
    ("nothing changed", PLAN): 20,
    ("nothing changed", DEPLOY): 20,
    ("all changed", DEPLOY): 2,
    ("create", DEPLOY): 2,
}


def measure(report: Report, repeat: int, size: int, many: int) -> None:
    """Measure the deployer.

    Args:
        report: gets the tables and the thresholds.
        repeat: how often each command is measured.
        size: of the catalog that is deployed by both sides; 0 leaves it out.
        many: of a catalog that is too large to wait for the peer; 0 leaves it out.
    """
    report.lines.append(INTRODUCTION.format(repeat=repeat))
    start_up(report, max(repeat, 5))
    if size:
        found = catalog(report, size, repeat, [(PLAN, DEPLOY), (PEER,)])
        for (case, what), times in WANTED.items():
            label = f"{size} deployments, {case}: `{what}` to `{PEER}`"
            report.want_faster(label, found[case, what].seconds, found[case, PEER].seconds, times)
    if many:
        found = catalog(report, many, repeat, [(PLAN, DEPLOY)])
        for what in (PLAN, DEPLOY):
            cost = found["nothing changed", what]
            label = f"{many} deployments, nothing changed: `{what}`"
            report.want(label, f"{cost.seconds:.1f} s", "under 15 s", cost.seconds < 15)
            peak = f"{cost.megabytes:.0f} MB"
            report.want(f"{label}: peak RSS", peak, "under 300 MB", cost.megabytes < 300)


def start_up(report: Report, repeat: int) -> None:
    """Compare the start of the deployer with what no user of Prefect can avoid."""
    commands = {
        "python -c 'import prefect'": (sys.executable, "-c", "import prefect"),
        "python -m deployer --help": (*DEPLOYER, "--help"),
        "python -m deployer check": (*DEPLOYER, "check"),
    }
    samples = defaultdict(list)
    with declared(0) as made:
        for command in commands.values():
            made.run(*command)  # compiles
        for names in rounds(list(commands), repeat):
            for name in names:
                samples[name].append(made.run(*commands[name]).seconds)
    found = medians(samples)
    rows = [[f"`{name}`", f"{found[name]:.2f}"] for name in commands]
    report.table("Start-up, with an empty catalog", ["command", "s"], rows)
    unavoidable, *ours = commands
    for name in ours:
        extra = found[name] - found[unavoidable]
        report.want(f"`{name}` over `import prefect`", f"{extra:+.2f} s", "+0.30 s", extra <= 0.3)


def catalog(
    report: Report, size: int, repeat: int, sides: list[tuple[str, ...]]
) -> dict[tuple[str, str], Cost]:
    """Measure the commands of each side in every case.

    Args:
        report: gets the table.
        size: how many deployments are declared.
        repeat: how many rounds, each on a fresh server.
        sides: the commands of each side, in order.

    Returns:
        The medians, by case and command.

    Raises:
        RuntimeError: after a case the server does not hold what a side declares.
    """
    samples = defaultdict(list)
    with declared(size) as made:
        for turns in rounds(sides, repeat):
            with fresh_server(made) as server:
                for case, rows in CASES.items():
                    if case != "nothing changed":  # a file with a new date is compiled again
                        made.declare(rows)
                    for what in chain(*turns):
                        cost = made.run(*COMMANDS[what])
                        samples[case, what].append(cost)
                        say(f"{size} deployments, {case}: {what}", cost.seconds)
                        settle(server)
                    for environment in ("deployer", "yaml")[: len(sides)]:
                        held = rows_on(server, environment)
                        if held != [rows] * size:
                            message = f"{environment} holds {held}, not {size} times {rows}"
                            raise RuntimeError(message)
    found = {
        key: Cost(median(c.seconds for c in costs), median(c.megabytes for c in costs))
        for key, costs in samples.items()
    }
    table = []
    for (case, what), cost in sorted(found.items(), key=lambda item: [*CASES].index(item[0][0])):
        peer = found.get((case, PEER))
        ratio = f"1/{peer.seconds / cost.seconds:.1f}" if peer else "-"
        table.append([case, f"`{what}`", f"{cost.seconds:.1f}", ratio, f"{cost.megabytes:.0f}"])
    head = ["case", "command", "s", f"to `{PEER}`", "peak RSS MB"]
    report.table(f"{size} deployments, half with schedules", head, table)
    return found
