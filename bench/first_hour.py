"""From a new project to the first flow runs, compared with the same steps by hand."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.measure import measure as run
from bench.measure import rounds
from bench.project import DEPLOYER, bake
from bench.samples import OURS, Sample
from tests.baking import ROOT, Project
from tests.support.docker import Worker
from tests.support.server import PrefectServer

HOW = """\
`uvx nox -s up -- --once` in a new project (cold: without an environment or a database, but with
the packages in uv's cache), the same command again (warm), and `uvx nox -s demo`, which also
generates the project and is always cold. "By hand" are the steps of Prefect's quickstart, without
pauses, in an existing project: `uv venv`, `uv pip install -r requirements.txt`, `prefect server
start`, `prefect work-pool create`, `prefect worker start`, `prefect deploy --all`, and `prefect
deployment run --watch` for each of the two flows that `up` runs. `up` starts both flow runs at
once, from the process that has deployed; by hand the second starts when the first has ended, and
each command imports Prefect again. Ours also installs the project's tools and compiles all
packages; by hand, Python compiles each module at its first import. With `--once`, flow runs send no
heartbeats; by hand they do, and each waits up to a second for that at its end.

"all" is the whole command, "install and end" the part of it that is none of the other steps:
installing, starting `uvx`, ending the programs. Ours prints its other steps to a tenth of a second.
"""
PEER = "by hand"
WAYS = [OURS, PEER]
# A line of the steps that `up` prints: the step's name and its seconds.
STEP = re.compile(r"^ ?(\S.*?) +(\d+\.\d) *$", re.MULTILINE)
SMOKE_RUNS = (["basic-data-flow/hourly", "--param=rows=20"], ["advanced-flow/nightly"])
STEPS = ("server", "work pool", "worker and deploy", "smoke runs")


def measure(repeat: int) -> Generator[Sample]:
    """Yield the seconds of each step, cold and warm."""
    for turns in rounds(WAYS, repeat):
        with TemporaryDirectory(prefix="bench-hour-") as name:
            folder = Path(name)
            project = bake(folder)
            text = project.run(*DEPLOYER, "export", "local").stdout
            (project.path / "prefect.yaml").write_text(text, encoding="utf-8")
            for heat in ("cold", "warm"):
                for who in turns:
                    for step, seconds in (up if who == OURS else by_hand)(project, folder).items():
                        yield Sample(f"{heat}: {step}", "s", who, seconds)
                        if (heat, step, who) == ("cold", "all", PEER):
                            yield Sample("demo: all", "s", who, seconds)
        yield Sample(
            "demo: all", "s", OURS, run(["uvx", "nox", "-s", "demo"], ROOT, plain()).seconds
        )


def plain() -> dict[str, str]:
    """Return this process's environment without the variables that nox sets for the bench."""
    ours = ("VIRTUAL_ENV", "UV_COMPILE_BYTECODE", "PYTHONDONTWRITEBYTECODE")
    return {key: value for key, value in os.environ.items() if key not in ours}


def whole(steps: Mapping[str, float], seconds: float) -> dict[str, float]:
    """Return the steps, with all seconds and those that are in none of the steps."""
    return {"install and end": seconds - sum(steps.values()), **steps, "all": seconds}


def up(project: Project, _folder: Path) -> dict[str, float]:
    """Run `up --once`, and return the seconds by step."""
    cost = run(["uvx", "nox", "-s", "up", "--", "--once"], project.path, plain())
    steps = {name: float(seconds) for name, seconds in STEP.findall(cost.output) if name in STEPS}
    return whole(steps, cost.seconds)


def by_hand(project: Project, folder: Path) -> dict[str, float]:
    """Do what `up` does with Prefect's own commands, and return the seconds by step."""
    steps: dict[str, float] = {}
    hand = folder / "hand"
    prefect = hand / "bin" / "prefect"
    python = hand / "bin" / "python"
    server = PrefectServer(python, folder / "server")
    worker = Worker(server, "local", project.path / ".by-hand", type="process")

    @contextmanager
    def step(name: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        steps[name] = time.perf_counter() - begin

    start = time.perf_counter()
    if not python.exists():
        run(["uv", "venv", "--quiet", f"--python={sys.executable}", hand], folder, plain())
    install = ["uv", "pip", "install", "--quiet", f"--python={python}"]
    run([*install, "-r", "requirements.txt"], project.path, plain())
    try:
        with step("server"):
            server.start()
        env = server.env | {"PREFECT_WORKER_QUERY_SECONDS": "1"}
        with step("work pool"):
            create = ["work-pool", "create", "local", "--type", "process", "--overwrite"]
            run([prefect, *create], project.path, env)
        with step("worker and deploy"):
            worker.start()
            run([prefect, "deploy", "--all"], project.path, env)
        with step("smoke runs"):
            for smoke in SMOKE_RUNS:
                run([prefect, "deployment", "run", "--watch", *smoke], project.path, env)
    finally:
        worker.stop()
        server.stop()
    return whole(steps, time.perf_counter() - start)
