"""Finds the address and credentials of the Prefect server that GitHub deploys to.

Standard library only.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from deployer.errors import DeployerError
from tools.preflight import CLOUD, HEADERS
from tools.run import LOOPBACK

URL, KEY, AUTH = "PREFECT_API_URL", "PREFECT_API_KEY", "PREFECT_API_AUTH_STRING"
SECRETS = (KEY, AUTH, HEADERS)


def wants_key(url: str) -> bool:
    """Tell whether this is Prefect Cloud, which requires an API key."""
    return url.startswith(CLOUD)


def shared(environ: Mapping[str, str]) -> dict[str, str]:
    """Return URL and SECRETS from the environment variables, or from Prefect's active profile.

    A server on this machine is skipped: GitHub's runners cannot reach it.

    Raises:
        DeployerError: a secret has several lines, or a profile cannot be read.
    """
    for source in (environ, *_profiles(environ)):
        found = _values(source, "")
        if URL in found and not LOOPBACK.match(found[URL]):
            return found
    return {}


def of(
    environment: str, environ: Mapping[str, str], common: Mapping[str, str], *, apart: bool
) -> dict[str, str]:
    """Return URL and SECRETS of one environment.

    Args:
        environment: such as `preview`, whose variables are PREVIEW_PREFECT_API_URL and so on.
        environ: the environment variables.
        common: what `shared` returned.
        apart: without variables of its own, it gets no values.
    """
    own = _values(environ, f"{environment.upper()}_")
    if own:
        return {URL: common[URL], **own} if URL in common else own
    return {} if apart else dict(common)


def ask(
    known: Mapping[str, str],
    held: Mapping[str, str],
    secrets: frozenset[str],
    prompt: Callable[[str], str],
    hidden: Callable[[str], str],
) -> dict[str, str]:
    """Prompt for the values that are neither known here nor set on GitHub.

    Args:
        known: what `shared` returned.
        held: the variables that GitHub holds.
        secrets: the names of the secrets that GitHub holds.
        prompt: reads a line, such as `input`.
        hidden: reads a line without showing it, such as `getpass`.
    """
    given = dict(known)
    url = given.get(URL) or held.get(URL)
    if not url:
        url = prompt(f"{URL} of production, such as https://prefect.example.com/api: ").strip()
        given |= {URL: url} if url else {}
    name = KEY if url and wants_key(url) else AUTH
    if url and name not in given and name not in secrets:
        value = hidden(f"{name} (it is not shown; empty if the server needs none): ").strip()
        given |= {name: value} if value else {}
    return given


def _values(source: Mapping[str, str], prefix: str) -> dict[str, str]:
    found = {}
    for name in (URL, *SECRETS):
        if value := source.get(prefix + name, "").strip():
            if name == URL and "@" in urlsplit(value).netloc:
                raise DeployerError(
                    f"{prefix}{URL} holds a password, but a variable is not secret: remove it "
                    f"from the URL, and set {prefix}{AUTH}."
                )
            if "\n" in value:
                raise DeployerError(
                    f"{prefix}{name} has several lines, and GitHub masks each line of a secret "
                    "in all logs and outputs: write it on one line."
                )
            found[name] = value
    return found


def _profiles(environ: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """Yield the active profile of PREFECT_HOME, which nox sets, then that of ~/.prefect."""
    home = Path(environ.get("HOME") or Path.home())
    for folder in dict.fromkeys([Path(environ.get("PREFECT_HOME") or home), home / ".prefect"]):
        file = folder / "profiles.toml"
        try:
            content = tomllib.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise DeployerError(f"{file} cannot be read: {error}.") from None
        name = environ.get("PREFECT_PROFILE") or content.get("active", "")
        profile = content.get("profiles", {}).get(name, {})
        yield {key: str(value) for key, value in profile.items()}
