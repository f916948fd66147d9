"""The content of an image: its files, and texts in its layers, configuration and history."""

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
    """One file, folder or link, without its times, which differ from build to build.

    Attributes:
        kind: tar's type of the entry.
        mode: its permissions.
        owner: user id and group id.
        content: the hash of a file's content, or the target of a link.
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
    """Return all entries of the image's file system by path."""
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
    """Return the paths whose entries differ or exist in one image only."""
    return sorted(path for path in one.keys() | other.keys() if one.get(path) != other.get(path))


def places_of(text: str, image: str) -> list[str]:
    """Return where a text occurs in an image: names of layers or other files, or `history`."""
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
