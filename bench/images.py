"""The image beside one that Prefect makes by itself: how soon it is built."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import prefect
from prefect.utilities.dockerutils import generate_default_dockerfile, get_prefect_image_name

from bench import sizes
from bench.base import build_stand_in, python_image
from bench.measure import medians, rounds, say
from bench.project import bake
from bench.report import Report
from bench.starts import ENGINE, Start, starts
from tests.baking import Project
from tests.support.docker import docker, remove_images

COMPILE = "RUN python -m compileall -q -j 0 /usr/local/lib"
OURS, DEFAULT, COMPILED = "this project's", "Prefect's default", "Prefect's default, all compiled"
COPY_FIRST, WITH_PIP = "`COPY . .` first", "`COPY . .` first, with pip"
INTRODUCTION = """\
# The image

The default is the Dockerfile that Prefect {prefect} writes for `dockerfile="auto"`, from the same
requirements and the same project without its .dockerignore:

```dockerfile
{text}
```

It copies the requirements first. "{copy_first}" is the same the other way round;
"{with_pip}" has pip in the place of uv too, as Dockerfiles by hand do.
The base is a stand-in for {base}, which is not pulled here:
{stand_in} with uv of the same version, so without all that the other has beyond Python.
Looked up, not measured: prefecthq/prefect about 770 MB, prefecthq/prefect-client about 310 MB.
Base images are there before anything is measured; packages are fetched anew in a cold build.
"""


@dataclass(frozen=True)
class Image:
    """An image to be built again and again.

    Attributes:
        name: what the report calls it.
        folder: the project that it is built from.
        tag: what the engine calls it.
    """

    name: str
    folder: Path
    tag: str

    def build(self, *options: str) -> float:
        """Build it and return the seconds that it took."""
        begin = time.perf_counter()
        docker("build", "--tag", self.tag, *options, str(self.folder), timeout=1800)
        seconds = time.perf_counter() - begin
        say(f"{self.name}, build {' '.join(options)}", seconds)
        return seconds

    def change(self, number: int) -> None:
        """Change one line of code."""
        with (self.folder / "flows" / "basic_flow.py").open("a") as file:
            file.write(f"# {number}\n")


def measure(report: Report, repeat: int) -> None:
    """Compare builds, sizes and the start of a run; without an engine, say so."""
    try:
        docker("info")
    except (OSError, RuntimeError, subprocess.TimeoutExpired):
        report.lines += ["## The image", "", "Not measured: there is no Docker engine.", ""]
        return
    prefix = f"bench-{os.getpid()}/"
    with TemporaryDirectory(prefix="bench-images-") as name:
        folder = Path(name)
        project = bake(folder)
        plain = folder / "plain"
        without = shutil.ignore_patterns("Dockerfile", ".dockerignore")
        shutil.copytree(project.path, plain, ignore=without)
        with generate_default_dockerfile(plain) as path:
            text = path.read_text().strip()
        try:
            made = variants(project, plain, text, prefix)
            report.lines.append(introduction(project, text))
            builds(report, made, repeat)
            tags = {name: made[name].tag for name in (OURS, DEFAULT, COMPILED)}
            sizes.compare(report, tags, ours=OURS, base=python_image(project), compiled=COMPILED)
            sizes.layers(report, tags[OURS])
            sizes.packages(report, tags[OURS])
            # Prefect's Dockerfile copies the project into a folder of the same name.
            code = dict.fromkeys(tags, f"/opt/prefect/{plain.name}") | {OURS: "/app"}
            ways = [Start(name, tag, code[name]) for name, tag in tags.items()]
            ways += [
                replace(way, name=f"{way.name}, `{ENGINE}`", command=ENGINE)
                for way in ways
                if way.name != COMPILED
            ]
            starts(report, ways, repeat)
        finally:
            remove_images(prefix)


def variants(project: Project, plain: Path, text: str, prefix: str) -> dict[str, Image]:
    """Copy the project once for each Dockerfile, and build the stand-in of their base.

    Args:
        project: with its own Dockerfile.
        plain: the same project without one.
        text: the one that Prefect writes for it.
        prefix: of all tags.
    """
    base = f"{prefix}base"
    build_stand_in(project, base, "plain")
    _, copied, install, copy, workdir = text.splitlines()
    dockerfiles = {
        DEFAULT: [copied, install, copy, workdir],
        COMPILED: [copied, install, COMPILE, copy, workdir],
        COPY_FIRST: [copy, install, workdir],
        WITH_PIP: [copy, install.replace("uv pip", "python -m pip"), workdir],
    }
    made = {OURS: Image(OURS, project.path, f"{prefix}ours")}
    for number, (name, lines) in enumerate(dockerfiles.items()):
        folder = shutil.copytree(plain, plain.with_name(f"default-{number}"))
        (folder / "Dockerfile").write_text("\n".join([f"FROM {base}", *lines, ""]))
        made[name] = Image(name, folder, f"{prefix}default-{number}")
    return made


def introduction(project: Project, text: str) -> str:
    """Return what the image is compared with, as Markdown."""
    stand_in = python_image(project)
    (version,) = re.findall(r":([0-9.]+)", stand_in)
    base = get_prefect_image_name(python_version=version)
    return INTRODUCTION.format(
        prefect=prefect.__version__,
        text=text.replace(get_prefect_image_name(), base),
        copy_first=COPY_FIRST,
        with_pip=WITH_PIP,
        base=base,
        stand_in=stand_in,
    )


def builds(report: Report, made: dict[str, Image], repeat: int) -> None:
    """Measure builds without any cache, and builds after a line of code has changed."""
    samples = defaultdict(list)
    for images in rounds([made[name] for name in (OURS, DEFAULT, COMPILED)], repeat):
        for image in images:
            samples[image.name].append(image.build("--no-cache"))
    cold = medians(samples)
    samples.clear()
    changed = [made[name] for name in (OURS, DEFAULT, COPY_FIRST, WITH_PIP)]
    for image in changed:
        image.build()  # what another build has put out of the cache comes back
    for number, images in enumerate(rounds(changed, repeat)):
        for image in images:
            image.change(number)
            samples[image.name].append(image.build())
    again = medians(samples)
    rows = [[name, *cells(cold.get(name), again.get(name))] for name in made]
    head = ["image", "cold build s", "code-only rebuild s"]
    report.table(f"Builds, medians of {repeat}", head, rows)
    label = f"code-only rebuild to {WITH_PIP}"
    report.want_faster(label, again[OURS], again[WITH_PIP], 40)
    ratio = again[OURS] / again[DEFAULT]
    # A second is what two builds of one and the same image differ by.
    near = again[OURS] - again[DEFAULT] < 1
    label = f"code-only rebuild to {DEFAULT}, which copies requirements first"
    report.want(label, f"{ratio:.2f}", "equal: less than 1 s more", near)
    for name in (DEFAULT, COMPILED):
        ratio = cold[OURS] / cold[name]
        report.want(f"cold build to {name}", f"{ratio:.2f}", "1.10 or less", ratio <= 1.1)


def cells(*seconds: float | None) -> Iterable[str]:
    """Return the cells of a table; what was not measured is a dash."""
    return ("-" if each is None else f"{each:.2f}" for each in seconds)
