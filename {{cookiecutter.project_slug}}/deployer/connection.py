"""Problems with the Prefect server: address, network, TLS, credentials, clock, versions."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import prefect
from packaging.version import InvalidVersion, Version
from prefect.client.base import ServerType
from prefect.client.orchestration import PrefectClient, get_client
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, get_current_settings, temporary_settings

from deployer.api_errors import address, explain, server_time
from deployer.errors import Finding

NO_API = (404, 405)
MAX_SKEW = 30  # seconds that the two clocks may differ
OLDEST_SERVER = (3, 8)  # the oldest version that is tested
UNSET = Finding(
    "PREFECT_API_URL is not set.",
    "Prefect would start a temporary server for each command, which no worker can reach.",
    "export PREFECT_API_URL=http://127.0.0.1:4200/api, or the address of your server or workspace",
    True,
)


class NotTheApi(Exception):
    """The answer is not from the Prefect API."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__()
        self.answer = answer


async def probe(client: PrefectClient) -> tuple[datetime, str]:
    """Send a request that every server, or workspace of Prefect Cloud, can answer.

    Returns:
        The server's time and its version; the version is empty for Prefect Cloud.

    Raises:
        Exception: the request failed; `explain_failure` explains why.
    """
    is_cloud = client.server_type is ServerType.CLOUD
    if is_cloud:
        answer = await client.request("POST", "/work_pools/filter", json={"limit": 1})
    else:
        answer = await client.request("GET", "/admin/version")
    found = _json(answer)
    # A redirect turns each POST into a GET, so an API behind a redirect cannot be used.
    if answer.history or not isinstance(found, list if is_cloud else str):
        raise NotTheApi(answer)
    return server_time(answer), "" if is_cloud else str(found)


async def explain_wrong_server() -> str | None:
    """Return why this is no compatible Prefect API; None if it is one, or for other errors."""
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
        async with get_client() as client:
            try:
                wrong = [each for each in differences(*await probe(client)) if each.fatal]
                return str(wrong[0]) if wrong else None
            except Exception as error:
                other = isinstance(error, NotTheApi | httpx.TooManyRedirects)
                return (
                    str(await explain_failure(error, client))
                    if other or _status(error) in NO_API
                    else None
                )


def _status(error: Exception) -> int:
    return error.response.status_code if isinstance(error, httpx.HTTPStatusError) else 0


async def explain_failure(error: Exception, client: PrefectClient) -> Finding:
    """Explain why `probe` failed."""
    url = address()
    status = _status(error)
    if status in (401, 403):
        what, fix = _credentials(status, client)
    elif status in NO_API:
        what, fix = await _address(url, f"it answers {status}", client)
    elif status:
        what, fix = explain(error), "look at the server's log"
    elif isinstance(error, NotTheApi | httpx.TooManyRedirects):
        what, fix = await _address(url, _wrong_answer(error), client)
    else:
        what, fix = _network(url, error)
    return Finding(what, "Nothing can be read or deployed.", fix, True)


def _network(url: str, error: Exception) -> tuple[str, str]:
    """Explain a network error: return what is wrong and how to fix it."""
    parts = urlsplit(url)
    causes = list(_causes(error))
    what = f"The server at {url} (PREFECT_API_URL) cannot be reached: {causes[-1]}."
    fix = f"try `curl -i {url}/health`, here and on the server itself"
    if isinstance(error, httpx.UnsupportedProtocol):
        what = f"PREFECT_API_URL is {url}, which does not begin with http:// or https://."
        fix = f"export PREFECT_API_URL=http://{url.split('://')[-1]}"
    elif any(isinstance(each, socket.gaierror) for each in causes):
        what = f"PREFECT_API_URL is {url}, and DNS cannot resolve the host {parts.hostname!r}."
        fix = "correct the name, or connect to the network (VPN) that the host is in"
    elif any(isinstance(each, ConnectionRefusedError) for each in causes):
        what = f"PREFECT_API_URL is {url}, and no server listens there: the connection is refused."
        fix = "start the server (`prefect server start`), or correct host and port"
    elif isinstance(error, httpx.TimeoutException):
        what = f"The server at {url} (PREFECT_API_URL) did not answer in time."
        fix = "check whether a firewall drops the connection, or a VPN is missing; then " + fix
    elif "CERTIFICATE_VERIFY_FAILED" in str(error):
        what = f"The certificate of {url} is not trusted: {error}."
        fix = "export PREFECT_API_SSL_CERT_FILE=/path/to/the/authority.pem"
    elif any(isinstance(each, ssl.SSLError) for each in causes):
        what = f"PREFECT_API_URL is {url}, and the server there does not speak TLS: {error}."
        fix = f"export PREFECT_API_URL=http{url.removeprefix('https')}"
    elif isinstance(error, httpx.RemoteProtocolError | httpx.ReadError) and parts.scheme == "http":
        what = f"PREFECT_API_URL is {url}, and the server there does not speak HTTP: {causes[-1]}."
        fix = f"if it speaks TLS: export PREFECT_API_URL=https{url.removeprefix('http')}"
    return what, fix


