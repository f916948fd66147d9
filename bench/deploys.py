"""How long a deploy takes, compared with Prefect's two ways to deploy the same."""

from __future__ import annotations

import sys
from collections.abc import Generator
from pathlib import Path

from bench.measure import rounds
from bench.project import DEPLOYER, IMAGE, declared
from bench.samples import OURS, Sample
from bench.servers import fresh_server, requests, rows_on, settle

HOW = """\
Seconds of whole commands, including the start of the interpreter, from one environment with
compiled modules: `python -m deployer deploy --no-verify`, `prefect deploy --all` with the
`prefect.yaml` that `deployer export` writes, and a script that calls `prefect.deploy()` with
every deployment. Each deployment has its own flow; the work pool has the type process. All three
deploy to one server, under different names. Each command waits until the server has scheduled the
runs of the command before. After each case the benchmark checks that the server has every
deployment, with the declared value of the parameter that changes. Each round has a fresh server.

The server uses SQLite and Prefect's default settings, but it logs its requests, so that they can
be counted. "PostgreSQL" means that its database is PostgreSQL; "zones" means that it reads time
zones from the package tzdata (`PYTHONTZPATH` is empty), which made servers before Prefect 3.9.1
faster. Memory is the largest resident set of the process in any of the four cases; in the parts
measured on 2026-11-29 it is at least 95 MB, the benchmark's own. The plot shows deployments without
schedules.

"In the pipeline" is the time of a workflow's deploy step if nothing has changed. Ours repeats the
requests of the deploy before and compares the answers, without running the image (that deploy is
made by the same project here, not by an image). The peers run the same commands in a workflow, so
their figures are those of "unchanged".
"""
DEPLOY_ALL, SCRIPT = "`prefect deploy --all`", "`prefect.deploy()`"
COMMANDS: dict[str, tuple[str | Path, ...]] = {
    OURS: (*DEPLOYER, "deploy", "deployer", "--no-verify"),
    SCRIPT: (sys.executable, "deploy.py"),
    DEPLOY_ALL: (Path(sys.executable).parent / "prefect", "deploy", "--all"),
}
# What `prefect.deploy()` prints, before it ends with 0, if one of several deployments failed.
ERRORS = "Encountered errors while creating/updating deployments"
# The command of a workflow's deploy step; it runs with the runner's own Python.
STEP = (sys.executable, "-m", "tools.run", "deploy", "pipeline", "--image", IMAGE, "--order", "2")
ENVIRONMENTS = ("deployer", "yaml", "script")
# The value of the parameter `rows` in each case: of the first deployment, and of all others.
CREATED, UNCHANGED, ONE, ALL = "created", "unchanged", "one changed", "all changed"
IN_PIPELINE = "unchanged, in the pipeline"
CASES = {CREATED: (1, 1), UNCHANGED: (1, 1), ONE: (2, 1), ALL: (3, 3)}


def measure(
    repeat: int, *, size: int, schedules: int, postgres: bool = False, zones: bool = False
) -> Generator[Sample]:
    """Yield seconds, requests and memory of each side in each case.

    Args:
        repeat: number of rounds, each on a fresh server.
        size: number of deployments.
        schedules: number of schedules of each deployment.
        postgres: whether the server's database is PostgreSQL.
        zones: whether the server reads time zones from the package tzdata.

    Raises:
        RuntimeError: a command failed, or the server lacks a deployment or its declared parameter.
    """
    about = label(size, schedules, postgres=postgres, zones=zones)
    with declared(size, schedules) as made:
        made.declare(1, 1)
        for turns in rounds(list(COMMANDS), repeat):
            peaks = dict.fromkeys(COMMANDS, 0.0)
            with fresh_server(made, postgres=postgres, zones=zones) as server:
                for case, (first, rows) in CASES.items():
                    if case != UNCHANGED:  # rewriting a file would make Python compile it again
                        made.declare(first, rows)
                    for who in turns:
                        before = requests(server)
                        cost = made.run(*COMMANDS[who])
                        refuse_errors(who, cost.output)
                        row = f"{about}: {case}"
                        yield Sample(row, "s", who, cost.seconds)
                        yield Sample(row, "requests", who, requests(server) - before)
                        if case == UNCHANGED and who != OURS:
                            yield Sample(f"{about}: {IN_PIPELINE}", "s", who, cost.seconds)
                        peaks[who] = max(peaks[who], cost.megabytes)
                        if schedules:
                            settle(server, schedules)
                    wanted = sorted([first, *[rows] * (size - 1)])
                    for environment in ENVIRONMENTS:
                        if (held := rows_on(server, environment)) != wanted:
                            raise RuntimeError(f"{environment} holds {held}, not {wanted}")
                made.deploy_image()
                if schedules:
                    settle(server, schedules)
                cost = made.run(*STEP)
                if "the image was not pulled" not in cost.output:
                    raise RuntimeError(f"the deploy step would run the image: {cost.output}")
                yield Sample(f"{about}: {IN_PIPELINE}", "s", OURS, cost.seconds)
            for who, peak in peaks.items():
                yield Sample(f"{about}: peak memory", "MB", who, peak)


def refuse_errors(who: str, output: str) -> None:
    """Raise RuntimeError if a command that ended with 0 says that a deployment failed."""
    if ERRORS in output:
        raise RuntimeError(f"{who} did not deploy everything, so its time means nothing:\n{output}")


def label(size: int, schedules: int, *, postgres: bool = False, zones: bool = False) -> str:
    """Return the first part of a row's name: the size of the deploy and the kind of server."""
    words = [f"{size} deployment{'s' * (size > 1)}, {schedules} schedule{'s' * (schedules != 1)}"]
    words += ["PostgreSQL"] * postgres + ["zones"] * zones
    return ", ".join(words)
