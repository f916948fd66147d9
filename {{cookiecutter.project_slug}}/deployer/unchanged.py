"""Recognise a deploy that changes nothing, without its image. Uses only the standard library.

If nothing differs between an image's catalog and the server, the deployer in the image stores a
note on the server: what was deployed, the requests that it read with, and one hash of all answers.
If the same is deployed again and the same requests get the same answers, again nothing differs.
This check needs neither Prefect nor the image: the runner does it, in `tools/unchanged.py`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

# Fields that the server changes by itself, in a row and in a deployment's limit; no plan uses them.
VOLATILE = {
    *("updated", "status", "last_polled"),
    *("active_slots", "denied_slots", "avg_slot_occupancy_seconds"),
}
LIMIT = "global_concurrency_limit"
PINNED = re.compile(r".+@sha256:[0-9a-f]{64}")
READS = {"GET": re.compile(r"/\S*"), "POST": re.compile(r"(/[^/?#\s]+)+/filter")}
LONGEST = 5000  # characters of a Variable's value, as JSON


@dataclass(frozen=True)
class Exchange:
    """One request and its answer.

    Attributes:
        method: the HTTP method.
        path: the path below the API's URL, with the query.
        body: the JSON that was sent; None if there was none.
        answer: the JSON of the answer; None for 404, or if the request was not sent yet.
    """

    method: str
    path: str
    body: Any
    answer: Any = None

    @property
    def reads(self) -> bool:
        """Whether this request only reads, so that it changes nothing on a server."""
        form = READS.get(self.method)
        return form is not None and form.fullmatch(self.path) is not None


@dataclass(frozen=True)
class Unchanged:
    """The note that nothing differed.

    Attributes:
        deploy_hash: what was deployed, as the function of this name returns it.
        requests: method, path and body of each request that the server was read with.
        answers: the hash of all answers.
        order: the highest id of a pipeline run that found this; None if none did.
    """

    deploy_hash: str
    requests: list[list[Any]]
    answers: str
    order: int | None = None


@contextmanager
def recording_connections() -> Iterator[list[str]]:
    """Yield a list to which each network connection of this process in the block is added.

    A catalog that, for example, reads a Variable at import depends on more than its image.
    """
    connections: list[str] = []
    active = True

    def record_connection(event: str, _: tuple[object, ...]) -> None:
        if active and event == "socket.connect":
            connections.append(event)

    sys.addaudithook(record_connection)  # Python cannot remove a hook
    try:
        yield connections
    finally:
        active = False


def deploy_hash(
    images: Mapping[str, str], environment: str, work_pool: str | None, server: str
) -> str | None:
    """Return a hash that identifies a deploy: its images, environment, work pool and server.

    Args:
        images: references by the images' names.
        environment: a table of environments.toml, which is in the image.
        work_pool: the work pool that replaces the environment's, if any.
        server: the server's URL, which a catalog may pass to its flows.

    Returns:
        A hash; None if there is no image, or one without a digest: then the code is not known.
    """
    if not images or not all(map(PINNED.fullmatch, images.values())):
        return None
    return _hash([sorted(images.items()), environment, work_pool, server])


def note(deploy_hash: str, exchanges: Iterable[Exchange], order: int | None) -> Unchanged | None:
    """Return the note for a plan without changes that was made from these requests.

    Returns:
        None if a request did more than read, or if the note is too long for a Variable.
    """
    exchanges = list(exchanges)
    requests = [[each.method, each.path, each.body] for each in exchanges]
    made = Unchanged(deploy_hash, requests, digest(each.answer for each in exchanges), order)
    fits = len(json.dumps(vars(made))) <= LONGEST
    return made if fits and all(each.reads for each in exchanges) else None


def digest(answers: Iterable[Any]) -> str:
    """Return the hash of a server's answers, without the fields that it changes by itself."""
    return _hash([_without_volatile(each) for each in answers])


def _without_volatile(answer: Any) -> Any:
    if isinstance(answer, list):
        return [_without_volatile(each) for each in answer]
    if not isinstance(answer, dict):
        return answer
    kept = {key: each for key, each in answer.items() if key not in VOLATILE}
    if isinstance(kept.get(LIMIT), dict):
        kept[LIMIT] = _without_volatile(kept[LIMIT])
    return kept


def _hash(content: Any) -> str:
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
