"""What was released, read from the Prefect server over HTTP. Standard library only.

The deployer of an image writes these records. Here they are read without running any image, because
they help to decide whether one may be run.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from deployer.errors import DeployerError
from deployer.project import FILE, read, record_keys
from tools import ROOT
from tools.environments import names, project

FENCE = "```json\n"  # the record is the one line behind it
PAGE = 10  # a record holds all of its release, so that only a few are read at once
SECONDS = 30


@dataclass(frozen=True)
class Record:
    """One release.

    Attributes:
        environment: where.
        number: 1, 2, 3 …
        image: reference of the first image, with digest; empty where it was a working tree.
        commit: of the source; empty where nobody said.
        others: references of the other images.
        rollback: whether this put an earlier release back.
    """

    environment: str
    number: int
    image: str
    commit: str
    others: tuple[str, ...] = ()
    rollback: bool = False

    @property
    def images(self) -> tuple[str, ...]:
        """References of all images."""
        return (self.image, *self.others)


def recorded(environment: str, environ: Mapping[str, str] = os.environ) -> Iterator[Record]:
    """Return the releases of one environment, newest first.

    Args:
        environment: a table of environments.toml.
        environ: PREFECT_API_URL and what its server wants to be told.

    Raises:
        DeployerError: there is no such environment, or the server does not answer.
    """
    if environment not in read(ROOT):
        raise DeployerError(f"There is no environment {environment!r} in {FILE}.")
    yield from _recorded(environment, environ)


def everywhere(environ: Mapping[str, str] = os.environ) -> Iterator[Record]:
    """Return the releases of every environment on the server but previews."""
    tables = read(ROOT)
    for name in names():
        if "{label}" not in str(tables[name]):  # there is a preview for each
            yield from _recorded(name, environ)


def _recorded(environment: str, environ: Mapping[str, str]) -> Iterator[Record]:
    for key in record_keys(project(), environment, read(ROOT).get("origin")):
        yield from _of_key(f"release-{key}", environment, environ)


def _of_key(key: str, environment: str, environ: Mapping[str, str]) -> Iterator[Record]:
    where = {"artifacts": {"key": {"any_": [key]}}}
    seen, last = 0, PAGE
    while last == PAGE:
        page = {"sort": "CREATED_DESC", "limit": PAGE, "offset": seen}
        rows = _ask("/artifacts/filter", {**where, **page}, environ)
        seen, last = seen + len(rows), len(rows)
        for row in rows:
            try:
                record = json.loads(row["data"].split(FENCE, 1)[1].split("\n", 1)[0])
                number = int(record["number"])
                specs = record["specs"].values()
                # With --only a deployment may run another image than the one that was given.
                run = {spec["job_variables"].get("image") for spec in specs} - {None}
                others = tuple(sorted({*record.get("images", {}).values(), *run}))
            except (AttributeError, IndexError, KeyError, TypeError, ValueError):
                continue  # somebody changed it, so it says nothing
            image, commit = (str(record.get(each) or "") for each in ("image", "commit"))
            rollback = record.get("again") is not None
            yield Record(environment, number, image, commit, others, rollback)


def _ask(path: str, body: dict[str, Any], environ: Mapping[str, str]) -> Any:
    url = environ.get("PREFECT_API_URL", "").rstrip("/")
    if not url:
        raise DeployerError("PREFECT_API_URL is not set: it says where releases are recorded.")
    headers = {"Content-Type": "application/json", **_credentials(environ)}
    try:
        request = Request(url + path, json.dumps(body).encode(), headers)  # noqa: S310 - as given
        with urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
            return json.load(answer)
    except HTTPError as error:
        why = f"it answers {error.code}"
        if error.code in (401, 403):
            why = f"it refuses the credentials ({error.code})"
    except (OSError, URLError, ValueError) as error:
        why = str(getattr(error, "reason", error))
    raise DeployerError(f"The Prefect server at {url} does not say what was released: {why}.")


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
