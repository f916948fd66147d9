"""A Docker engine, a registry on loopback, and a worker that runs flows in containers."""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import Process, free_port
from tests.support.server import PrefectServer

# What a registry can hold, in the order in which a client is ready to take it.
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)


def docker(*arguments: str, timeout: float = 120) -> str:
    """Run the Docker client and return what it printed."""
    done = subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, timeout=timeout, check=False
    )
    if done.returncode:
        raise RuntimeError(f"docker {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


def unavailable(reason: str) -> None:
    """Skip the test, or fail it where everything has to be there."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason}; with CI set that is a failure.", pytrace=False)
    pytest.skip(reason)


def need_docker() -> None:
    """Skip (or fail, with CI set) unless there is an engine with buildx and a registry program."""
    if shutil.which("docker") is None:
        unavailable("there is no docker on PATH")
    for command, what in ((("info",), "no Docker engine"), (("buildx", "version"), "no buildx")):
        try:
            docker(*command)
        except (RuntimeError, subprocess.TimeoutExpired):
            unavailable(f"there is {what}: `docker {' '.join(command)}` fails")
    if shutil.which("docker-registry") is None:
        unavailable("there is no docker-registry on PATH: it is a Debian package of that name")


def bridge_address() -> str:
    """Return the host's own address on the engine's bridge: host and containers reach it alike."""
    (bridge,) = json.loads(docker("network", "inspect", "bridge"))
    config = bridge["IPAM"]["Config"][0]
    # Older engines leave the gateway out; it is the first address.
    first = next(ipaddress.ip_network(config["Subnet"]).hosts())
    return str(config.get("Gateway") or first)


class Registry(Process):
    """An image registry without a password, which the engine trusts because it is on loopback."""

    name = "registry"

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        """Keep the images in this folder."""
        super().__init__(folder)
        self.port = port or free_port()
        self.address = f"127.0.0.1:{self.port}"

    def command(self) -> list[str | Path]:
        """Return the command line."""
        config = {
            "version": "0.1",
            "log": {"level": "warn"},
            "storage": {
                "filesystem": {"rootdirectory": str(self.folder / "data")},
                "delete": {"enabled": True},
            },
            "http": {"addr": self.address},
        }
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
        """Return the tags of a repository, none if it does not exist."""
        try:
            answer = json.load(self._get(f"{repository}/tags/list"))
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return []
            raise
        return sorted(answer["tags"] or [])

    def digest(self, repository: str, tag: str) -> str:
        """Return the digest of the manifest that a tag names."""
        return str(self._get(f"{repository}/manifests/{tag}").headers["Docker-Content-Digest"])

    def __exit__(self, *error: Any) -> None:
        """End the registry and remove the containers and images that came from it."""
        super().__exit__(*error)
        for line in docker("ps", "--all", "--format", "{{.ID}} {{.Image}}").splitlines():
            container, image = line.split(maxsplit=1)
            if image.startswith(f"{self.address}/"):
                docker("rm", "--force", "--volumes", container)
        form = "{{.Repository}} {{.Tag}} {{.Digest}}"
        for line in docker("images", "--digests", "--format", form).splitlines():
            repository, tag, digest = line.split()
            if repository.startswith(f"{self.address}/"):
                for name in (f"{repository}:{tag}", f"{repository}@{digest}"):
                    if "<none>" not in name:
                        docker("rmi", "--force", name)

    def _get(self, path: str) -> Any:
        request = urllib.request.Request(
            f"http://{self.address}/v2/{path}", headers={"Accept": ", ".join(MANIFESTS)}
        )
        return urllib.request.urlopen(request, timeout=10)


class Worker(Process):
    """`prefect worker start`, which creates its pool if it is new, asking for work each second."""

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
        """Return whether the server has heard of the worker."""
        try:
            workers = self.server.request("POST", f"/work_pools/{self.pool}/workers/filter", {})
        except urllib.error.HTTPError:
            return False
        return any(
            worker["name"] == self.name and worker["status"] == "ONLINE" for worker in workers
        )
