"""Sends requests to the Prefect server, without Prefect. Standard library only."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from deployer.errors import DeployerError

SECONDS = 30
BUSY = 20  # attempts, half a second apart, while the server answers 503: its SQLite is busy


class Missing(DeployerError):
    """The server answers 404: it has no such object."""


def ask(method: str, path: str, body: Any, environ: Mapping[str, str]) -> Any:
    """Send one request.

    Args:
        method: the HTTP method.
        path: below the API's address.
        body: sent as JSON; None sends nothing.
        environ: PREFECT_API_URL and the credentials for its server.

    Returns:
        The answer, parsed as JSON; None if it is empty.

    Raises:
        Missing: the server has no such object.
        DeployerError: the server does not answer, or refuses the request.
    """
    url = environ.get("PREFECT_API_URL", "").rstrip("/")
    if not url:
        raise DeployerError("PREFECT_API_URL is not set: it is the address of the Prefect server.")
    headers = {"Content-Type": "application/json", **_credentials(environ)}
    sent = None if body is None else json.dumps(body).encode()
    try:
        text = _send(Request(url + path, sent, headers, method=method))  # noqa: S310 - as given
        return json.loads(text) if text else None
    except HTTPError as error:
        why = f"it answers {error.code}"
        kind = Missing if error.code == HTTPStatus.NOT_FOUND else DeployerError
        if error.code in (401, 403):
            why = f"it refuses the credentials ({error.code})"
    except (OSError, HTTPException, ValueError) as error:
        why, kind = str(getattr(error, "reason", error)), DeployerError
    raise kind(f"A request to the Prefect server at {url} failed: {why}.")


def _send(request: Request) -> bytes:
    tries = 0
    while True:
        try:
            with urlopen(request, timeout=SECONDS) as answer:  # noqa: S310 - as given
                found: bytes = answer.read()
                return found
        except HTTPError as error:
            tries += 1
            if error.code != HTTPStatus.SERVICE_UNAVAILABLE or tries == BUSY:
                raise
            time.sleep(0.5)


def _credentials(environ: Mapping[str, str]) -> dict[str, str]:
    try:
        headers = dict(json.loads(environ.get("PREFECT_CLIENT_CUSTOM_HEADERS") or "{}"))
    except ValueError:
        raise DeployerError(
            "PREFECT_CLIENT_CUSTOM_HEADERS is not JSON: it has to be one object on one line."
        ) from None
    if key := environ.get("PREFECT_API_KEY"):
        headers["Authorization"] = f"Bearer {key}"
    elif login := environ.get("PREFECT_API_AUTH_STRING"):
        headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    return headers
