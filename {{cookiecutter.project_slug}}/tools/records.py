"""What was released, read from the Prefect server over HTTP. Standard library only.

The deployer of an image writes these records. Here they are read without running any image, because
they help to decide whether one may be run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from deployer.errors import DeployerError
from deployer.project import FILE, read, record_keys
from tools import ROOT
from tools.environments import names, project
from tools.prefect_api import ask

FENCE = "```json\n"  # the record is the one line behind it
PAGE = 10  # a record holds all of its release, so that only a few are read at once


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


def keys(environment: str) -> list[str]:
    """Return the names of what is recorded of an environment, as `record_keys` says them.

    Raises:
        DeployerError: environments.toml cannot be read.
    """
    return record_keys(project(), environment, read(ROOT).get("origin"))


def _recorded(environment: str, environ: Mapping[str, str]) -> Iterator[Record]:
    for key in keys(environment):
        yield from _of_key(f"release-{key}", environment, environ)


def _of_key(key: str, environment: str, environ: Mapping[str, str]) -> Iterator[Record]:
    where = {"artifacts": {"key": {"any_": [key]}}}
    seen, last = 0, PAGE
    while last == PAGE:
        page = {"sort": "CREATED_DESC", "limit": PAGE, "offset": seen}
        rows = ask("POST", "/artifacts/filter", {**where, **page}, environ)
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
