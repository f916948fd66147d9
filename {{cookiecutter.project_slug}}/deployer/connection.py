"""What is wrong on the way to the Prefect server: address, network, TLS, credentials, versions."""

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
SKEW = 30  # seconds between two clocks that nobody notices
OLDEST = (3, 8)  # the oldest server that is tested
UNSET = Finding(
    "PREFECT_API_URL is not set.",
    "Prefect would start a server of its own for every command, which nobody else sees.",
    "export PREFECT_API_URL=http://127.0.0.1:4200/api, or the address of your server or workspace",
    True,
)


class NotTheApi(Exception):
    """Something answers, but not the Prefect API itself."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__()
        self.answer = answer


async def probe(client: PrefectClient) -> tuple[datetime, str]:
    """Ask for what every server, or workspace, can answer.

    Returns:
        The server's time, and its version; Prefect Cloud's is empty.

    Raises:
        Exception: it does not answer; `problem` explains it.
    """
    is_cloud = client.server_type is ServerType.CLOUD
    if is_cloud:
        answer = await client.request("POST", "/work_pools/filter", json={"limit": 1})
    else:
        answer = await client.request("GET", "/admin/version")
    found = _json(answer)
    # A redirect turns every POST into a GET, so what is behind one is no API either.
    if answer.history or not isinstance(found, list if is_cloud else str):
        raise NotTheApi(answer)
    return server_time(answer), "" if is_cloud else str(found)


async def instead() -> str | None:
    """Say what answers in place of a Prefect API that fits; None where that, or nothing, does."""
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
        async with get_client() as client:
            try:
                wrong = [each for each in differences(*await probe(client)) if each.fatal]
                return str(wrong[0]) if wrong else None
            except Exception as error:
                other = isinstance(error, NotTheApi | httpx.TooManyRedirects)
                return (
                    str(await problem(error, client)) if other or _status(error) in NO_API else None
                )


def _status(error: Exception) -> int:
    return error.response.status_code if isinstance(error, httpx.HTTPStatusError) else 0


async def problem(error: Exception, client: PrefectClient) -> Finding:
    """Explain why a server does not answer."""
    url = address()
    status = _status(error)
    if status in (401, 403):
        what, fix = _credentials(status, client)
    elif status in NO_API:
        what, fix = await _address(url, f"it answers {status}", client)
    elif status:
        what, fix = explain(error), "look at the server's log"
    elif isinstance(error, NotTheApi | httpx.TooManyRedirects):
        what, fix = await _address(url, _instead(error), client)
    else:
        what, fix = _network(url, error)
    return Finding(what, "Nothing can be read or deployed.", fix, True)


def _network(url: str, error: Exception) -> tuple[str, str]:
    """Return what is wrong where nothing answers, and what fixes it."""
    parts = urlsplit(url)
    causes = list(_causes(error))
    what = f"The server of PREFECT_API_URL, {url}, cannot be reached: {causes[-1]}."
    fix = f"try `curl -i {url}/health`, here and on the server itself"
    if isinstance(error, httpx.UnsupportedProtocol):
        what = f"PREFECT_API_URL is {url}, which does not begin with http:// or https://."
        fix = f"export PREFECT_API_URL=http://{url.split('://')[-1]}"
    elif any(isinstance(each, socket.gaierror) for each in causes):
        what = f"PREFECT_API_URL is {url}, and no DNS server knows the host {parts.hostname!r}."
        fix = "correct the name, or connect to the network (VPN) that knows it"
    elif any(isinstance(each, ConnectionRefusedError) for each in causes):
        what = f"PREFECT_API_URL is {url}, and nobody listens there: the connection is refused."
        fix = "start the server (`prefect server start`), or correct host and port"
    elif isinstance(error, httpx.TimeoutException):
        what = f"The server of PREFECT_API_URL, {url}, did not answer in time."
        fix = "look whether a firewall drops the connection, or a VPN is missing; then " + fix
    elif "CERTIFICATE_VERIFY_FAILED" in str(error):
        what = f"The certificate of {url} is not trusted: {error}."
        fix = "export PREFECT_API_SSL_CERT_FILE=/path/to/the/authority.pem"
    elif any(isinstance(each, ssl.SSLError) for each in causes):
        what = f"PREFECT_API_URL is {url}, and what answers there does not speak TLS: {error}."
        fix = f"export PREFECT_API_URL=http{url.removeprefix('https')}"
    elif isinstance(error, httpx.RemoteProtocolError | httpx.ReadError) and parts.scheme == "http":
        what = f"PREFECT_API_URL is {url}, and what listens there hangs up on HTTP: {causes[-1]}."
        fix = f"if it speaks TLS: export PREFECT_API_URL=https{url.removeprefix('http')}"
    return what, fix


def _instead(error: NotTheApi | httpx.TooManyRedirects) -> str:
    if isinstance(error, httpx.TooManyRedirects):
        return "it redirects again and again"
    if error.answer.history:
        return f"it redirects to {error.answer.url.copy_with(query=None, userinfo=b'')}"
    return "what answers there is something else, such as the page of a login"


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


async def _address(url: str, answer: str, client: PrefectClient) -> tuple[str, str]:
    """Return that no API is there, and the address of one if there is one nearby."""
    fix = "use the address that the server prints when it starts; it ends in /api. Where a proxy "
    fix += "before it asks for a login, PREFECT_CLIENT_CUSTOM_HEADERS is what it wants"
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
    """Return which credentials are refused, and which are wanted."""
    api = get_current_settings().api
    key, auth, url = api.key, api.auth_string, address()
    if client.server_type is ServerType.CLOUD:
        fix = "export PREFECT_API_KEY=…, a key of this workspace's account (`prefect cloud login`)"
        if auth:
            what = "PREFECT_API_AUTH_STRING is set, which Prefect sends instead of the key: it is "
            what += f"for servers of your own, and Prefect Cloud refuses it ({status})."
            return what, f"unset PREFECT_API_AUTH_STRING; {fix}"
        what = "refuses the key of PREFECT_API_KEY" if key else "asks for PREFECT_API_KEY"
        return f"Prefect Cloud {what} ({status}).", fix
    what = f"The server at {url} asks for credentials ({status}), and there are none."
    fix = "export PREFECT_API_AUTH_STRING=…, the value of the server's "
    fix += "PREFECT_SERVER_API_AUTH_STRING"
    if auth:
        what = f"The server at {url} refuses PREFECT_API_AUTH_STRING ({status})"
        given = auth.get_secret_value()
        what += "." if given == given.strip() else ": it begins or ends with a space or a new line."
    elif key:
        what = "PREFECT_API_KEY is set, which is for Prefect Cloud: "
        what += f"the server at {url} is your own, and refuses it ({status})."
        fix = f"unset PREFECT_API_KEY; {fix}"
    if status == httpx.codes.FORBIDDEN:
        fix += "; a proxy before it may want PREFECT_CLIENT_CUSTOM_HEADERS"
    return what, fix


def differences(now: datetime, version: str) -> Iterator[Finding]:
    """Compare the server's clock and version with those here."""
    skew = (datetime.now(UTC) - now).total_seconds()
    if abs(skew) > SKEW:
        ahead = "ahead of" if skew > 0 else "behind"
        what = f"The clock here is {abs(skew):.0f} s {ahead} the server."
        why = "Runs start early or late, and logs come in the wrong order."
        fix = "set both clocks by the network: `timedatectl set-ntp true`, here and on the server"
        yield Finding(what, why, fix)
    try:
        server, client = Version(version), Version(prefect.__version__)
    except InvalidVersion:
        return  # Prefect Cloud, or a build from source: there is nothing to compare
    if server.major != client.major or server.release < OLDEST:
        what = f"Prefect is {client} here and {server} on the server."
        why = "A server refuses what only another version sends, or loses it silently."
        fix = f"upgrade the server first: `pip install 'prefect=={client}'` there"
        if server > client:
            fix = f"install the server's version here: prefect~={server.major}.{server.minor}.0"
        yield Finding(what, why, fix, server.major != client.major)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        inner = getattr(error, "exceptions", None)  # of an exception group
        error = inner[0] if inner else error.__cause__ or error.__context__
