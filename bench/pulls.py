"""What a pull costs an engine that has nothing of the image, its base included."""

from __future__ import annotations

import gzip
import hashlib
import json
import time
from typing import Any

import httpx

from tests.support.docker import MANIFESTS, Registry, docker

# An archive ends with zeros. With more of them it has the same files and another digest.
PADDING = bytes(512)
TAG = "pulled"


def unknown(registry: Registry, repository: str, reference: str) -> str:
    """Store an image once more, in layers that no engine has seen, and return its name.

    The engine here has built the image, so that it keeps all layers in its cache, and the base
    image is not the bench's to remove: a pull of the image itself would fetch nothing.
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
    """Return a compressed layer with the same files and another digest, compressed or not."""
    return layer + gzip.compress(PADDING, mtime=0)


def digest(content: bytes) -> str:
    """Return what an image is made of calls itself."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def pull(name: str) -> float:
    """Pull an image, remove it again, and return the seconds of the pull.

    Raises:
        RuntimeError: the engine had a layer of it already.
    """
    begin = time.perf_counter()
    said = docker("pull", name, timeout=600)
    seconds = time.perf_counter() - begin
    docker("rmi", name)
    if "Already exists" in said or "Downloaded newer image" not in said:
        raise RuntimeError(f"The engine had layers of {name} before it was pulled:\n{said}")
    return seconds
