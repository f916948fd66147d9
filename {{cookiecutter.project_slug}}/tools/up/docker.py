"""What `up --docker` asks of Docker: a registry, so that images have digests, and clearing up."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import ExitStack, suppress

from deployer.errors import DeployerError
from tools.build import call
from tools.up.local import HOME, HOST, answers, free_port
from tools.up.processes import Program
from tools.up.terminal import say

REGISTRY = "registry:2"  # used where there is no program called docker-registry


def push(name: str, run: Callable[[str, list[str]], Program], stack: ExitStack) -> str:
    """Push an image to a registry on this machine and return its name there, with its digest.

    Where no registry can be had, return the name as it is: the engine has the image already.

    Args:
        name: of an image that the engine has.
        run: starts a program, given its name and its command.
        stack: takes the name away again at the end.
    """
    address = f"{HOST}:{free_port()}"
    if program := shutil.which("docker-registry"):
        settings = HOME / "registry.json"
        # On disk, because the layers of Prefect then are pushed only once.
        storage = {"filesystem": {"rootdirectory": str(HOME / "registry")}}
        content = {"version": 0.1, "storage": storage, "http": {"addr": address}}
        settings.write_text(json.dumps(content), encoding="utf-8")
        command = [program, "serve", str(settings)]
    elif call("docker", "images", "--quiet", REGISTRY):
        command = ["docker", "run", "--rm", "--publish", f"{address}:5000", REGISTRY]
    else:
        say(f"There is neither docker-registry nor {REGISTRY} here: deploying {name} by tag.")
        return name
    run("registry", command).wait_until(lambda: answers(f"http://{address}/v2/"))
    there = f"{address}/{name}"
    call("docker", "tag", name, there)
    stack.callback(attempt, "docker", "rmi", there)
    call("docker", "push", "--quiet", there)
    found = call("docker", "inspect", "--format", "{{json .RepoDigests}}", there)
    digest: str = next(name for name in json.loads(found) if name.startswith(f"{address}/"))
    return digest


def attempt(*command: str) -> None:
    """Run a command that cleans up; what is gone already is no failure."""
    with suppress(DeployerError):
        call(*command)


def remove_containers(label: str) -> None:
    """Remove the containers that bear a label, running or not."""
    with suppress(DeployerError):
        found = call("docker", "ps", "--all", "--quiet", "--filter", f"label={label}")
        if found:
            call("docker", "rm", "--force", "--volumes", *found.split())
