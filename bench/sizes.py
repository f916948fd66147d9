"""How large the images are, and where the bytes of this project's image are."""

from __future__ import annotations

import json
import re

from bench.report import Report
from tests.support.docker import docker

UV = ("/root/.cache/uv", "/usr/local/bin/uv")
LARGEST = 10
IN_IMAGE = """\
import json, os, sysconfig
top = sysconfig.get_path("purelib")
found = {}
for folder, _, names in os.walk(top):
    inside = os.path.relpath(folder, top).split(os.sep)[0]
    for name in names:
        package = found.setdefault(name if inside == "." else inside, [0, 0])
        package[name.endswith(".pyc")] += os.lstat(os.path.join(folder, name)).st_size
print(json.dumps(found))
"""


def size_of(tag: str) -> float:
    """Return the size of an image in bytes."""
    return int(docker("image", "inspect", "--format", "{{.Size}}", tag))


def in_megabytes(*sizes: float) -> list[str]:
    """Return bytes as the cells of a table."""
    return [f"{size / 1e6:.1f}" for size in sizes]


def compare(report: Report, images: dict[str, str], *, ours: str, base: str, compiled: str) -> None:
    """Compare the sizes of images.

    Args:
        report: gets the table and the thresholds.
        images: the tags, by what the report calls the images.
        ours: the name of this project's image.
        base: the tag of the image that all of them are made from.
        compiled: the name of the one that ours must not be larger than.
    """
    found = {f"`{base}`, in all of them": size_of(base)}
    found |= {name: size_of(tag) for name, tag in images.items()}
    # Nothing in a generated Dockerfile empties uv's cache, so it stays in the layer.
    kept = docker("run", "--rm", images[compiled], "du", "-csb", *UV).splitlines()[-1].split()[0]
    without = f"{compiled}, without uv and its cache"
    found[without] = found[compiled] - int(kept)
    rows = [[name, *in_megabytes(size)] for name, size in found.items()]
    report.table("Sizes", ["image", "MB"], rows)
    for name in (compiled, without):
        ratio = found[ours] / found[name]
        report.want(f"size to {name}", f"{ratio:.2f}", "1.00 or less", ratio <= 1)


def layers(report: Report, tag: str) -> None:
    """Show the layers that an image has on its base."""
    history = ["history", "--human=false", "--format", "{{.Size}}\t{{.CreatedBy}}", "--no-trunc"]
    rows = []
    for line in reversed(docker(*history, tag).splitlines()):
        size, _, command = line.partition("\t")
        if "# buildkit" in command and int(size):
            text = re.sub(r"^RUN /bin/sh -c|# buildkit$|\s+", " ", command)
            rows.append([f"`{' '.join(text.split())[:70]}`", *in_megabytes(int(size))])
    report.table("Layers on the base", ["made by", "MB"], rows)


def packages(report: Report, tag: str) -> None:
    """Show the installed packages of an image, the largest ones by name."""
    held: dict[str, list[int]] = json.loads(docker("run", "--rm", tag, "python", "-c", IN_IMAGE))
    ordered = sorted(held.items(), key=lambda each: -sum(each[1]))
    rows = [[name, *in_megabytes(*sizes)] for name, sizes in ordered[:LARGEST]]
    whole = [sum(each) for each in zip(*held.values(), strict=True)]
    rows.append([f"all {len(held)}", *in_megabytes(*whole)])
    report.table("Packages", ["in site-packages", "files MB", "bytecode MB"], rows)
