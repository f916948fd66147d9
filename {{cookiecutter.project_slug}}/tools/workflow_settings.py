"""Settings of a workflow's run: its registry and its packages. Standard library only.

Only this module has the names of the packages: releases are in one, previews in another, and no
image of the second is ever used for a release. `python3 -m tools.workflow_settings` prints where
to log in, for the workflows.
"""
# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from deployer.errors import DeployerError

GITHUB = "https://github.com"
LOGINS = ("password", "docker-hub", "aws", "google", "azure")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Settings:
    """A run of a workflow.

    Attributes:
        variables: GitHub's variables of the repository and of the job's environment.
        repository: `OWNER/NAME`, as GitHub spells it.
        server: GitHub's own address.
        ref: what the workflow runs on, such as `refs/heads/main`.
        event: GitHub's description of the event that started it.
    """

    variables: Mapping[str, str]
    repository: str
    server: str = GITHUB
    ref: str = ""
    event: Mapping[str, Any] = field(default_factory=dict)

    @property
    def login(self) -> str:
        """How to log in to the registry: one of LOGINS.

        Raises:
            DeployerError: the variable REGISTRY_AUTH has another value.
        """
        login = self.variables.get("REGISTRY_AUTH") or "password"
        if login not in LOGINS:
            raise DeployerError(
                f"The variable REGISTRY_AUTH is {login!r}, which is no way to log in: "
                f"use one of {', '.join(LOGINS)}."
            )
        return login

    @property
    def own_registry(self) -> bool:
        """Whether it is GitHub's own registry, which accepts the workflow's token."""
        return not self.variables.get("REGISTRY") and self.login == "password"

    @property
    def registry(self) -> str:
        """The start of the images' names, without the project's: a host, or a host and a path."""
        given = (self.variables.get("REGISTRY") or "").rstrip("/")
        if self.login == "docker-hub":
            # Docker Hub has only OWNER/NAME, and its owner is not the one on GitHub.
            return f"docker.io/{self.variables.get('REGISTRY_USERNAME', '').lower()}"
        if given:
            return given
        host = urlsplit(self.server).hostname or ""
        return "ghcr.io" if self.server == GITHUB else f"containers.{host}"

    @property
    def host(self) -> str:
        """The host to log in to."""
        return self.registry.partition("/")[0]

    @property
    def release(self) -> str:
        """The package of the images that main built, and of no others."""
        name = self.repository.lower()
        if self.login == "docker-hub":
            name = name.partition("/")[2]
        return f"{self.registry}/{name}"

    @property
    def preview(self) -> str:
        """The package of the images that pull requests built."""
        return self.release + ("-preview" if self.login == "docker-hub" else "/preview")

    @property
    def public(self) -> bool | None:
        """Whether everybody may read the repository; None if GitHub does not say."""
        private = self.event.get("repository", {}).get("private")
        return None if private is None else not private

    @property
    def attests(self) -> bool:
        """Whether GitHub keeps attestations for this repository.

        A private one needs GitHub Enterprise Cloud, and `true` in the variable ATTESTATIONS;
        GitHub Enterprise Server has no attestations.
        """
        given = (self.variables.get("ATTESTATIONS") or "").lower()
        if given in ("true", "false"):
            return given == "true"
        host = urlsplit(self.server).hostname or ""
        return (self.server == GITHUB or host.endswith(".ghe.com")) and self.public is True

    @property
    def on_main(self) -> bool:
        """Whether this is the branch that is deployed."""
        return self.ref == "refs/heads/main"


def read(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read what GitHub and the workflow put into the environment.

    Raises:
        DeployerError: GITHUB_REPOSITORY is not set.
    """
    repository = environ.get("GITHUB_REPOSITORY")
    if not repository:
        raise DeployerError("GITHUB_REPOSITORY is not set: set it to OWNER/NAME.")
    event = environ.get("GITHUB_EVENT_PATH", "")
    return Settings(
        variables=json.loads(environ.get("SETTINGS") or "{}"),
        repository=repository,
        server=environ.get("GITHUB_SERVER_URL") or GITHUB,
        ref=environ.get("GITHUB_REF", ""),
        event=json.loads(Path(event).read_text(encoding="utf-8")) if event else {},
    )


def is_true(text: str) -> bool:
    """Parse a workflow's boolean input, which is passed on as true, false or empty."""
    return text == "true"


def ui(url: str) -> str:
    """Return the address of the UI of the server whose API has this address."""
    workspace = r"^https://api\.prefect\.cloud/api/accounts/([^/]+)/workspaces/([^/]+).*"
    cloud = re.sub(workspace, r"https://app.prefect.cloud/account/\1/workspace/\2", url)
    return cloud if cloud != url else url.rstrip("/").removesuffix("/api")


def separate_logins(environ: Mapping[str, str]) -> None:
    """Keep the job's registry logins in a folder of its own.

    Otherwise jobs on one machine share ~/.docker, and the end of one logs the others out.
    """
    folder = Path(environ["RUNNER_TEMP"]) / "docker"
    folder.mkdir(exist_ok=True)
    plugins = Path.home() / ".docker" / "cli-plugins"
    if plugins.is_dir() and not (folder / "cli-plugins").exists():
        (folder / "cli-plugins").symlink_to(plugins)
    with Path(environ["GITHUB_ENV"]).open("a", encoding="utf-8") as file:
        file.write(f"DOCKER_CONFIG={folder}\n")


def main(argv: list[str] | None = None) -> int:
    """Print how and where to log in, and where the UI is, one `name=value` per line."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.workflow_settings", description=main.__doc__
    )
    parser.add_argument("--apart", action="store_true", help="keep this job's logins apart")
    options = parser.parse_args(argv)
    try:
        settings = read()
        login, own = settings.login, str(settings.own_registry).lower()
    except DeployerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if options.apart:
        separate_logins(os.environ)
    where = ui(settings.variables.get("PREFECT_API_URL", ""))
    print(f"login={login}", f"host={settings.host}", f"own={own}", f"ui={where}", sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