def _wrong_answer(error: NotTheApi | httpx.TooManyRedirects) -> str:
    if isinstance(error, httpx.TooManyRedirects):
        return "it redirects in a loop"
    if error.answer.history:
        return f"it redirects to {error.answer.url.copy_with(query=None, userinfo=b'')}"
    return "something else answers there, such as a login page"


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


async def _address(url: str, answer: str, client: PrefectClient) -> tuple[str, str]:
    """Explain that no API is there; the fix names the one at /api of this server, if it has one."""
    fix = "use the address that the server prints when it starts; it ends in /api. If a proxy in "
    fix += "front of the server requires a login, set PREFECT_CLIENT_CUSTOM_HEADERS"
    if client.server_type is ServerType.CLOUD or "app.prefect.cloud" in url:
        fix = "run `prefect cloud workspace set`, which writes the address of a workspace: "
        fix += "https://api.prefect.cloud/api/accounts/…/workspaces/…"
    else:
        origin = "{0.scheme}://{0.netloc}/api".format(urlsplit(url))
        async with httpx.AsyncClient(timeout=5, follow_redirects=True) as plain:
            try:
                health = await plain.get(f"{origin}/health")
                if health.text == "true":
                    fix = f"export PREFECT_API_URL={str(health.url).removesuffix('/health')}"
            except httpx.HTTPError:
                pass
    return f"PREFECT_API_URL is {url}, and there is no Prefect API: {answer}.", fix


def _credentials(status: int, client: PrefectClient) -> tuple[str, str]:
    """Explain which credentials are refused, and which ones to set."""
    api = get_current_settings().api
    key, auth, url = api.key, api.auth_string, address()
    if client.server_type is ServerType.CLOUD:
        fix = "export PREFECT_API_KEY=…, a key of this workspace's account (`prefect cloud login`)"
        if auth:
            what = "PREFECT_API_AUTH_STRING is set, and Prefect sends it instead of the key: it is "
            what += f"for servers of your own, and Prefect Cloud refuses it ({status})."
            return what, f"unset PREFECT_API_AUTH_STRING; {fix}"
        what = "refuses the key in PREFECT_API_KEY" if key else "requires PREFECT_API_KEY"
        return f"Prefect Cloud {what} ({status}).", fix
    what = f"The server at {url} requires credentials ({status}), and none are set."
    fix = "export PREFECT_API_AUTH_STRING=…, the value of the server's "
    fix += "PREFECT_SERVER_API_AUTH_STRING"
    if auth:
        what = f"The server at {url} refuses PREFECT_API_AUTH_STRING ({status})"
        given = auth.get_secret_value()
        what += "." if given == given.strip() else ": it begins or ends with a space or a new line."
    elif key:
        what = "PREFECT_API_KEY is set, but it is only for Prefect Cloud: "
        what += f"the server at {url} is your own, and refuses it ({status})."
        fix = f"unset PREFECT_API_KEY; {fix}"
    if status == httpx.codes.FORBIDDEN:
        fix += "; a proxy in front of the server may need PREFECT_CLIENT_CUSTOM_HEADERS"
    return what, fix


def differences(now: datetime, version: str) -> Iterator[Finding]:
    """Compare the server's clock and Prefect version with those of this machine."""
    skew = (datetime.now(UTC) - now).total_seconds()
    if abs(skew) > MAX_SKEW:
        ahead = "ahead of" if skew > 0 else "behind"
        what = f"The clock here is {abs(skew):.0f} s {ahead} the server."
        why = "Runs start early or late, and logs are in the wrong order."
        fix = "synchronise both clocks: `timedatectl set-ntp true`, here and on the server"
        yield Finding(what, why, fix)
    try:
        server, client = Version(version), Version(prefect.__version__)
    except InvalidVersion:
        return  # Prefect Cloud, or a build from source: there is nothing to compare
    if server.major != client.major or server.release < OLDEST_SERVER:
        what = f"Prefect is {client} here and {server} on the server."
        why = "The server refuses, or silently drops, what only another version supports."
        fix = f"upgrade the server first: `pip install 'prefect=={client}'` there"
        if server > client:
            fix = f"install the server's version here: prefect~={server.major}.{server.minor}.0"
        yield Finding(what, why, fix, server.major != client.major)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        inner = getattr(error, "exceptions", None)  # of an exception group
        error = inner[0] if inner else error.__cause__ or error.__context__
