"""Check RESOURCES for problems, without a server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from prefect.client.schemas.actions import ConcurrencyLimitCreate
from prefect.events.schemas.automations import AutomationCore

from deployer import credentials
from deployer.check.catalog import FILE
from deployer.environment import RESERVED
from deployer.errors import on_one_line
from deployer.resources import ACTIONS, key
from deployer.rules import json_problems, name_problem, readable, shown, variable_problems

KINDS = "Variable, GlobalConcurrencyLimitCreate, ConcurrencyLimitCreate or Automation of Prefect"


def check(entries: Any) -> list[str]:
    """Return the problems of the catalog's RESOURCES, one sentence each."""
    if not isinstance(entries, list):
        return [f"{FILE}: RESOURCES is {shown(entries)}: write a list, or leave it out."]
    found = []
    for number, entry in enumerate(entries, 1):
        name = key(entry)
        where = name or f"entry {number} of RESOURCES"
        problems = _problems(entry) if name else [f"{shown(entry)} is not a {KINDS}."]
        found += [f"{FILE}, {where}: {problem}" for problem in problems]
    for name, count in Counter(map(key, entries)).items():
        if name and count > 1:
            found.append(f"{FILE}, {name}: there are {count} entries of this name; rename one.")
    return [*map(on_one_line, found)]


def _problems(entry: Any) -> Iterator[str]:
    for tag in getattr(entry, "tags", None) or ():
        if tag.startswith(RESERVED):
            yield f"the tag {tag!r} is reserved for the deployer: choose another."
    if isinstance(entry, ConcurrencyLimitCreate) and entry.concurrency_limit < 0:
        yield f"concurrency_limit is {entry.concurrency_limit}, but it cannot be less than 0."
    if (key(entry) or "").startswith("variable/"):
        yield from variable_problems(entry.name, entry.value)
        return
    name = entry.tag if isinstance(entry, ConcurrencyLimitCreate) else entry.name
    if problem := name_problem(name):
        yield f"its name {problem}."
    if isinstance(entry, AutomationCore):
        dumped = entry.model_dump(mode="json")
        yield from json_problems("it", dumped)
        for path in credentials.find_credentials({name: dumped[name] for name in ACTIONS}):
            yield readable(path, "load that in the flow")
