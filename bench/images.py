"""The image beside one that Prefect makes by itself: how soon it is built, and how large it is."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import prefect
from prefect.utilities.dockerutils import generate_default_dockerfile, get_prefect_image_name

from bench.report import Report
from bench.starts import ENGINE, Start, starts
from bench.subject import quiet_stdout
from tests.baking import Project, bake_into, copy_template
from tests.support.docker import docker

BASE = "python:3.14-slim-trixie"
# What Prefect's own Dockerfile sets; git, a compiler and Prefect itself are in there as well.
STAND_IN = f"""\
FROM {BASE}
ENV LC_ALL=C.UTF-8 LANG=C.UTF-8 UV_LINK_MODE=copy UV_SYSTEM_PYTHON=1
WORKDIR /opt/prefect
RUN python -m pip install --no-cache-dir --no-compile {{uv}}
"""
COMPILE = "RUN python -m compileall -q -j 0 /usr/local/lib/python3.14"
# What the catalog's check imports and prefect-client does not bring along.
CLIENT = ("prefect-client", "httpx", "dumb-init", "jinja2", "sqlalchemy")
UV = ("/root/.cache/uv", "/usr/local/bin/uv")
PUBLISHED = {"prefecthq/prefect": 770, "prefecthq/prefect-client": 310}
OURS, DEFAULT, COMPILED = "this project's", "Prefect's default", "Prefect's default, all compiled"
COPY_FIRST, WITH_PIP = "`COPY . .` first", "`COPY . .` first, with pip"
ON_CLIENT = "this project's, on prefect-client"
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
Looked up, not measured: {published}.
Base images are there before anything is measured; packages are fetched anew in a cold build.
Load {load} at the start.
"""
IN_IMAGE = """\
import os, pathlib, json
found = {}
for folder, _, names in os.walk("/opt/venv/lib/python3.14/site-packages"):
    parts = pathlib.Path(folder).relative_to("/opt/venv/lib/python3.14/site-packages").parts
    for name in names:
        size = os.lstat(os.path.join(folder, name)).st_size
        package = found.setdefault(parts[0] if parts else name, [0, 0])
        package[name.endswith(".pyc")] += size
print(json.dumps(found))
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
        say(f"{self.name}, build {' '.join(options)}: {seconds:.1f} s")
        return seconds

    def change(self, number: int) -> None:
        """Change one line of code."""
        with (self.folder / "flows" / "basic_flow.py").open("a") as file:
            file.write(f"# {number}\n")

    def megabytes(self) -> float:
        """Return its size."""
        return int(docker("image", "inspect", "--format", "{{.Size}}", self.tag)) / 1e6


def measure(report: Report, repeat: int) -> None:
    """Compare builds, sizes and the start of a run; without an engine, say so."""
    try:
        docker("info")
    except (OSError, RuntimeError, subprocess.TimeoutExpired):
        report.lines += ["## The image", "", "Not measured: there is no Docker engine.", ""]
        return
    with TemporaryDirectory(prefix="bench-images-") as name, removed(f"bench-{os.getpid()}") as tag:
        made = variants(Path(name), tag)
        plain = Path(name) / "plain"
        report.lines += [introduction(default_text(plain).strip())]
        builds(report, made, repeat)
        sizes(report, made)
        code = dict.fromkeys((DEFAULT, COMPILED), f"/opt/prefect/{plain.name}") | {OURS: "/app"}
        ways = [Start(name, made[name].tag, folder) for name, folder in code.items()]
        alone = [way for way in ways if way.name in (DEFAULT, OURS)]
        ways += [replace(way, name=f"{way.name}, `{ENGINE}`", command=ENGINE) for way in alone]
        starts(report, ways, repeat)


@contextmanager
def removed(prefix: str) -> Iterator[str]:
    """Hand a name on, and remove the images that have it with the containers that ran in them."""
    try:
        yield prefix
    finally:
        listing = docker("images", "--format", "{{.Repository}}:{{.Tag}}", f"{prefix}/*")
        for image in listing.splitlines():
            for container in docker("ps", "-aq", "--filter", f"ancestor={image}").splitlines():
                docker("rm", "--force", "--volumes", container)
            docker("rmi", "--force", image)


def variants(folder: Path, tag: str) -> dict[str, Image]:
    """Make every project with its Dockerfile, and the stand-in for Prefect's base image."""
    template = copy_template(folder / "template")
    with quiet_stdout():
        project = bake_into(folder / "ours", template)
    made = {OURS: Image(OURS, project.path, f"{tag}/ours:latest")}

    plain = folder / "plain"
    shutil.copytree(project.path, plain)
    for name in ("Dockerfile", ".dockerignore"):
        (plain / name).unlink()
    (uv,) = re.findall(r"uv==[0-9.]+", project.read("Dockerfile"))
    base = Image("the stand-in", folder / "base", f"{tag}/base:latest")
    base.folder.mkdir()
    (base.folder / "Dockerfile").write_text(STAND_IN.format(uv=uv))
    base.build()

    _, copied, install, copy, workdir = default_text(plain).splitlines()
    texts = {
        DEFAULT: [copied, install, copy, workdir],
        COMPILED: [copied, install, COMPILE, copy, workdir],
        COPY_FIRST: [copy, install, workdir],
        WITH_PIP: [copy, install.replace("uv pip", "python -m pip"), workdir],
    }
    for number, (name, lines) in enumerate(texts.items()):
        where = folder / f"default-{number}"
        shutil.copytree(plain, where)
        text = "\n".join([f"FROM {base.tag}", *lines, ""])
        (where / "Dockerfile").write_text(text)
        made[name] = Image(name, where, f"{tag}/default-{number}:latest")

    client = folder / "client"
    shutil.copytree(project.path, client)
    on_client(Project(client))
    made[ON_CLIENT] = Image(ON_CLIENT, client, f"{tag}/client:latest")
    return made


