"""What is in an image: every file of it, and every byte of its layers and its history."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tests.support.docker import docker

GZIP = b"\x1f\x8b"


class Entry(NamedTuple):
    """One file, folder or link; times differ from build to build and are left out.

    Attributes:
        kind: tar's letter for it.
        mode: its permissions.
        owner: the numbers of user and group.
        content: a hash of what is in it, or where the link leads.
    """

    kind: bytes
    mode: str
    owner: tuple[int, int]
    content: str


@contextmanager
def output_of(*arguments: str) -> Iterator[tarfile.TarFile]:
    """Read the tar archive that a command of the Docker client writes."""
    with subprocess.Popen(["docker", *arguments], stdout=subprocess.PIPE) as popen:
        with tarfile.open(fileobj=popen.stdout, mode="r|") as archive:
            yield archive
        assert popen.stdout
        while popen.stdout.read(1 << 20):
            pass
    assert popen.returncode == 0, arguments


def entries(image: str) -> dict[str, Entry]:
    """Return all that a container of this image begins with, by path."""
    container = docker("create", image)
    found = {}
    try:
        with output_of("export", container) as archive:
            for member in archive:
                content = member.linkname
                if file := archive.extractfile(member) if member.isreg() else None:
                    content = hashlib.sha256(file.read()).hexdigest()
                owner = (member.uid, member.gid)
                found[member.name] = Entry(member.type, oct(member.mode), owner, content)
    finally:
        docker("rm", container)
    return found


def differences(one: dict[str, Entry], other: dict[str, Entry]) -> list[str]:
    """Return the paths that are not the same in both."""
    return sorted(path for path in one.keys() | other.keys() if one.get(path) != other.get(path))


def places_of(text: str, image: str) -> list[str]:
    """Return where a text stands in an image: in a layer, in the configuration, in the history."""
    needle = text.encode()
    found = []
    with output_of("save", image) as archive:
        for member in archive:
            if file := archive.extractfile(member):
                data = file.read()
                if needle in (gzip.decompress(data) if data.startswith(GZIP) else data):
                    found.append(member.name)
    if text in docker("history", "--no-trunc", image):
        found.append("history")
    return found
