"""Docker commands of `up --docker`: a registry, so that images have digests, and the cleanup."""

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

REGISTRY = "registry:2"  # used if there is no program called docker-registry


def push(
    images: dict[str, str], run: Callable[[str, list[str]], Program], stack: ExitStack
) -> dict[str, str]:
    """Push images to a registry on this machine, and return their references with digests.

    If there is no registry, return the images as they are: the engine has them already.

    Args:
        images: references of images that the engine has, by their names.
        run: starts a program, given its name and its command.
        stack: removes the new tags at the end.
    """
    address = f"{HOST}:{free_port()}"
    if program := shutil.which("docker-registry"):
        settings = HOME / "registry.json"
        # On disk, so that Prefect's layers are pushed only once.
        storage = {"filesystem": {"rootdirectory": str(HOME / "registry")}}
        content = {"version": 0.1, "storage": storage, "http": {"addr": address}}
        settings.write_text(json.dumps(content), encoding="utf-8")
        command = [program, "serve", str(settings)]
    elif call("docker", "images", "--quiet", REGISTRY):
        command = ["docker", "run", "--rm", "--publish", f"{address}:5000", REGISTRY]
    else:
        names = ", ".join(images.values())
        say(f"There is neither docker-registry nor {REGISTRY} here: deploying {names} by tag.")
        return images
    run("registry", command).wait_until(lambda: answers(f"http://{address}/v2/"))
    return {name: _push(image, address, stack) for name, image in images.items()}


def _push(image: str, address: str, stack: ExitStack) -> str:
    pushed = f"{address}/{image}"
    stack.callback(attempt, "docker", "rmi", pushed)  # first, in case the next line is interrupted
    call("docker", "tag", image, pushed)
    call("docker", "push", "--quiet", pushed)
    found = call("docker", "inspect", "--format", "{{json .RepoDigests}}", pushed)
    digest: str = next(each for each in json.loads(found) if each.startswith(f"{address}/"))
    return digest


def attempt(*command: str) -> None:
    """Run a command that cleans up, and ignore its failure: the object may be gone already."""
    with suppress(DeployerError):
        call(*command)


def remove_containers(label: str) -> None:
    """Remove the containers with a label, running or not."""
    with suppress(DeployerError):
        found = call("docker", "ps", "--all", "--quiet", "--filter", f"label={label}")
        if found:
            call("docker", "rm", "--force", "--volumes", *found.split())