def default_text(folder: Path) -> str:
    """Return the Dockerfile that Prefect writes for a folder."""
    with generate_default_dockerfile(folder) as path:
        return path.read_text()


def on_client(project: Project) -> None:
    """Give a project requirements with prefect-client in the place of prefect, else the same."""
    locked = re.findall(r"^([a-z0-9-]+)==([^ ]+)", project.read("requirements.txt"), re.MULTILINE)
    pins = {name: version for name, version in locked if name != "prefect"}
    wanted = [name if name in pins else f"{name}=={prefect.__version__}" for name in CLIENT]
    (project.path / "constraints.txt").write_text(
        "".join(f"{name}=={version}\n" for name, version in pins.items())
    )
    (project.path / "client.in").write_text("\n".join(wanted) + "\n")
    options = ["--python-version", "3.14", "--generate-hashes", "--constraints", "constraints.txt"]
    project.run("uv", "pip", "compile", *options, "client.in", "--output-file", "requirements.txt")


def introduction(text: str) -> str:
    """Say what the image is compared with."""
    base = get_prefect_image_name(python_version="3.14")
    return INTRODUCTION.format(
        prefect=prefect.__version__,
        text=text.replace(get_prefect_image_name(), base),
        copy_first=COPY_FIRST,
        with_pip=WITH_PIP,
        base=base,
        stand_in=BASE,
        published=", ".join(f"{name} about {size} MB" for name, size in PUBLISHED.items()),
        load=f"{os.getloadavg()[0]:.1f}",
    )


