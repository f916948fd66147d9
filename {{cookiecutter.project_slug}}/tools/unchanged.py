"""Recognises on the runner that a deploy would change nothing, so that no image is pulled.

`deployer/unchanged.py` says by what. Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from deployer.project import LOCK, UNCHANGED
from deployer.unchanged import Exchange, digest
from tools.prefect_api import Missing, ask


def is_unchanged(keys: Sequence[str], given: str, order: int, environ: Mapping[str, str]) -> bool:
    """Tell whether nothing differs, and note the run that found this: an older one must not come.

    First the order is noted: who takes the lock from now on reads it before anything is written.
    Then nobody may hold the lock: what was written by whoever held it is in the answers, which are
    compared then. Last, the note must be as it was written: who deleted it may have read it just
    before the order was in it, and an older run may have written over it.

    Args:
        keys: the names of what is recorded of an environment, as `record_keys` says them.
        given: what is deployed, as `deployer.unchanged.given` says it.
        order: id of the pipeline's run.
        environ: PREFECT_API_URL and what its server wants to be told.

    Returns:
        False also where that is not known: then the image has to be asked.

    Raises:
        DeployerError: the server does not answer.
    """
    name = f"{UNCHANGED}-{keys[0]}"
    found = _variable(name, environ)
    try:
        noted = found["value"]
        requests = [Exchange(*asked) for asked in noted["requests"]]
        newer = int(noted["order"] or 0) > order
        # Of somebody who can write Variables no request is carried out that does more than read.
        known = noted["given"] == given and not newer and all(each.reads for each in requests)
        mine, hash = noted | {"order": order}, noted["answers"]
    except (AttributeError, KeyError, TypeError, ValueError):
        return False  # nothing is noted, or somebody changed it
    if not known:
        return False
    try:
        ask("PATCH", f"/variables/{found['id']}", {"value": mine}, environ)
    except Missing:
        return False
    if _variable(f"{LOCK}-{keys[-1]}", environ) is not None:
        return False
    if digest(_answer(each, environ) for each in requests) != hash:
        return False
    left = _variable(name, environ) or {}
    return (left.get("id"), left.get("value")) == (found["id"], mine)


def _answer(asked: Exchange, environ: Mapping[str, str]) -> Any:
    with suppress(Missing):
        return ask(asked.method, asked.path, asked.body, environ)
    return None


def _variable(name: str, environ: Mapping[str, str]) -> Any:
    return _answer(Exchange("GET", f"/variables/name/{name}", None), environ)
