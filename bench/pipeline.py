"""From a push to the deployments in production: our workflow beside the one of Prefect's page.

Act runs both, against one server and one registry, with the same flows and deployments.
"""
# ruff: noqa: T201 - it speaks to a person

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from prefect.utilities.dockerutils import get_prefect_image_name

from bench.measure import measure as run_command
from bench.report import Report
from bench.subject import DEPLOYER, quiet_stdout, settle
from tests.baking import bake_into, copy_template
from tests.support.act import Act
from tests.support.docker import Registry, Worker, bridge_address, docker
from tests.support.server import PrefectServer

PAGE = Path(__file__).parent / "page"
POOL = "docker-pool"
NAMES = {"hourly", "manual", "nightly"}
CODE, README = "code-only change", "README-only change"
WANTED = {CODE: 4, README: 8}
EDITED = {CODE: "flows/basic_flow.py", README: "README.md"}
DEPLOY_YML = ".github/workflows/deploy.yml"
CATALOG = "deployments/catalog.py"
LEFT_OUT = {
    DEPLOY_YML: r"(?s)  tests:\n.*?\n(?=  image:\n)|    needs: tests\n",
    CATALOG: r"        smoke=.*\n",
}
GIT = "[user]\n  name = Bench\n  email = bench@example.com\n[commit]\n  gpgSign = false\n"
PAGE_WORKFLOW = ".github/workflows/deploy-prefect-flow.yaml"
CACHE = '          cache: "pip"\n'
PYTHON = '          python-version: "3.12"\n'
NOTES = """\
# From a push to the deployments in production

Seconds from the start of act to its end, medians of {repeat}; both sides take turns. Both projects
have the same flows, the same three deployments, the same requirements and one environment. After
each push registry and server are looked at. Load at the start: {load}.

- ours is `deploy.yml` as generated without its tests job, and a catalog without smoke runs; GitHub
  is said to call the repository private, which leaves the attestation out
- Prefect's is the workflow of its page on CI/CD, and a `flow.deploy()` for each deployment, of
  which the first one builds and pushes; the Dockerfile is Prefect's default one
- setup-python gives an environment with pip alone, as a job's fresh machine does; without
  `cache: pip`, which the page has as an option, it keeps no downloads
- Prefect's base image is a stand-in in which all requirements are installed already, and no
  registry is asked for a newer one (`pull=False`)
- the engine keeps the layers of the last build on both sides, and no job has to pull an image;
  another build of the same Dockerfile without the cache, meanwhile, makes ours push all of it again
- GitHub's own time to find a machine for a job is in neither: ours has two jobs, Prefect's one
"""


@dataclass
class Side:
    """One of the two repositories.

    Attributes:
        name: of the side.
        repository: where it is.
        workflow: the file that a push runs.
        suffix: of the names of its deployments.
        private: whether GitHub calls it so; the image of a private one is not attested.
        edits: how many there were.
    """

    name: str
    repository: Act
    workflow: str
    suffix: str = ""
    private: bool = True
    edits: int = 0

    def read(self, path: str) -> str:
        """Return the text of a file."""
        return (self.repository.project / path).read_text()

    def edit(self, path: str, change: Callable[[str], str]) -> None:
        """Change a file, and commit."""
        before = self.read(path)
        after = change(before)
        if after == before:
            raise RuntimeError(f"{path} does not have what the bench changes: change the bench")
        (self.repository.project / path).write_text(after)
        self.repository.commit(f"Edit {path}")

    def change(self, case: str) -> None:
        """Edit what a person would."""
        self.edits += 1
        self.edit(EDITED[case], lambda text: f"{text}\n# Edit {self.edits}.\n")

    def push(self) -> tuple[float, dict[str, float]]:
        """Push, and return how long it took, and of that each step."""
        about = {"full_name": self.repository.repository, "default_branch": "main"}
        payload = {"ref": "refs/heads/main", "repository": {**about, "private": self.private}}
        start = time.perf_counter()
        run = self.repository.run("push", self.workflow, payload)
        seconds = time.perf_counter() - start
        if run.exit_code or not run.jobs or {*run.jobs.values()} != {"success"}:
            raise RuntimeError(f"{self.workflow}: {run.jobs}\n{run.output[-6000:]}")
        return seconds, {
            f"{step.job}/{step.name.split('@')[0]}": step.seconds for step in run.steps
        }


