"""How long a deploy takes, beside Prefect's two ways to deploy the same."""

from __future__ import annotations

import sys
from collections.abc import Generator
from pathlib import Path

from bench.measure import rounds
from bench.project import DEPLOYER, IMAGE, declared
from bench.samples import OURS, Sample
from bench.servers import fresh_server, requests, rows_on, settle

HOW = """\
Whole commands as a person waits for them, start of the interpreter included, from one environment
with compiled modules: `python -m deployer deploy --no-verify`, `prefect deploy --all` with the
`prefect.yaml` that `deployer export` writes, and a script that calls `prefect.deploy()` with
every deployment. One flow a deployment, a process work pool. The sides have deployments of their
own on one server and wait until its scheduler is done with the case before; what the server then
holds is compared with what was declared. Each round has a fresh server.

The server has SQLite and Prefect's default settings, but that it logs requests, which are counted
there. "PostgreSQL" says that its database is one; "zones" that it takes time zones from the
package tzdata (`PYTHONTZPATH` is empty), which made servers before Prefect 3.9.1 faster. Memory
is the largest resident set of the process in any of the four cases. The plot is of deployments
without schedules.

"In the pipeline" is what the step of a workflow takes where nothing has changed: ours asks the
server what the deployer of the image had asked, and runs no image (the image that deployed before
is played by the same project here). The peers' commands are the same in a workflow, so their
figures are those of "unchanged".
"""
DEPLOY_ALL, SCRIPT = "`prefect deploy --all`", "`prefect.deploy()`"
COMMANDS: dict[str, tuple[str | Path, ...]] = {
    DEPLOY_ALL: (Path(sys.executable).parent / "prefect", "deploy", "--all"),
    SCRIPT: (sys.executable, "deploy.py"),
    OURS: (*DEPLOYER, "deploy", "deployer", "--no-verify"),
}
# What a workflow's step runs, on the runner's own Python.
STEP = (sys.executable, "-m", "tools.run", "deploy", "pipeline", "--image", IMAGE, "--order", "2")
ENVIRONMENTS = ("deployer", "yaml", "script")
# What the first deployment and the others get as their parameter.
CREATED, UNCHANGED, ONE, ALL = "created", "unchanged", "one changed", "all changed"
KNOWN = "unchanged, in the pipeline"
CASES = {CREATED: (1, 1), UNCHANGED: (1, 1), ONE: (2, 1), ALL: (3, 3)}


def measure(
    repeat: int, *, size: int, schedules: int, postgres: bool = False, zones: bool = False
) -> Generator[Sample]:
    """Yield seconds, requests and memory of each side in each case.

    Args:
        repeat: how many rounds, each on a fresh server.
        size: how many deployments.
        schedules: how many each has.
        postgres: the server's database is PostgreSQL.
        zones: the server takes time zones from the package tzdata.

    Raises:
        RuntimeError: after a case the server does not hold what a side declares.
    """
    about = label(size, schedules, postgres=postgres, zones=zones)
    with declared(size, schedules) as made:
        made.declare(1, 1)
        for turns in rounds(list(COMMANDS), repeat):
            peaks = dict.fromkeys(COMMANDS, 0.0)
            with fresh_server(made, postgres=postgres, zones=zones) as server:
                for case, (first, rows) in CASES.items():
                    if case != UNCHANGED:  # a file with a new date is compiled again
                        made.declare(first, rows)
                    for who in turns:
                        before = requests(server)
                        cost = made.run(*COMMANDS[who])
                        row = f"{about}: {case}"
                        yield Sample(row, "s", who, cost.seconds)
                        yield Sample(row, "requests", who, requests(server) - before)
                        if case == UNCHANGED and who != OURS:
                            yield Sample(f"{about}: {KNOWN}", "s", who, cost.seconds)
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
                    raise RuntimeError(f"the pipeline's step does not know it: {cost.output}")
                yield Sample(f"{about}: {KNOWN}", "s", OURS, cost.seconds)
            for who, peak in peaks.items():
                yield Sample(f"{about}: peak memory", "MB", who, peak)


def label(size: int, schedules: int, *, postgres: bool = False, zones: bool = False) -> str:
    """Return what is deployed to what, as rows call it."""
    words = [f"{size} deployment{'s' * (size > 1)}, {schedules} schedule{'s' * (schedules != 1)}"]
    words += ["PostgreSQL"] * postgres + ["zones"] * zones
    return ", ".join(words)
