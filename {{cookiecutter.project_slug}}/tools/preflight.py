"""Checks at the start of a job what it lacks: `python3 -m tools.preflight CHECK…`.

Each problem is an error on the page of the run. Standard library only: it is the first step.
"""
# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from deployer.errors import DeployerError
from deployer.image_references import parse
from tools import trust
from tools.gh import gh
from tools.workflow_settings import Settings, read

CLOUD = "https://api.prefect.cloud/"
# What each login method needs besides REGISTRY: variables, then secrets.
NEEDS = {
    "password": (("REGISTRY_USERNAME",), ("REGISTRY_PASSWORD",)),
    "docker-hub": (("REGISTRY_USERNAME",), ("REGISTRY_PASSWORD",)),
    "aws": (("AWS_ROLE", "AWS_REGION"), ()),
    "google": (("GOOGLE_PROVIDER", "GOOGLE_SERVICE_ACCOUNT"), ()),
    "azure": (("AZURE_CLIENT_ID", "AZURE_TENANT_ID"), ()),
}
SERVER = ("PREFECT_API_URL", "PREFECT_API_KEY", "PREFECT_API_AUTH_STRING")
HEADERS = "PREFECT_CLIENT_CUSTOM_HEADERS"
PREVIEWS = "PREVIEWS"  # variable: `off` if previews must not use the repository's server


@dataclass(frozen=True)
class Problem:
    """One thing that is missing or wrong.

    Attributes:
        title: in a few words.
        text: a sentence that says what to do.
    """

    title: str
    text: str


@dataclass(frozen=True)
class Job:
    """The input of a job.

    Attributes:
        settings: the settings of the workflow's run.
        environment: the job's environment; None if it has none.
        image: the requested images, in the form of `deployer.image_references`.
        secrets: the names of the secrets that are set.
        multi_line: the names of the secrets that have several lines.
    """

    settings: Settings
    environment: str | None
    image: str
    secrets: frozenset[str]
    multi_line: frozenset[str]

    def unset(self, kind: str, name: str, why: str, scope: str = "") -> Problem:
        """Return the problem of an unset variable or secret, with the command that sets it."""
        return Problem(f"{name} is not set", f"{why}: run `gh {kind} set {name}{scope}`")


def registry(job: Job) -> Iterator[Problem]:
    """Yield what is missing for a login to the registry."""
    variables = job.settings.variables
    try:
        login = job.settings.login
    except DeployerError as error:
        yield Problem("REGISTRY_AUTH is unknown", str(error))
        return
    if job.settings.own_registry:
        return
    wanted, secrets = NEEDS[login]
    if login not in ("password", "docker-hub"):
        wanted = ("REGISTRY", *wanted)
    why = f"The variable REGISTRY_AUTH is {login}, which needs it"
    if login == "password":
        why = f"The variable REGISTRY is {variables['REGISTRY']}, which requires a login"
    yield from (job.unset("variable", each, why) for each in wanted if not variables.get(each))
    yield from (job.unset("secret", each, why) for each in secrets if each not in job.secrets)


def server(job: Job) -> Iterator[Problem]:
    """Yield what is missing for a connection to the Prefect server."""
    scope = f" --env {job.environment}" if job.environment else ""
    url = job.settings.variables.get("PREFECT_API_URL", "")
    if not url:
        why = f"It is the address of the Prefect server of {job.environment}"
        yield job.unset("variable", "PREFECT_API_URL", why, scope)
    elif url.startswith(CLOUD) and "PREFECT_API_KEY" not in job.secrets:
        yield job.unset("secret", "PREFECT_API_KEY", "Prefect Cloud requires it", scope)
    for name in sorted(job.multi_line):
        yield Problem(
            f"{name} has several lines",
            f"GitHub masks each line of the secret {name} everywhere: a line like `{{` masks every "
            "`{`, and an output that contains one is lost. Set the secret again, on one line",
        )


