"""Find what is wrong with an image, with the `docker` command if it is installed."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from tempfile import TemporaryDirectory

from deployer.environment import Environment
from deployer.errors import Finding
from deployer.project import FILE

TIMEOUT = 30  # seconds for one docker command
ABSENT = re.compile(r"(?i)not found|manifest unknown|name unknown|no such manifest")
DENIED = re.compile(r"(?i)denied|unauthorized|forbidden|\b40[13]\b")
# Tags that always mean the same image: a hash, a commit or a version.
FIXED = re.compile(r"([a-z]+-)?[0-9a-f]{7,64}|v?\d+(\.\d+)+.*")


def examine(image: str, environment: Environment, default_policy: str | None) -> Iterator[Finding]:
    """Check the image that containers would run.

    Args:
        image: its reference.
        environment: its job variables may set a pull policy.
        default_policy: the default pull policy of the work pool.
    """
    try:
        yield from _presence(image)
    except FileNotFoundError:
        what = f"{image} could not be checked: there is no `docker` command here."
        why = "It is not known whether the image exists, and for which platform."
        yield Finding(what, why, "run this where Docker is installed")
    policy = environment.job_variables.get("image_pull_policy") or default_policy
    yield from _policy(image, policy, f"[{environment.table}.job_variables] of {FILE}")


def _presence(image: str) -> Iterator[Finding]:
    engine, _ = _docker("version", "--format", "{{.Server.Os}}/{{.Server.Arch}}")
    here, _ = _docker("image", "inspect", "--format", "{{.Os}}/{{.Architecture}}", image)
    platforms, problem = _in_registry(image)
    yield from _platform(image, platforms or ([here] if here else []), engine)
    host, slash, _ = image.partition("/")
    if not slash or not (re.search(r"[.:]", host) or host == "localhost"):
        host = ""  # the reference names no registry
    if platforms:
        if host == "ghcr.io":
            yield from _private(image)
    elif host or not here:  # otherwise it was built on this machine, for this machine
        yield _absent(image, host, bool(here), problem)


def _absent(image: str, host: str, is_here: bool, problem: str) -> Finding:
    """Return why an image cannot be read in its registry."""
    if DENIED.search(problem):
        return Finding(
            f"{image} cannot be read: {problem}.",
            "It does not exist, or it is private, like the packages of a private repository on "
            "GHCR: then a worker without credentials cannot pull it either.",
            f"docker login {host}, here and where the worker runs",
        )
    if not ABSENT.search(problem):
        what = f"{image} could not be checked in its registry: {problem}."
        what += "" if is_here else " It is not on this machine either."
        why = "It is not known whether workers can pull it."
        return Finding(what, why, f"docker buildx imagetools inspect {image}")
    if is_here:
        what = f"{image} is on this machine, but not in its registry."
        why = "A worker on any other machine cannot pull it."
        return Finding(what, why, f"docker push {image}")
    what = f"There is no image {image}, neither in its registry nor on this machine."
    fix = "correct the reference, or build and push it: `nox -s image`, `docker push`"
    return Finding(what, "Every run crashes.", fix, True)


def _platform(image: str, platforms: list[str], engine: str) -> Iterator[Finding]:
    shown = ", ".join(platforms)
    if platforms and not engine:
        what = f"No Docker engine answers here; {image} is for {shown}."
        why = "It is not known whether a worker on such a machine can run it."
        yield Finding(what, why, "start Docker, and run this again")
    elif platforms and not any(f"{each}/".startswith(f"{engine}/") for each in platforms):
        what = f"{image} is for {shown}, and the Docker engine here is {engine}."
        why = "On a worker with this engine every run crashes with `exec format error`."
        fix = f"docker build --platform {engine} …, or run the worker on a machine for {shown}"
        yield Finding(what, why, fix)


def _private(image: str) -> Iterator[Finding]:
    """Read the image in its registry once more, without credentials."""
    with TemporaryDirectory() as empty:
        platforms, problem = _in_registry(image, DOCKER_CONFIG=empty)
    if not platforms and DENIED.search(problem):
        yield Finding(
            f"{image} is private, like the packages of a private repository.",
            "A worker without credentials cannot pull it, and its first run crashes.",
            "docker login ghcr.io where the worker runs, or make the package public in its "
            "settings on GitHub",
        )


def _policy(image: str, policy: str | None, where: str) -> Iterator[Finding]:
    name, _, digest = image.partition("@")
    _, _, tag = name.rsplit("/", 1)[-1].partition(":")
    if digest and policy == "Always":
        what = f"image_pull_policy is Always, and {image} can never change."
        why = "Every run queries the registry needlessly, and none starts while it is down."
        yield Finding(what, why, f'image_pull_policy = "IfNotPresent" in {where}')
    if digest or FIXED.fullmatch(tag):
        return
    # Without a policy workers pull `latest`, as Kubernetes does, and no other tag.
    if policy == "Always" or (policy is None and tag in ("", "latest")):
        return
    yield Finding(
        f"The tag of {image} can be moved to another image, and image_pull_policy is "
        f"{policy or 'IfNotPresent, the default'}.",
        "A worker that already has an image of this name keeps running the old one.",
        f"deploy the digest (--image {name.removesuffix(f':{tag}')}@sha256:…), or set "
        f'image_pull_policy = "Always" in {where}',
    )


def _in_registry(image: str, **env: str) -> tuple[list[str], str]:
    """Return the platforms of an image in its registry, and the error if there is one."""
    form = ("--format", "{{json .Image}}")
    output, problem = _docker("buildx", "imagetools", "inspect", *form, image, **env)
    try:
        found = json.loads(output or "{}")
    except ValueError:
        return [], problem or "docker did not print JSON"
    if "architecture" in found:
        return [f"{found.get('os', 'linux')}/{found['architecture']}"], problem
    return list(found), problem


def _docker(*arguments: str, **env: str) -> tuple[str, str]:
    """Return what docker printed, and the last line of its error message if it failed."""
    try:
        done = subprocess.run(  # noqa: S603
            ["docker", *arguments],  # noqa: S607
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "", f"no answer in {TIMEOUT} s"
    if done.returncode:
        return "", (done.stderr.strip().splitlines() or ["no message"])[-1].rstrip(".")
    return done.stdout.strip(), ""
