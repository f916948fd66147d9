"""From a push to the deployments in production: our workflow beside the one of Prefect's page.

Act runs both, against one server and one registry, with the same flows and deployments.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from prefect.utilities.dockerutils import get_prefect_image_name

from bench.base import build_stand_in
from bench.measure import medians, rounds, say
from bench.project import DEPLOYER, bake, settle
from bench.report import Report
from tests.baking import Project
from tests.support.act import Act
from tests.support.docker import Registry, bridge_address, docker
from tests.support.server import PrefectServer

PAGE = Path(__file__).parent / "page"
NAMES = {"hourly", "manual", "nightly"}
FIRST, CODE, README = "first push, once", "code-only change", "README-only change"
CACHED = f"{CODE}, the page with `cache: pip`"
EDITED = {CODE: "flows/basic_flow.py", README: "README.md"}
WANTED = {CODE: 4, README: 8}  # times faster than the page
DEPLOY_YML = ".github/workflows/deploy.yml"
# What the page's side has no equal of.
LEFT_OUT = {
    DEPLOY_YML: r"(?s)  tests:\n.*?\n(?=  image:\n)|    needs: tests\n",
    "deployments/catalog.py": r"        smoke=.*\n",
    "deployments/environments.toml": r"(?s)\[staging\]\n.*?(?=\[production\])",
}
GIT = "[user]\n  name = Bench\n  email = bench@example.com\n[commit]\n  gpgSign = false\n"
PAGE_WORKFLOW = ".github/workflows/deploy-prefect-flow.yaml"
PYTHON = '          python-version: "3.12"\n'
CACHE = '          cache: "pip"\n'
NOTES = """\
# From a push to the deployments in production

Seconds from the start of act to its end, medians of {repeat}; both sides take turns. Both projects
have the same flows, the same three deployments, the same requirements and one environment. After
each push registry and server are looked at.

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
        edits: how many there were.
    """

    name: str
    repository: Act
    workflow: str
    suffix: str = ""
    edits: int = 0

    def edit(self, path: str, pattern: str, replacement: str) -> None:
        """Change a file, and commit.

        Raises:
            RuntimeError: the pattern does not occur in the file.
        """
        file = self.repository.project / path
        text, times = re.subn(pattern, replacement, file.read_text())
        if not times:
            raise RuntimeError(f"{path} does not have what the bench changes: change the bench")
        file.write_text(text)
        self.repository.commit(f"Edit {path}")

    def push(self, case: str) -> float:
        """Push, and return the seconds that the workflow took.

        Raises:
            RuntimeError: a job did not succeed.
        """
        about = {"full_name": self.repository.repository, "default_branch": "main"}
        payload = {"ref": "refs/heads/main", "repository": {**about, "private": True}}
        start = time.perf_counter()
        run = self.repository.run("push", self.workflow, payload)
        seconds = time.perf_counter() - start
        if run.exit_code or not run.jobs or {*run.jobs.values()} != {"success"}:
            raise RuntimeError(f"{self.workflow}: {run.jobs}\n{run.output[-6000:]}")
        for step in run.steps:
            if step.seconds >= 0.1:
                say(f"  {step.job}, {step.name.split('@')[0]}", step.seconds)
        say(f"{case}, {self.name}", seconds)
        return seconds


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
        """Push one change, and return the seconds that it took.

        Raises:
            RuntimeError: the server or the registry does not hold what it should.
        """
        package = side.repository.package
        tags, before = self.registry.tags(package), self.rows(side)
        if case in EDITED:
            side.edits += 1
            side.edit(EDITED[case], r"\Z", f"\n# Edit {side.edits}.\n")
        settle(self.server)
        seconds = side.push(case)
        added = [tag for tag in self.registry.tags(package) if tag not in tags]
        after = self.rows(side)
        if case == README and not side.suffix:
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
    """Measure both sides."""
    samples = defaultdict(list)
    with sides() as (place, ours, page):
        for side in (page, ours):
            samples[FIRST, side.name].append(place.take(side, FIRST))
        for both in rounds([page, ours], repeat):
            for case in WANTED:
                for side in both:
                    samples[case, side.name].append(place.take(side, case))
        page.edit(PAGE_WORKFLOW, PYTHON, rf"\g<0>{CACHE}")
        place.take(page, CODE)  # fills the cache
        samples[CACHED, page.name] = [place.take(page, CODE) for _ in range(repeat)]
        samples[CACHED, ours.name] = samples[CODE, ours.name]
    report.lines.append(NOTES.format(repeat=repeat))
    found = medians(samples)
    rows = []
    for case in (FIRST, *WANTED, CACHED):
        theirs, mine = found[case, page.name], found[case, ours.name]
        rows.append([case, f"{theirs:.1f}", f"{mine:.1f}", f"1/{theirs / mine:.1f}"])
        if case in WANTED:
            label = f"Push to production, {case}: ours to {page.name}"
            report.want_faster(label, mine, theirs, WANTED[case])
    report.table("Both sides", ["case", f"{page.name} s", f"{ours.name} s", "ratio"], rows)


@contextmanager
def sides() -> Iterator[tuple[Place, Side, Side]]:
    """Run a server and a registry, and make both repositories: ours and that of Prefect's page."""
    with TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        (folder / "gitconfig").write_text(GIT)
        os.environ |= {"GIT_CONFIG_GLOBAL": str(folder / "gitconfig"), "GIT_CONFIG_NOSYSTEM": "1"}
        project = bake(folder)
        copy = shutil.copytree(PAGE, folder / "page")
        shutil.copytree(project.path / "flows", copy / "flows")
        for each in ("requirements.txt", "README.md"):
            shutil.copy(project.path / each, copy)
        with (
            base_image(project),
            Registry(folder / "registry") as registry,
            PrefectServer(sys.executable, folder / "server", host=bridge_address()) as server,
        ):
            project.run(*DEPLOYER, "setup", "production", env=server.env)
            variables = {
                "PREFECT_API_URL": server.api_url,
                "REGISTRY": registry.address,
                "REGISTRY_USERNAME": "somebody",
                "IMAGE": f"{registry.address}/acme/page",  # ours does not read it
            }

            def repository(project: Path, name: str) -> Act:
                return Act(
                    project,
                    folder / f"act-{name}",
                    name=f"acme/{name}",
                    variables=variables,
                    secrets={"REGISTRY_PASSWORD": "something"},
                )

            ours = Side("ours", repository(project.path, "ours"), Path(DEPLOY_YML).name)
            for path, pattern in LEFT_OUT.items():
                ours.edit(path, pattern, "")
            page = repository(copy, "page")
            yield (
                Place(server, registry),
                ours,
                Side("Prefect's page", page, Path(PAGE_WORKFLOW).name, "-page"),
            )


@contextmanager
def base_image(project: Project) -> Iterator[None]:
    """Put the stand-in with the project's requirements in the place of Prefect's base image."""
    name = get_prefect_image_name()
    before = docker("images", "--quiet", "--no-trunc", name)
    build_stand_in(project, name, "filled")
    try:
        yield
    finally:
        docker("rmi", "--force", name)
        if before:
            docker("tag", before, name)
