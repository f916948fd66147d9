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

    Nobody may have deployed in between. So first the server's answers are compared, then the order
    is noted, and then nobody may hold the lock. Who takes it later deletes the note, and reads the
    order in it, before anything is written; who has deployed meanwhile has deleted it, and made
    another of another id.

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
    found = _variable(f"{UNCHANGED}-{keys[0]}", environ)
    try:
        identity, noted = found["id"], found["value"]
        requests = [Exchange(*asked) for asked in noted["requests"]]
        same, last, hash = noted["given"] == given, int(noted["order"] or 0), noted["answers"]
    except (AttributeError, KeyError, TypeError, ValueError):
        return False  # nothing is noted, or somebody changed it
    # Of somebody who can write Variables no request is carried out that does more than read.
    if not same or last > order or not all(each.reads for each in requests):
        return False
    if digest(_answer(each, environ) for each in requests) != hash:
        return False
    try:
        ask("PATCH", f"/variables/{identity}", {"value": noted | {"order": order}}, environ)
    except Missing:
        return False
    return _variable(f"{LOCK}-{keys[-1]}", environ) is None


def _answer(asked: Exchange, environ: Mapping[str, str]) -> Any:
    with suppress(Missing):
        return ask(asked.method, asked.path, asked.body, environ)
    return None


def _variable(name: str, environ: Mapping[str, str]) -> Any:
    return _answer(Exchange("GET", f"/variables/name/{name}", None), environ)
