"""Runs the deployer of a trusted image with an environment's credentials.

`python3 -m tools.run COMMAND ENVIRONMENT --image IMAGE …`: `docker run` replaces this process, so
that the cancellation of a job reaches the deployer. Standard library only.
"""
# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress

from deployer import errors, unchanged
from deployer.errors import DeployerError
from deployer.image_references import DEFAULT
from deployer.image_references import options as image_options
from deployer.image_references import parse as parse_images
from tools import records, trust
from tools.preflight import annotate
from tools.unchanged import is_unchanged
from tools.workflow_settings import Settings, is_true, read

PASSED_ON = (
    "PREFECT_API_URL",
    "PREFECT_API_KEY",
    "PREFECT_API_AUTH_STRING",
    "PREFECT_CLIENT_CUSTOM_HEADERS",
    "GITHUB_ACTOR",
    "CI",  # turns off the lines that show progress
)
UP_TO_DATE = """\
### {} is up to date

The server's answers are the same as when nothing differed from this image. So no deployment was \
written, and the image was not pulled.
"""
# A server on the runner itself. Otherwise an image may not reach the runner's loopback interface.
LOOPBACK = re.compile(r"https?://(localhost|127\.[0-9.]+|\[::1\])([:/]|$)")


def network(url: str) -> str:
    """Return the container's network: the host's only for a server on the runner itself."""
    return "host" if LOOPBACK.match(url) else "bridge"


def head(settings: Settings, environment: str, commit: str, environ: Mapping[str, str]) -> str:
    """Return, as Markdown, who deploys which commit, its changes, and how to roll back.

    If the server does not answer, the deployer reports it.
    """
    try:
        last = next(records.recorded(environment, environ), None)
    except DeployerError:
        last = None
    home = f"{settings.server}/{settings.repository}"
    source = f"[`{commit[:7]}`]({home}/commit/{commit})" if commit else "An image that was given"
    parts = [f"{source}, by {environ.get('GITHUB_ACTOR') or 'somebody'}"]
    if last and last.commit and commit and last.commit != commit:
        compared = f"{home}/compare/{last.commit}...{commit}"
        parts.append(f"[changes since release {last.number}]({compared})")
    lines = ["; ".join(parts) + "."]
    if last:
        command = f"gh workflow run rollback.yml -f environment={environment}"
        lines.append(f"To roll back: `{command} -f release={last.number}`.")
    return " ".join(lines) + "\n"


def nothing_differs(options: argparse.Namespace, environ: Mapping[str, str]) -> bool:
    """Tell whether it is known without the image that a deploy would change nothing.

    If the server does not answer, the deployer reports it.
    """
    other_options = options.dry_run or options.resume or options.label or options.deploys
    if options.command != "deploy" or other_options or not (options.image and options.order):
        return False
    images = parse_images(options.image.split())
    server = environ.get("PREFECT_API_URL", "")
    deploy_hash = unchanged.deploy_hash(
        images, options.environment, options.work_pool or None, server
    )
    if deploy_hash is None:
        return False
    with suppress(DeployerError, ValueError):
        keys = records.keys(options.environment)
        return is_unchanged(keys, deploy_hash, int(options.order), environ)
    return False


def command(options: argparse.Namespace, environ: Mapping[str, str]) -> list[str]:
    """Return the command that replaces this process.

    Raises:
        DeployerError: the image is not trusted.
    """
    deployer = ["-m", "deployer", *arguments(options)]
    if not options.image:
        return [options.python, *deployer]
    settings = read(environ)
    images = parse_images(options.image.split())
    if DEFAULT not in images:
        raise DeployerError(
            f"{options.image} lacks the default image: put its reference first, without NAME=."
        )
    for image in images.values():
        if options.preview:
            trust.digest_in(image, settings.preview)
        else:
            why = trust.proof(image, settings, options.built, environ)
            print(f"{image}: {why}", file=sys.stderr)
    passed_on = [f"--env={name}" for name in PASSED_ON]
    passed_on.append(f"--env=DEPLOYER_IMAGE={images[DEFAULT]}")
    joined = f"--network={network(environ.get('PREFECT_API_URL', ''))}"
    return ["docker", "run", "--rm", joined, *passed_on, images[DEFAULT], "python", *deployer]


def arguments(options: argparse.Namespace) -> list[str]:
    """Return the arguments for the deployer."""
    what = "plan" if options.dry_run else options.command
    given = [what, options.environment, "--format", "markdown"]
    taken = {"plan": ("label", "work_pool"), "rollback": ("to", "run_url")}
    names = taken.get(what, ("label", "work_pool", "run_url", "commit", "order"))
    for name in names:
        if value := getattr(options, name):
            given += [f"--{name.replace('_', '-')}", value]
    if what == "rollback":
        return given if options.verify else [*given, "--no-verify"]
    if options.resume and what == "deploy":
        given.append("--resume")
    if options.expect_plan and what == "deploy":
        given += ["--expect-plan", options.expect_plan]
    deployed = parse_images((options.deploys or options.image).split())
    return [*given, *image_options(deployed)]


def digests(text: str) -> list[str]:
    """Parse the JSON list of digests that the image job built; an empty text has none."""
    return [f"sha256:{each}" for each in json.loads(text or "[]")]


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Parse the arguments; an empty value counts as not given."""
    parser = argparse.ArgumentParser(prog="python -m tools.run", description=__doc__)
    parser.add_argument("command", choices=["deploy", "plan", "rollback"])
    parser.add_argument("environment", help="a table of deployments/environments.toml")
    parser.add_argument(
        "--image", required=True, help="image to run, by its digest; then NAME=IMAGE of each other"
    )
    parser.add_argument("--python", help="runs the deployer if the image is empty")
    parser.add_argument("--deploys", help="images to deploy, if not those of --image")
    parser.add_argument(
        "--built", default=(), type=digests, help="digests that this workflow's run built, as JSON"
    )
    parser.add_argument(
        "--preview", type=is_true, default=False, help="`true`: with a preview's credentials"
    )
    parser.add_argument("--dry-run", type=is_true, default=False, help="`true` only plans")
    parser.add_argument(
        "--resume", type=is_true, default=False, help="`true` deploys although a rollback holds"
    )
    parser.add_argument("--expect-plan", help="the hash of the plan that was approved")
    parser.add_argument("--verify", type=lambda text: text != "false", default=True)
    for name in ("label", "work-pool", "commit", "run-url", "order", "to"):
        parser.add_argument(f"--{name}", help="passed on to the deployer")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Replace this process with `docker run`; return 0 if nothing differs, 1 if it is refused."""
    options = parse(argv)
    try:
        if not options.preview and options.command == "deploy":
            print(head(read(), options.environment, options.commit or "", os.environ), flush=True)
        if nothing_differs(options, os.environ):
            print(UP_TO_DATE.format(options.environment))
            return 0
        program = command(options, os.environ)
    except DeployerError as error:
        print(errors.failure(options.environment, error.problems), flush=True)
        print(annotate("Not deployed", str(error)), file=sys.stderr)
        return 1
    os.execvp(program[0], program)  # noqa: S606 - the image's own program


if __name__ == "__main__":
    sys.exit(main())
