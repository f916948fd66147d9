"""Build time and size of the image, compared with the images of Prefect's default Dockerfile."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.base import build_stand_in
from bench.measure import rounds
from bench.project import bake
from bench.samples import OURS, Sample
from tests.baking import Project
from tests.support.docker import docker, remove_images

COMPILE = "RUN python -m compileall -q -j 0 /usr/local/lib"
DEFAULT, COMPILED = "Prefect's default", "Prefect's default, all compiled"
HOW = """\
"Prefect's default" is the Dockerfile that Prefect writes for `dockerfile="auto"`. It copies the
requirements first, installs them with uv and then copies the project, without a .dockerignore.
"All compiled" adds `compileall` for all of Python, because an image without bytecode compiles at
the start of every run. All have the same project and the same requirements, and all are based on
Python's image. Prefect's base is a stand-in with uv for prefecthq/prefect. The real base already
contains Prefect and its packages, compiled, and git and a compiler: a real default image installs
less and leaves less in uv's cache, and its base is larger. These rows show the Dockerfile, not that
base.

Base images exist before the measurement; a cold build downloads all packages again. "Code" is
a new line in a flow, "dependency" a new line in requirements.txt. "Of it" rows count the bytes of
the files in the image; a file with several names counts once.
"""
# Sums the sizes of all files by kind. A file's path decides: the first kind that matches.
BYTES = """\
import json, os, sys, sysconfig
root, code, packages = *sys.argv[1:], sysconfig.get_path("purelib")
found, seen = {}, set()
for folder, folders, names in os.walk(root):
    if folder == "/":
        folders[:] = set(folders) - {"proc", "sys", "dev"}
    for name in names:
        path = os.path.join(folder, name)
        about = os.lstat(path)
        if (about.st_dev, about.st_ino) in seen:  # a hard link
            continue
        seen.add((about.st_dev, about.st_ino))
        pyc = name.endswith(".pyc")
        kind = (
            "the project" if path.startswith(code + "/")
            else "bytecode of packages" if pyc and path.startswith(packages)
            else "packages" if path.startswith(packages)
            else "bytecode of Python" if pyc
            else "left by uv" if "/.cache/uv/" in path
            else "system, Python and tools"
        )
        found[kind] = found.get(kind, 0) + about.st_size
print(json.dumps(found))
"""
KINDS = (
    "system, Python and tools",
    "bytecode of Python",
    "packages",
    "bytecode of packages",
    "left by uv",
    "the project",
)


@dataclass(frozen=True)
class Image:
    """An image that is built several times.

    Attributes:
        folder: the project that it is built from.
        tag: its name in the engine.
        code: the project's folder inside the image.
    """

    folder: Path
    tag: str
    code: str

    def build(self, *options: str) -> float:
        """Build it and return the seconds that it took."""
        begin = time.perf_counter()
        docker("build", "--quiet", "--tag", self.tag, *options, str(self.folder), timeout=1800)
        return time.perf_counter() - begin

    def add(self, path: str, line: str) -> None:
        """Add a line to a file."""
        with (self.folder / path).open("a") as file:
            file.write(f"{line}\n")

    def bytes(self) -> dict[str, int]:
        """Return the bytes of its files by kind."""
        run = ["run", "--rm", "--user=0", "--entrypoint=python", self.tag]
        found: dict[str, int] = json.loads(docker(*run, "-c", BYTES, "/", self.code))
        return found


def measure(repeat: int) -> Generator[Sample]:
    """Yield seconds of builds and bytes of images."""
    with images() as made:
        for number, turns in enumerate(rounds(list(made), repeat)):
            for who in turns:
                yield Sample("cold build", "s", who, made[who].build("--no-cache"))
            for what, path in (("code", "flows/basic_flow.py"), ("dependency", "requirements.txt")):
                for who in turns:
                    # A different line for each, otherwise one would use the cache of another.
                    made[who].add(path, f"# {number} of {made[who].tag}")
                    yield Sample(f"rebuild: {what}", "s", who, made[who].build())
        for who, image in made.items():
            size = docker("image", "inspect", "--format", "{{.Size}}", image.tag)
            yield Sample("image", "MB", who, int(size) / 1e6)
            held = image.bytes()
            for kind in KINDS:
                yield Sample(f"of it {kind}", "MB", who, held.get(kind, 0) / 1e6)


@contextmanager
def images() -> Iterator[dict[str, Image]]:
    """Prepare the images' folders, by side. Remove the images at the end."""
    prefix = f"bench-{os.getpid()}/"
    with TemporaryDirectory(prefix="bench-images-") as name:
        folder = Path(name)
        project = bake(folder)
        try:
            build_stand_in(project, f"{prefix}base", "plain")
            yield variants(project, folder, prefix)
        finally:
            remove_images(prefix)


def variants(project: Project, folder: Path, prefix: str) -> dict[str, Image]:
    """Copy the project once for each of Prefect's Dockerfiles.

    Args:
        project: the project, with its own Dockerfile.
        folder: where the copies go.
        prefix: first part of all tags; the stand-in is `{prefix}base`.
    """
    from prefect.utilities.dockerutils import generate_default_dockerfile  # takes a second

    plain = folder / "plain"
    without = shutil.ignore_patterns("Dockerfile", ".dockerignore")
    shutil.copytree(project.path, plain, ignore=without)
    with generate_default_dockerfile(plain) as path:
        _, copied, install, copy, workdir = path.read_text().strip().splitlines()
    made = {OURS: Image(project.path, f"{prefix}ours", "/app")}
    for who, tag, lines in (
        (DEFAULT, "default", [copied, install, copy, workdir]),
        (COMPILED, "compiled", [copied, install, COMPILE, copy, workdir]),
    ):
        copied_to = shutil.copytree(plain, folder / tag)
        (copied_to / "Dockerfile").write_text("\n".join([f"FROM {prefix}base", *lines, ""]))
        # Prefect's Dockerfile copies the project into a folder with the name of its source folder.
        made[who] = Image(copied_to, f"{prefix}{tag}", f"/opt/prefect/{plain.name}")
    return made
