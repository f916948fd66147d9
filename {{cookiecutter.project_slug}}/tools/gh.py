"""GitHub's own program `gh`, on github.com and on an enterprise's server. Standard library only."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from urllib.parse import urlsplit

from deployer.errors import DeployerError

INSTALL = "https://cli.github.com"


def environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment for `gh`: it knows another server's address and token by other names.

    A workflow says on which server it runs by GITHUB_SERVER_URL.
    """
    host = urlsplit(environ.get("GITHUB_SERVER_URL", "")).hostname or "github.com"
    made = dict(environ)
    if host != "github.com":
        made.setdefault("GH_HOST", host)
        if not host.endswith(".ghe.com") and environ.get("GH_TOKEN"):
            made.setdefault("GH_ENTERPRISE_TOKEN", environ["GH_TOKEN"])
    return made


def gh(*arguments: str, stdin: str | None = None) -> str:
    """Run `gh` and return what it printed.

    Raises:
        DeployerError: it is not there, or it failed; the error is its own.
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
        raise DeployerError(f"gh is not on PATH: {INSTALL}") from None
    if answer.returncode:
        words = " ".join(each for each in arguments[:4] if each != "--method")
        raise DeployerError(f"`gh {words}` failed: {(answer.stderr or answer.stdout).strip()}")
    return answer.stdout
