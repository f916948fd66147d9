"""Measure a pull by an engine that has no layer of the image, not even of its base."""

from __future__ import annotations

import gzip
import hashlib
import json
import time
from typing import Any

import httpx

from tests.support.docker import MANIFESTS, Registry, docker

# A tar archive ends with zeros. More zeros change its digest, but not its files.
PADDING = bytes(512)
TAG = "pulled"


def store_uncached(registry: Registry, repository: str, reference: str) -> str:
    """Store a copy of an image whose layers are in no engine's cache, and return its name.

    This engine built the image, so it has all layers in its cache, and the benchmark must not
    remove the base image: a pull of the image itself would download nothing.
    """
    with httpx.Client(base_url=f"http://{registry.address}/v2/{repository}", timeout=60) as client:

        def blob(name: str) -> bytes:
            return client.get(f"blobs/{name}").raise_for_status().content

        def replace(part: dict[str, Any], content: bytes) -> None:
            part |= {"digest": digest(content), "size": len(content)}
            place = client.post("blobs/uploads/").raise_for_status().headers["Location"]
            client.put(f"{place}&digest={part['digest']}", content=content).raise_for_status()

        kinds = {"Accept": ", ".join(MANIFESTS)}
        manifest = client.get(f"manifests/{reference}", headers=kinds).raise_for_status().json()
        config = json.loads(blob(manifest["config"]["digest"]))
        config["rootfs"]["diff_ids"] = []
        for layer in manifest["layers"]:
            content = padded(blob(layer["digest"]))
            config["rootfs"]["diff_ids"].append(digest(gzip.decompress(content)))
            replace(layer, content)
        replace(manifest["config"], json.dumps(config).encode())
        kind = {"Content-Type": manifest["mediaType"]}
        client.put(f"manifests/{TAG}", json=manifest, headers=kind).raise_for_status()
    return f"{registry.address}/{repository}:{TAG}"


def padded(layer: bytes) -> bytes:
    """Return a layer with the same files and another digest, both compressed and uncompressed."""
    return layer + gzip.compress(PADDING, mtime=0)


def digest(content: bytes) -> str:
    """Return the digest of a blob as a registry writes it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def pull(name: str) -> float:
    """Pull an image, remove it again, and return the seconds of the pull.

    Raises:
        RuntimeError: the engine had a layer of it already.
    """
    begin = time.perf_counter()
    output = docker("pull", name, timeout=600)
    seconds = time.perf_counter() - begin
    docker("rmi", name)
    if "Already exists" in output or "Downloaded newer image" not in output:
        raise RuntimeError(f"The engine had layers of {name} before it was pulled:\n{output}")
    return seconds
