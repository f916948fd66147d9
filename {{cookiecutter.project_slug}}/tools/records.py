"""Reads the records of releases from the Prefect server. Standard library only.

The deployer in an image writes them. They are read here without running an image, because they
help to decide whether one may be run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deployer.errors import DeployerError
from deployer.project import FILE, read, record_keys
from tools import ROOT
from tools.environments import names, project
from tools.prefect_api import ask

FENCE = "```json\n"  # the record is the line after it
PAGE = 10  # records per request: each one holds a whole release


@dataclass(frozen=True)
class Record:
    """One release.

    Attributes:
        environment: where it was deployed.
        number: 1, 2, 3 …
        image: reference of the default image, with digest; empty if the working tree was deployed.
        commit: of the source; empty if it is not known.
        others: references of the other images.
        rollback: whether it restored an earlier release.
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
    """Yield the releases of one environment, newest first.

    Args:
        environment: a table of environments.toml.
        environ: PREFECT_API_URL and the credentials for its server.

    Raises:
        DeployerError: there is no such environment, or the server does not answer.
    """
    if environment not in read(ROOT):
        raise DeployerError(f"There is no environment {environment!r} in {FILE}.")
    yield from _recorded(environment, environ)


def of_environments(environ: Mapping[str, str] = os.environ) -> Iterator[Record]:
    """Yield the releases of every environment except previews."""
    tables = read(ROOT)
    for name in names():
        if "{label}" not in str(tables[name]):  # one environment for each label
            yield from _recorded(name, environ)


def keys(environment: str) -> list[str]:
    """Return the keys of an environment's records, as `record_keys` makes them.

    Raises:
        DeployerError: environments.toml cannot be read.
    """
    return record_keys(project(), environment, read(ROOT).get("origin"))


def _recorded(environment: str, environ: Mapping[str, str]) -> Iterator[Record]:
    for key in keys(environment):
        yield from _of_key(f"release-{key}", environment, environ)


def _of_key(key: str, environment: str, environ: Mapping[str, str]) -> Iterator[Record]:
    where = {"artifacts": {"key": {"any_": [key]}}}
    rows: list[Any] = []
    seen = limit = 0
    while len(rows) == limit:
        limit = PAGE if seen else 1  # often the newest record is enough
        page = {"sort": "CREATED_DESC", "limit": limit, "offset": seen}
        rows = ask("POST", "/artifacts/filter", {**where, **page}, environ)
        seen += len(rows)
        for row in rows:
            try:
                record = json.loads(row["data"].split(FENCE, 1)[1].split("\n", 1)[0])
                number = int(record["number"])
                specs = record["specs"].values()
                # After --only, some deployments may still run an older image.
                run = {spec["job_variables"].get("image") for spec in specs} - {None}
                others = tuple(sorted({*record.get("images", {}).values(), *run}))
            except (AttributeError, IndexError, KeyError, TypeError, ValueError):
                continue  # it was edited, so it proves nothing
            image, commit = (str(record.get(each) or "") for each in ("image", "commit"))
            rollback = record.get("again") is not None
            yield Record(environment, number, image, commit, others, rollback)
