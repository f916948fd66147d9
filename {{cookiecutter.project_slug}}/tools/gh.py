"""Runs GitHub's command line `gh`, also on GitHub Enterprise. Standard library only."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from urllib.parse import urlsplit

from deployer.errors import DeployerError

INSTALL = "https://cli.github.com"


def environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment for `gh`, with a GitHub Enterprise server's address and token.

    In a workflow, GITHUB_SERVER_URL is the address of its server.
    """
    host = urlsplit(environ.get("GITHUB_SERVER_URL", "")).hostname or "github.com"
    result = dict(environ)
    if host != "github.com":
        result.setdefault("GH_HOST", host)
        if not host.endswith(".ghe.com") and environ.get("GH_TOKEN"):
            result.setdefault("GH_ENTERPRISE_TOKEN", environ["GH_TOKEN"])
    return result


def gh(*arguments: str, stdin: str | None = None) -> str:
    """Run `gh` and return its output.

    Raises:
        DeployerError: `gh` is not installed, or it failed; the error has its message.
    """
    try:
        answer = subprocess.run(  # noqa: S603
            ["gh", *arguments],  # noqa: S607
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            env=environment(),
            check=False,
        )
    except FileNotFoundError:
        raise DeployerError(f"gh is not on PATH: install it from {INSTALL}") from None
    if answer.returncode:
        words = " ".join(each for each in arguments[:4] if each != "--method")
        raise DeployerError(f"`gh {words}` failed: {(answer.stderr or answer.stdout).strip()}")
    return answer.stdout
