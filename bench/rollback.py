"""From the decision to roll back until the old version runs."""

from __future__ import annotations

import time
from collections.abc import Generator
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.measure import rounds
from bench.repositories import PAGE, POOL, Place, Side, check_success, sides
from bench.samples import OURS, Sample
from tests.support.docker import Worker
from tests.support.runs import start, wait_for

HOW = """\
Two versions are deployed; then each side switches to the other version once per round. Ours runs
`rollback.yml` with the number of the release, without smoke runs. Prefect's page does not describe
a rollback, so its workflow runs again for the old commit. "Deployed" is the end of the workflow in
act; "runs" is when a flow run that is started then reaches the state Running in its container. On
GitHub the page's workflow would have to build without the layers that the engine here keeps.
"""


def measure(repeat: int) -> Generator[Sample]:
    """Yield the seconds from the decision to the deployment, and to a run of it."""
    with (
        sides() as (place, made),
        TemporaryDirectory(prefix="bench-worker-") as name,
        Worker(place.server, POOL, Path(name)),
    ):
        both = [OURS, PAGE]
        # The images and the commits of the two versions.
        images: dict[str, list[str]] = {who: [] for who in both}
        commits: dict[str, list[str]] = {who: [] for who in both}
        for _ in range(2):
            for who in both:
                made[who].add_line("flows/basic_flow.py")
                made[who].push()
                images[who].append(place.image(made[who]))
                commits[who].append(made[who].repository.git("rev-parse", "HEAD"))
        for number, turns in enumerate(rounds(both, repeat)):
            version = number % 2
            for who in turns:
                side, begin = made[who], time.time()
                switch_to(side, version, commits[who][version])
                deployed = time.time() - begin
                if place.image(side) != images[who][version]:
                    raise RuntimeError(f"{who} deployed {place.image(side)}, the wrong version")
                yield Sample("decision to deployed", "s", who, deployed)
                yield Sample("decision to old version runs", "s", who, running(place, side) - begin)


def switch_to(side: Side, version: int, commit: str) -> None:
    """Deploy a version that was deployed before."""
    if side.who == OURS:
        dispatch, release = side.repository.dispatch, str(version + 1)
        where = "production"
        check_success(dispatch("rollback.yml", environment=where, release=release, verify="false"))
    else:
        side.repository.git("checkout", "--quiet", commit)
        side.push()


def running(place: Place, side: Side) -> float:
    """Start a run of a side's `hourly` deployment. Return the Unix time at which it was Running."""
    run = start(place.server, place.rows(side)["hourly"]["id"], rows=5)
    wait_for(place.server, run, lambda found: found["state"]["type"] in ("RUNNING", "COMPLETED"))
    states = place.server.request("GET", f"/flow_run_states/?flow_run_id={run}")
    at = {each["name"]: datetime.fromisoformat(each["timestamp"]) for each in states}
    return at["Running"].timestamp()
