"""Turn the server's errors into sentences."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from json import JSONDecodeError
from typing import TypeVar

import httpx
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings

from deployer.errors import DeployerError

T = TypeVar("T")
REFUSALS = {400, 404, 409, 422}


def server_time(answer: httpx.Response) -> datetime:
    """Return the time of a server's response; this machine's if it has no Date header."""
    # A proxy may add a second Date header; the server's comes first.
    given = answer.headers.get_list("date")[:1]
    return parsedate_to_datetime(given[0]) if given else datetime.now(UTC)


async def if_found(asked: Awaitable[T]) -> T | None:
    """Return the result of a request; None if the server answers 404."""
    try:
        return await asked
    except ObjectNotFound:
        return None
    except httpx.HTTPStatusError as error:
        if error.response.status_code != httpx.codes.NOT_FOUND:
            raise
        return None


def address() -> str:
    """Return the server's address without the user and password that may be in it."""
    return re.sub(r"//[^/@]*@", "//", str(get_current_settings().api.url))


def is_refusal(error: BaseException) -> bool:
    """Whether the server understood this request and refused it: others may succeed."""
    error = cause(error)
    return isinstance(error, httpx.HTTPStatusError) and error.response.status_code in REFUSALS


def cause(error: BaseException) -> BaseException:
    """Return the HTTP or JSON error that Prefect wrapped; if there is none, the error itself."""
    inner: BaseException | None = error
    while inner is not None and not isinstance(inner, httpx.HTTPError | JSONDecodeError):
        inner = inner.__cause__ or inner.__context__
    return inner or error


def explain(error: BaseException) -> str:
    """Return one sentence for an error, without the request's body; a DeployerError's own text."""
    if isinstance(error, DeployerError):
        return str(error)
    error = cause(error)
    if isinstance(error, httpx.HTTPStatusError):
        status = error.response.status_code
        if status in (401, 403):
            return (
                f"The Prefect server refuses the credentials ({status}): set PREFECT_API_KEY for "
                "Prefect Cloud, PREFECT_API_AUTH_STRING for a server of your own, and "
                "PREFECT_CLIENT_CUSTOM_HEADERS for a proxy in front of the server."
            )
        where = f"{error.request.method} {error.request.url.path}"
        return f"The Prefect server answers {status} to {where}: {_detail(error.response)}."
    if isinstance(error, httpx.TimeoutException):
        return "The Prefect server did not answer in time: look at its log, then deploy again."
    if isinstance(error, httpx.TransportError):
        return (
            f"The Prefect server at {address()} cannot be reached ({error}): check PREFECT_API_URL."
        )
    if isinstance(error, JSONDecodeError | httpx.TooManyRedirects):
        return (
            f"The answer from {address()} is not from the Prefect API: check the proxy in front of "
            "the server, which may require a new login, then try again."
        )
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"


def _detail(response: httpx.Response) -> str:
    try:
        data = response.json()
    except ValueError:
        return response.reason_phrase
    if not isinstance(data, dict):
        return response.reason_phrase
    detail = data.get("detail") or data.get("exception_detail") or data.get("exception_message")
    if isinstance(detail, list):  # FastAPI repeats the whole input: keep field and message
        fields = [".".join(map(str, each.get("loc", ()))) for each in detail]
        detail = "; ".join(f"{f}: {e.get('msg')}" for f, e in zip(fields, detail, strict=True))
    return str(detail or response.reason_phrase).splitlines()[0][:300].rstrip(".")