@dataclass
class Place:
    """Where both sides deploy to."""

    server: PrefectServer
    registry: Registry

    def rows(self, side: Side) -> dict[str, dict[str, Any]]:
        """Return the deployments of one side, by their names in the catalog."""
        rows = self.server.request("POST", "/deployments/filter", {"limit": 200})
        named = {row["name"]: row for row in rows}
        return {name: named[name + side.suffix] for name in NAMES if name + side.suffix in named}

    def take(self, side: Side, case: str) -> float:
        """Push one change, and return how long it took.

        Raises:
            RuntimeError: the server or the registry does not hold what it should.
        """
        package = side.repository.package
        tags, before = self.registry.tags(package), self.rows(side)
        if case in EDITED:
            side.change(case)
        settle(self.server)
        load = os.getloadavg()[0]
        seconds, steps = side.push()
        told = ", ".join(f"{name} {each:.1f}" for name, each in steps.items() if each >= 0.1)
        told = f"{case}, {side.name}: {seconds:.1f} s at load {load:.1f} ({told})"
        print(told, file=sys.stderr, flush=True)
        added = [tag for tag in self.registry.tags(package) if tag not in tags]
        after = self.rows(side)
        if case == README and side.suffix == "":
            right = not added and after == before
        else:
            (tag,) = added
            digest = self.registry.digest(package, tag)
            image = f"{package}:{tag}" if side.suffix else f"{package}@{digest}"
            images = {row["job_variables"]["image"] for row in after.values()}
            right = images == {f"{self.registry.address}/{image}"}
        if not right or after.keys() != NAMES:
            raise RuntimeError(f"{side.name}, {case}: {added} was pushed, and there is {after}")
        return seconds


def measure(report: Report, repeat: int) -> None:
    """Measure both sides, and then what more than that takes on ours."""
    load = f"{os.getloadavg()[0]:.1f}"
    costs: dict[tuple[str, str], list[float]] = defaultdict(list)
    with projects() as (place, ours, page):
        whole = {path: ours.read(path) for path in LEFT_OUT}
        for path, pattern in LEFT_OUT.items():
            ours.edit(path, partial(re.sub, pattern, ""))
        sides = (page, ours)
        first = [place.take(side, "first push") for side in sides]
        for number in range(repeat):
            for case in WANTED:
                for side in sides if number % 2 else reversed(sides):
                    costs[case, side.name].append(place.take(side, case))
        page.edit(PAGE_WORKFLOW, lambda text: text.replace(PYTHON, f"{PYTHON}{CACHE}"))
        place.take(page, CODE)  # fills the cache
        cached = [place.take(page, CODE) for _ in range(repeat)]
        more = additions(place, ours, whole, repeat)
    report.lines.append(NOTES.format(load=load, repeat=repeat))
    found = {key: median(each) for key, each in costs.items()}
    rows = [["first push, once", *(f"{seconds:.1f}" for seconds in first), ""]]
    for case, wanted in WANTED.items():
        theirs, mine = found[case, page.name], found[case, ours.name]
        ratio = f"1/{theirs / mine:.1f}"
        rows.append([case, f"{theirs:.1f}", f"{mine:.1f}", ratio])
        label = f"Push to production, {case}: ours to {page.name}"
        report.want(label, ratio, f"at most 1/{wanted}", theirs / mine >= wanted)
    usual = found[CODE, ours.name]
    theirs = median(cached)
    what = f"{CODE}, the page with `cache: pip`"
    rows.append([what, f"{theirs:.1f}", f"{usual:.1f}", f"1/{theirs / usual:.1f}"])
    report.table("Both sides", ["case", *(f"{side.name} s" for side in sides), "ratio"], rows)
    rows = [
        [what, f"{median(each):.1f}", f"{median(each) - usual:+.1f}"] for what, each in more.items()
    ]
    report.table(f"What more than that takes: {CODE}, ours", ["with", "s", "more s"], rows)


