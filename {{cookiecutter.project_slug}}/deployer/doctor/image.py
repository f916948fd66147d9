"""What is wrong with an image: looked at with the `docker` command, where there is one."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from tempfile import TemporaryDirectory

from deployer.doctor.finding import Finding
from deployer.environment import FILE, Environment

PATIENCE = 30  # seconds for one look
ABSENT = re.compile(r"(?i)not found|manifest unknown|name unknown|no such manifest")
DENIED = re.compile(r"(?i)denied|unauthorized|forbidden|\b40[13]\b")
# Tags that name one content: by its hash, a commit or a version.
FIXED = re.compile(r"([a-z]+-)?[0-9a-f]{7,64}|v?\d+(\.\d+)+.*")


def examine(
    image: str | None, environment: Environment, default_policy: str | None
) -> list[Finding]:
    """Look at the image that containers would run.

    Args:
        image: its reference.
        environment: whose job variables may name a pull policy.
        default_policy: the work pool's own pull policy.
    """
    if not image:
        why = "Runs in containers need one, and it was not looked at."
        mend = "add --image REFERENCE; `nox -s image` builds one"
        return [Finding("No image was given.", why, mend, False)]
    policy = environment.job_variables.get("image_pull_policy") or default_policy
    return [*_presence(image), *_policy(image, policy, environment)]


def _presence(image: str) -> list[Finding]:
    unseen = Finding(
        f"{image} could not be looked at: there is no `docker` command here.",
        "Whether it is there, and for which platform, is not known.",
        "run this where Docker is installed",
        False,
    )
    try:
        engine, _ = _docker("version", "--format", "{{.Server.Os}}/{{.Server.Arch}}")
        here, _ = _docker("image", "inspect", "--format", "{{.Os}}/{{.Architecture}}", image)
        platforms, problem = _in_registry(image)
        found = _platform(image, platforms or [here], engine)
        if platforms:
            return [*found, *_private(image)]
        return [*found, *_not_in_registry(image, bool(here), problem)]
    except FileNotFoundError:
        return [unseen]


def _not_in_registry(image: str, is_here: bool, problem: str) -> list[Finding]:
    host = _registry(image)
    if is_here and not host:
        return []  # made here for here
    if DENIED.search(problem):
        return [
            Finding(
                f"{image} cannot be read: {problem}.",
                "It does not exist, or is private (a new package on GHCR is): then a worker "
                "without credentials cannot pull it either.",
                f"docker login {host}, here and where the worker runs",
                False,
            )
        ]
    if not ABSENT.search(problem):
        what = f"{image} could not be looked at in its registry: {problem}."
        if not is_here:
            what = f"{what} It is not on this machine either."
        why = "Whether workers can pull it is not known."
        return [Finding(what, why, f"docker buildx imagetools inspect {image}", False)]
    if is_here:
        what = f"{image} is on this machine, but not in its registry."
        why = "A worker on any other machine cannot pull it."
        return [Finding(what, why, f"docker push {image}", False)]
    what = f"There is no image {image}, neither in its registry nor on this machine."
    mend = "correct the reference, or build and push it: `nox -s image`, `docker push`"
    return [Finding(what, "Every run crashes.", mend, True)]


def _platform(image: str, platforms: list[str], engine: str) -> list[Finding]:
    platforms = [each for each in platforms if each]
    if platforms and not engine:
        what = f"No Docker engine answers: {image} is for {', '.join(platforms)}."
        why = "Whether a worker like this machine can run it is not known."
        return [Finding(what, why, "start Docker, and look again", False)]
    if not platforms or any(f"{each}/".startswith(f"{engine}/") for each in platforms):
        return []
    return [
        Finding(
            f"{image} is for {', '.join(platforms)}, and the Docker engine here is {engine}.",
            "On a worker like this one every run crashes with `exec format error`.",
            f"docker build --platform {engine} …, or run the worker on such a machine",
            False,
        )
    ]


def _private(image: str) -> list[Finding]:
    """Look again as somebody who is not logged in."""
    if _registry(image) != "ghcr.io":
        return []
    with TemporaryDirectory() as empty:
        platforms, problem = _in_registry(image, {"DOCKER_CONFIG": empty})
    if platforms or not DENIED.search(problem):
        return []
    return [
        Finding(
            f"{image} is private, as every new package on GHCR.",
            "A worker without credentials cannot pull it, and its first run crashes.",
            "docker login ghcr.io where the worker runs, or make the package public in its "
            "settings on GitHub",
            False,
        )
    ]


def _policy(image: str, policy: str | None, environment: Environment) -> list[Finding]:
    name, _, digest = image.partition("@")
    _, _, tag = name.rsplit("/", 1)[-1].partition(":")
    table = environment.name.removesuffix(f"-{environment.label}")
    where = f"[{table}.job_variables] of {FILE}"
    if digest and policy == "Always":
        what = f"image_pull_policy is Always, and {image} can never change."
        why = "Every run asks the registry for nothing, and none starts while it is down."
        mend = f'image_pull_policy = "IfNotPresent" in {where}'
        return [Finding(what, why, mend, False)]
    if digest or FIXED.fullmatch(tag):
        return []
    # Without a policy workers pull `latest`, as Kubernetes does, and no other tag.
    if policy == "Always" or (policy is None and tag in ("", "latest")):
        return []
    return [
        Finding(
            f"The tag of {image} can come to mean another image, and image_pull_policy is "
            f"{policy or 'IfNotPresent, the default'}.",
            "A worker that has an image of this name keeps running the old one.",
            f"deploy the digest (--image {name.removesuffix(f':{tag}')}@sha256:…), or set "
            f'image_pull_policy = "Always" in {where}',
            False,
        )
    ]


def _registry(image: str) -> str:
    """Return the registry's host, empty where the reference names none."""
    first, slash, _ = image.partition("/")
    return first if slash and (re.search(r"[.:]", first) or first == "localhost") else ""


def _in_registry(image: str, env: Mapping[str, str] | None = None) -> tuple[list[str], str]:
    """Return the platforms of an image in its registry, and what went wrong."""
    form = ("--format", "{{json .Image}}")
    output, problem = _docker("buildx", "imagetools", "inspect", *form, image, env=env)
    try:
        found = json.loads(output or "{}")
    except ValueError:
        return [], problem or "docker's answer was not understood"
    if "architecture" in found:
        return [f"{found.get('os', 'linux')}/{found['architecture']}"], problem
    return list(found), problem


def _docker(*arguments: str, env: Mapping[str, str] | None = None) -> tuple[str, str]:
    """Return what docker printed, and the last line of its complaint if it failed."""
    try:
        done = subprocess.run(  # noqa: S603
            ["docker", *arguments],  # noqa: S607
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "", f"no answer in {PATIENCE} s"
    if done.returncode:
        return "", (done.stderr.strip().splitlines() or ["no message"])[-1].rstrip(".")
    return done.stdout.strip(), ""
