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


def push(
    images: dict[str, str], run: Callable[[str, list[str]], Program], stack: ExitStack
) -> dict[str, str]:
    """Push images to a registry on this machine and return what they are there, with digests.

    Where no registry can be had, return them as they are: the engine has them already.

    Args:
        images: references of images that the engine has, by their names.
        run: starts a program, given its name and its command.
        stack: takes the references away again at the end.
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
        said = ", ".join(images.values())
        say(f"There is neither docker-registry nor {REGISTRY} here: deploying {said} by tag.")
        return images
    run("registry", command).wait_until(lambda: answers(f"http://{address}/v2/"))
    return {name: _push(image, address, stack) for name, image in images.items()}


def _push(image: str, address: str, stack: ExitStack) -> str:
    there = f"{address}/{image}"
    call("docker", "tag", image, there)
    stack.callback(attempt, "docker", "rmi", there)
    call("docker", "push", "--quiet", there)
    found = call("docker", "inspect", "--format", "{{json .RepoDigests}}", there)
    digest: str = next(each for each in json.loads(found) if each.startswith(f"{address}/"))
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
