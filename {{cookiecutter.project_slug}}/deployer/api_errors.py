"""What the server's errors mean, in sentences."""

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
    """Return the time at which a server answered; this machine's, where it does not say."""
    # A proxy may add a date of its own: the server's comes first.
    given = answer.headers.get_list("date")[:1]
    return parsedate_to_datetime(given[0]) if given else datetime.now(UTC)


async def if_found(asked: Awaitable[T]) -> T | None:
    """Return what was asked for, None where the server has no such thing."""
    try:
        return await asked
    except ObjectNotFound:
        return None
    except httpx.HTTPStatusError as error:
        if error.response.status_code != httpx.codes.NOT_FOUND:
            raise
        return None


def address() -> str:
    """Return the server's address without a password that may be in it."""
    return re.sub(r"//[^/@]*@", "//", str(get_current_settings().api.url))


def is_refusal(error: BaseException) -> bool:
    """Whether the server understood a request and refused it: the next one may be fine."""
    error = cause(error)
    return isinstance(error, httpx.HTTPStatusError) and error.response.status_code in REFUSALS


def cause(error: BaseException) -> BaseException:
    """Return the error of HTTP, or of an answer's JSON, that Prefect wrapped; else the error."""
    inner: BaseException | None = error
    while inner is not None and not isinstance(inner, httpx.HTTPError | JSONDecodeError):
        inner = inner.__cause__ or inner.__context__
    return inner or error


def sentence(error: BaseException) -> str:
    """Return what to tell a person of an error: its own words, or what it means."""
    return str(error) if isinstance(error, DeployerError) else explain(error)


def explain(error: BaseException) -> str:
    """Return one sentence for an error of the API: what was refused, without the request's body."""
    error = cause(error)
    if isinstance(error, httpx.HTTPStatusError):
        status = error.response.status_code
        if status in (401, 403):
            return (
                f"The Prefect server refuses the credentials ({status}): set PREFECT_API_KEY for "
                "Prefect Cloud, PREFECT_API_AUTH_STRING for a server of your own, and "
                "PREFECT_CLIENT_CUSTOM_HEADERS for what a proxy before it wants."
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
            f"What answers at {address()} is not the Prefect API any more: look at the proxy "
            "before it, which may want a new login, then try again."
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
    if isinstance(detail, list):  # FastAPI's errors carry the whole input: keep place and message
        places = [".".join(map(str, each.get("loc", ()))) for each in detail]
        detail = "; ".join(f"{p}: {e.get('msg')}" for p, e in zip(places, detail, strict=True))
    return str(detail or response.reason_phrase).splitlines()[0][:300].rstrip(".")
