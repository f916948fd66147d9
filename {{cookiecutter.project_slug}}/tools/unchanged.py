"""Recognises on the runner that a deploy would change nothing, so that no image is pulled.

`deployer/unchanged.py` explains how. Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from deployer.project import UNCHANGED, lock_name
from deployer.unchanged import Exchange, digest
from tools.prefect_api import Missing, ask


def is_unchanged(
    keys: Sequence[str], deploy_hash: str, order: int, environ: Mapping[str, str]
) -> bool:
    """Record this run, so that no older one deploys after it, and tell whether nothing differs.

    First, the order is recorded: any deploy that takes the lock later reads it before it writes.
    Then the lock must be free: all that its last holder wrote is in the answers, which are compared
    next. Last, the record must be as written here: a deploy that deleted it may have read it
    before the order was in it, and an older run may have overwritten it.

    Args:
        keys: the keys of an environment's records, as `record_keys` makes them.
        deploy_hash: what is deployed, from `deployer.unchanged.deploy_hash`.
        order: id of the pipeline's run.
        environ: PREFECT_API_URL and the credentials for its server.

    Returns:
        False also if that is not known: then the image has to be run.

    Raises:
        DeployerError: the server does not answer.
    """
    name = f"{UNCHANGED}-{keys[0]}"
    found = _variable(name, environ)
    try:
        noted = found["value"]
        requests = [Exchange(*asked) for asked in noted["requests"]]
        newer = int(noted["order"] or 0) > order
        # Only requests that read: anyone who can write Variables could have added others.
        known = (
            noted["deploy_hash"] == deploy_hash
            and not newer
            and all(each.reads for each in requests)
        )
        updated, expected = noted | {"order": order}, noted["answers"]
    except (AttributeError, KeyError, TypeError, ValueError):
        return False  # nothing is recorded, or it was edited
    if not known:
        return False
    try:
        ask("PATCH", f"/variables/{found['id']}", {"value": updated}, environ)
    except Missing:
        return False
    if _variable(lock_name(keys), environ) is not None:
        return False
    if digest(_answer(each, environ) for each in requests) != expected:
        return False
    left = _variable(name, environ) or {}
    return (left.get("id"), left.get("value")) == (found["id"], updated)


def _answer(asked: Exchange, environ: Mapping[str, str]) -> Any:
    with suppress(Missing):
        return ask(asked.method, asked.path, asked.body, environ)
    return None


def _variable(name: str, environ: Mapping[str, str]) -> Any:
    return _answer(Exchange("GET", f"/variables/name/{name}", None), environ)