def builds(report: Report, made: dict[str, Image], repeat: int) -> None:
    """Measure builds without any cache, and builds after a line of code has changed."""
    fresh = defaultdict(list)
    for number in range(repeat):
        names = (OURS, DEFAULT, COMPILED, ON_CLIENT)
        for name in names if number % 2 else reversed(names):
            fresh[name].append(made[name].build("--no-cache"))
    cold = {name: median(each) for name, each in fresh.items()}
    order = [made[name] for name in (OURS, DEFAULT, COPY_FIRST, WITH_PIP)]
    for image in order:
        image.build()  # what another build has put out of the cache comes back
    rebuilds = defaultdict(list)
    for number in range(repeat):
        for image in order if number % 2 else reversed(order):
            image.change(number)
            rebuilds[image.name].append(image.build())
    again = {name: median(each) for name, each in rebuilds.items()}
    figures = [(name, cold.get(name), again.get(name)) for name in made if name in cold | again]
    rows = [[name, *(f"{each:.2f}" if each else "-" for each in both)] for name, *both in figures]
    head = ["image", "cold build s", "code-only rebuild s"]
    report.table(f"Builds, medians of {repeat}", head, rows)
    faster = again[WITH_PIP] / again[OURS]
    label = f"code-only rebuild to {WITH_PIP}"
    report.want(label, f"1/{faster:.0f}", "1/40 or less", faster >= 40)
    ratio = again[OURS] / again[DEFAULT]
    # A second is what two builds of one and the same image differ by.
    near = again[OURS] - again[DEFAULT] < 1
    label = f"code-only rebuild to {DEFAULT}, which copies requirements first"
    report.want(label, f"{ratio:.2f}", "equal: less than 1 s more", near)
    for name in (DEFAULT, COMPILED):
        ratio = cold[OURS] / cold[name]
        report.want(f"cold build to {name}", f"{ratio:.2f}", "1.10 or less", ratio <= 1.1)


def sizes(report: Report, made: dict[str, Image]) -> None:
    """Compare sizes, and say where the bytes of this project's image are."""
    found = {name: image.megabytes() for name, image in made.items()}
    base = int(docker("image", "inspect", "--format", "{{.Size}}", BASE)) / 1e6
    rows = [[f"`{BASE}`, in all of them", f"{base:.0f}"]]
    rows += [
        [name, f"{size:.0f}"] for name, size in found.items() if name not in (COPY_FIRST, WITH_PIP)
    ]
    # Nothing in a generated Dockerfile empties uv's cache, so it stays in the layer.
    kept = docker("run", "--rm", made[COMPILED].tag, "du", "-csb", *UV).splitlines()[-1].split()[0]
    without = f"{COMPILED}, without uv and its cache"
    found[without] = found[COMPILED] - int(kept) / 1e6
    rows.append([without, f"{found[without]:.0f}"])
    report.table("Sizes", ["image", "MB"], rows)
    for name in (COMPILED, without):
        ratio = found[OURS] / found[name]
        report.want(f"size to {name}", f"{ratio:.2f}", "1.00 or less", ratio <= 1)

    history = ["history", "--human=false", "--format", "{{.Size}}\t{{.CreatedBy}}", "--no-trunc"]
    layers = []
    for line in docker(*history, made[OURS].tag).splitlines():
        size, _, command = line.partition("\t")
        if "# buildkit" in command and int(size):
            layers.append([f"`{short(command)}`", f"{int(size) / 1e6:.1f}"])
    report.table("Layers on the base", ["made by", "MB"], layers[::-1])

    held: dict[str, list[int]] = json.loads(
        docker("run", "--rm", made[OURS].tag, "python", "-c", IN_IMAGE)
    )
    largest = sorted(held.items(), key=lambda each: -sum(each[1]))
    rows = [megabytes(name, *each) for name, each in largest[:10]]
    rest = [sum(each) for each in zip(*(each for _, each in largest[10:]), strict=True)]
    rows.append(megabytes(f"{len(largest) - 10} others", *rest))
    whole = [sum(each) for each in zip(*held.values(), strict=True)]
    rows.append(megabytes("all", *whole))
    report.table("Packages", ["in site-packages", "files MB", "bytecode MB"], rows)


def megabytes(name: str, *sizes: int) -> list[str]:
    """Return a row of the table."""
    return [name, *(f"{size / 1e6:.1f}" for size in sizes)]


def short(command: str) -> str:
    """Return an instruction of a Dockerfile without what all of them have."""
    text = re.sub(r"^RUN /bin/sh -c|# buildkit$|\s+", " ", command).strip()
    return " ".join(text.split())[:70]


def say(what: str) -> None:
    """Tell a person what was measured, while the rest goes on."""
    print(what, file=sys.stderr, flush=True)  # noqa: T201