def previews(job: Job) -> Iterator[Problem]:
    """Yield a problem if previews are switched off."""
    if job.settings.variables.get(PREVIEWS) == "off":
        yield Problem(
            "Previews are off",
            f"The variable {PREVIEWS} is off, because this repository has no environments, so a "
            "preview would use production's server. To allow that: run "
            "`uvx nox -s github -- --share-server` and `uvx nox -s setup -- preview`, and start a "
            "worker for the previews' work pool",
        )


def main_only(job: Job) -> Iterator[Problem]:
    """Yield a problem if this does not run on main."""
    if not job.settings.on_main:
        yield Problem(
            "Not on main",
            f"Only main is deployed to {job.environment or 'staging and production'}, and this "
            f"runs on {job.settings.ref or 'no branch'}: merge it, or run the workflow on main",
        )


def runner(job: Job) -> Iterator[Problem]:
    """Yield a problem if a public repository would use a self-hosted runner."""
    label = job.settings.variables.get("RUNNER")
    if label and job.settings.public:
        yield Problem(
            "RUNNER is refused",
            f"The variable RUNNER is {label}, and this repository is public: anyone who forks it "
            "can run code on your own runner, and leave something there. Make the repository "
            "private, or run `gh variable delete RUNNER`",
        )


def image(job: Job) -> Iterator[Problem]:
    """Yield why a requested image may not be deployed."""
    try:
        for each in parse(job.image.split()).values():
            trust.digest_in(each, job.settings.release)
    except DeployerError as error:
        yield Problem("This image is refused", str(error))


def closed(job: Job) -> Iterator[Problem]:
    """Yield a problem if the pull request is closed: its preview would not be removed again."""
    number = job.settings.event.get("number")
    path = f"repos/{job.settings.repository}/pulls/{number}"
    state = json.loads(gh("api", "--method", "GET", path))["state"]
    if state != "open":
        yield Problem("Closed", f"Pull request {number} was closed while its tests ran")


CHECKS: dict[str, Callable[[Job], Iterator[Problem]]] = {
    "closed": closed,
    "image": image,
    "main": main_only,
    "previews": previews,
    "registry": registry,
    "runner": runner,
    "server": server,
}


def job_of(environment: str | None, wanted: str, environ: Mapping[str, str]) -> Job:
    """Read the job's input; of each secret only two flags, HAS_NAME and LINES_NAME."""
    is_set = {name[4:] for name, value in environ.items() if name[:4] == "HAS_" and value == "true"}
    lines = {
        name[6:] for name, value in environ.items() if name[:6] == "LINES_" and value == "true"
    }
    return Job(read(environ), environment, wanted, frozenset(is_set), frozenset(lines))


def annotate(title: str, text: str) -> str:
    """Return the line that makes GitHub show an error on the page of the run."""
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return f"::error title={title}::{escaped}"


def main(argv: list[str] | None = None) -> int:
    """Print all problems; return 1 if there is one."""
    parser = argparse.ArgumentParser(prog="python -m tools.preflight", description=__doc__)
    parser.add_argument("checks", nargs="+", choices=sorted(CHECKS))
    parser.add_argument("--environment", help="the job's environment")
    parser.add_argument("--image", default="", help="the requested images")
    parser.add_argument(
        "--soft", action="store_true", help="print `ready=true`, or Markdown to stderr; never fail"
    )
    options = parser.parse_args(argv)
    try:
        job = job_of(options.environment, options.image, os.environ)
        problems = [each for name in options.checks for each in CHECKS[name](job)]
    except DeployerError as error:
        problems = [Problem("The job cannot begin", str(error))]
    if options.soft:
        if not problems:
            print("ready=true")
        for each in problems:
            print(f"There is no {options.environment} yet: {each.text}.", file=sys.stderr)
        return 0
    for each in problems:
        print(annotate(each.title, each.text))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
