"""The Docker client, a registry on loopback, and a worker that runs flows in containers."""

from __future__ import annotations

import base64
import ipaddress
import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import Process, free_port
from tests.support.server import PrefectServer

# Types of manifests, in the order of preference of a client.
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)

# The login of a registry with a password. HTPASSWD is fixed text: Python cannot compute bcrypt.
USERNAME, PASSWORD = "somebody", "canary-registry-password"
HTPASSWD = f"{USERNAME}:$2b$04$XDmIJX040uDR8yLcdAGDleWzXiTuBdzS0Woh9/IDdHmcUkXXLR61K\n"


def docker(*arguments: str, timeout: float = 600) -> str:
    """Run the Docker client and return what it printed."""
    done = subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, timeout=timeout, check=False
    )
    if done.returncode:
        raise RuntimeError(f"docker {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


def remove_images(prefix: str) -> None:
    """Remove all images whose names begin with the prefix, and the containers of these images."""
    for line in docker("ps", "--all", "--format", "{{.ID}} {{.Image}}").splitlines():
        container, image = line.split(maxsplit=1)
        if image.startswith(prefix):
            docker("rm", "--force", "--volumes", container)
    form = "{{.Repository}} {{.Tag}} {{.Digest}}"
    for line in docker("images", "--digests", "--format", form).splitlines():
        repository, tag, digest = line.split()
        if repository.startswith(prefix):
            for name in (f"{repository}:{tag}", f"{repository}@{digest}"):
                if "<none>" not in name:
                    docker("rmi", "--force", name)


def skip_or_fail(reason: str) -> None:
    """Skip the test because a program is missing. With CI set, fail it instead."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason}; with CI set that is a failure.", pytrace=False)
    pytest.skip(reason)


def need_docker() -> None:
    """Skip (fail with CI set) unless there are a Docker engine, buildx and docker-registry."""
    if shutil.which("docker") is None:
        skip_or_fail("there is no docker on PATH")
    for command, what in ((("info",), "no Docker engine"), (("buildx", "version"), "no buildx")):
        try:
            docker(*command)
        except (RuntimeError, subprocess.TimeoutExpired):
            skip_or_fail(f"there is {what}: `docker {' '.join(command)}` fails")
    if shutil.which("docker-registry") is None:
        skip_or_fail("there is no docker-registry on PATH: it is a Debian package of that name")


def bridge_address() -> str:
    """Return the host's address on the engine's bridge, which host and containers can reach."""
    (bridge,) = json.loads(docker("network", "inspect", "bridge"))
    config = bridge["IPAM"]["Config"][0]
    # Older engines do not list the gateway; it is the first address.
    first = next(ipaddress.ip_network(config["Subnet"]).hosts())
    return str(config.get("Gateway") or first)


class Registry(Process):
    """An image registry on loopback, which the engine trusts without TLS."""

    name = "registry"

    def __init__(self, folder: Path, *, port: int | None = None, login: bool = False) -> None:
        """Prepare a registry that stores images in a folder; `login` requires user and password."""
        super().__init__(folder)
        self.login = login
        self.port = port or free_port()
        self.address = f"127.0.0.1:{self.port}"
        # Variables and secrets of a repository whose workflows log in here.
        self.variables = {"REGISTRY": self.address, "REGISTRY_USERNAME": USERNAME}
        self.secrets = {"REGISTRY_PASSWORD": PASSWORD}

    def command(self) -> list[str | Path]:
        """Return the command line."""
        config: dict[str, Any] = {
            "version": "0.1",
            "log": {"level": "warn"},
            "storage": {
                "filesystem": {"rootdirectory": str(self.folder / "data")},
                "delete": {"enabled": True},
            },
            "http": {"addr": self.address},
        }
        if self.login:
            (self.folder / "htpasswd").write_text(HTPASSWD)
            path = str(self.folder / "htpasswd")
            config["auth"] = {"htpasswd": {"realm": "tests", "path": path}}
        # JSON is YAML.
        (self.folder / "registry.yml").write_text(json.dumps(config))
        return ["docker-registry", "serve", self.folder / "registry.yml"]

    def is_ready(self) -> bool:
        """Return whether the registry answers."""
        try:
            self._get("")
        except OSError:
            return False
        return True

    def tags(self, repository: str) -> list[str]:
        """Return the tags of a repository, or an empty list if it does not exist."""
        try:
            answer = json.load(self._get(f"{repository}/tags/list"))
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return []
            raise
        return sorted(answer["tags"] or [])

    def digest(self, repository: str, tag: str) -> str:
        """Return the digest of a tag's manifest."""
        return str(self._get(f"{repository}/manifests/{tag}").headers["Docker-Content-Digest"])

    def size(self, repository: str, reference: str) -> int:
        """Return the compressed size of an image's layers in bytes."""
        manifest = json.load(self._get(f"{repository}/manifests/{reference}"))
        return sum(layer["size"] for layer in manifest["layers"])

    def __exit__(self, *error: Any) -> None:
        """Stop the registry and remove the containers and images that came from it."""
        super().__exit__(*error)
        remove_images(f"{self.address}/")

    def push(self, name: str) -> None:
        """Push a local image, logged in only for this push."""
        config = ["--config", str(self.folder / "docker")]
        if self.login:
            docker(*config, "login", "--username", USERNAME, "--password", PASSWORD, self.address)
        docker(*config, "push", name, timeout=300)

    def search(self, repository: str, reference: str, words: Iterable[str]) -> set[str]:
        """Return the words that occur in an image's configuration, history or layers."""
        wanted = {word.encode(): word for word in words}
        manifest = json.load(self._get(f"{repository}/manifests/{reference}"))
        found = set()
        for blob in (manifest["config"], *manifest["layers"]):
            is_layer = blob is not manifest["config"]
            unzip = zlib.decompressobj(zlib.MAX_WBITS | 16)
            tail = b""  # a word may extend over two pieces
            with self._get(f"{repository}/blobs/{blob['digest']}") as answer:
                while piece := answer.read(1 << 20):
                    text = tail + (unzip.decompress(piece) if is_layer else piece)
                    found |= {word for word in wanted if word in text}
                    tail = text[-max(map(len, wanted)) :]
        return {wanted[word] for word in found}

    def _get(self, path: str) -> Any:
        request = urllib.request.Request(
            f"http://{self.address}/v2/{path}", headers={"Accept": ", ".join(MANIFESTS)}
        )
        if self.login:
            token = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
            request.add_header("Authorization", f"Basic {token}")
        return urllib.request.urlopen(request, timeout=10)


class Worker(Process):
    """`prefect worker start`: creates its pool if it does not exist, polls for work each second."""

    def __init__(
        self, server: PrefectServer, pool: str, folder: Path, *, type: str = "docker"
    ) -> None:
        """Prepare a worker for one pool of this server."""
        self.name = f"worker-{pool}"
        super().__init__(folder)
        self.server, self.pool, self.type = server, pool, type

    def command(self) -> list[str | Path]:
        """Return the command line."""
        start = ["prefect", "worker", "start", "--name", self.name]
        return [self.server.python, "-m", *start, "--pool", self.pool, "--type", self.type]

    def environment(self) -> dict[str, str]:
        """Return the clients' environment."""
        return self.server.env | {"PREFECT_WORKER_QUERY_SECONDS": "1"}

    def is_ready(self) -> bool:
        """Return whether the worker is online on the server."""
        try:
            workers = self.server.request("POST", f"/work_pools/{self.pool}/workers/filter", {})
        except urllib.error.HTTPError:
            return False
        return any(
            worker["name"] == self.name and worker["status"] == "ONLINE" for worker in workers
        )