def additions(
    place: Place, ours: Side, whole: dict[str, str], repeat: int
) -> dict[str, list[float]]:
    """Measure a change of code with each of the things that are left out otherwise."""

    def takes() -> list[float]:
        return [place.take(ours, CODE) for _ in range(repeat)]

    more = {}
    ours.private = False
    more["the attestation of a public repository"] = takes()
    ours.private = True
    without = ours.read(CATALOG)
    ours.edit(CATALOG, lambda _: whole[CATALOG])
    with (
        TemporaryDirectory(prefix="bench-worker-") as folder,
        Worker(place.server, POOL, Path(folder)),
    ):
        more["verification: two smoke runs in containers"] = takes()
    ours.edit(CATALOG, lambda _: without)
    ours.edit(DEPLOY_YML, lambda _: whole[DEPLOY_YML])
    more["tests: the workflow as it is"] = takes()
    return more


@contextmanager
def projects() -> Iterator[tuple[Place, Side, Side]]:
    """Run a server and a registry, and make both repositories."""
    with TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        (folder / "gitconfig").write_text(GIT)
        os.environ |= {"GIT_CONFIG_GLOBAL": str(folder / "gitconfig"), "GIT_CONFIG_NOSYSTEM": "1"}
        with quiet_stdout():
            project = bake_into(folder / "ours", copy_template(folder / "template")).path
        environments = project / "deployments" / "environments.toml"
        head, _, rest = environments.read_text().partition("[staging]")
        environments.write_text(head + rest[rest.index("[production]") :])
        copy = shutil.copytree(PAGE, folder / "page" / "page")
        shutil.copytree(project / "flows", copy / "flows")
        for each in ("requirements.txt", "README.md"):
            shutil.copy(project / each, copy)
        with (
            base_image(copy),
            Registry(folder / "registry") as registry,
            PrefectServer(sys.executable, folder / "server", host=bridge_address()) as server,
        ):
            run_command([*DEPLOYER, "setup", "production"], project, server.env)
            variables = {
                "PREFECT_API_URL": server.api_url,
                "REGISTRY": registry.address,
                "REGISTRY_USERNAME": "somebody",
            }

            def repository(project: Path, name: str, **more: str) -> Act:
                return Act(
                    project,
                    folder / f"act-{name}",
                    name=f"acme/{name}",
                    variables=variables | more,
                    secrets={"REGISTRY_PASSWORD": "something"},
                )

            ours = Side("ours", repository(project, "ours"), "deploy.yml")
            image = f"{registry.address}/acme/page"
            page = Side(
                "Prefect's page",
                repository(copy, "page", IMAGE=image),
                "deploy-prefect-flow.yaml",
                suffix="-page",
            )
            yield Place(server, registry), ours, page


@contextmanager
def base_image(project: Path) -> Iterator[None]:
    """Stand in for the image that Prefect's default Dockerfile is built from, while it is needed.

    Args:
        project: with the requirements and base.Dockerfile, which does not stay: Prefect's default
            Dockerfile takes everything.
    """
    dockerfile = project / "base.Dockerfile"
    name = get_prefect_image_name()
    before = docker("images", "--quiet", "--no-trunc", name)
    docker("build", "--quiet", "--tag", name, "--file", str(dockerfile), str(project), timeout=900)
    dockerfile.unlink()
    try:
        yield
    finally:
        docker("rmi", "--force", name)
        if before:
            docker("tag", before, name)
