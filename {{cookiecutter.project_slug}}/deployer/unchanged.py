"""How a deploy that changes nothing is recognised without its image. Asks for no package.

Where nothing differs between an image's catalog and the server, its deployer notes on the server
what was deployed, each request that it had read with, and one hash of all the answers. If the same
is deployed again, and the same requests are answered the same, nothing differs again. To ask that
takes neither Prefect nor the image: the runner does it, in `tools/unchanged.py`.
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

# What the server changes by itself, in a row and in a deployment's own limit. No plan looks at it.
MOVING = {
    *("updated", "status", "last_polled"),
    *("active_slots", "denied_slots", "avg_slot_occupancy_seconds"),
}
LIMIT = "global_concurrency_limit"
PINNED = re.compile(r".+@sha256:[0-9a-f]{64}")
READS = {"GET": re.compile(r"/\S*"), "POST": re.compile(r"(/[^/?#\s]+)+/filter")}
LONGEST = 5000  # characters of a Variable's value, as JSON


@dataclass(frozen=True)
class Exchange:
    """One request and what was answered.

    Attributes:
        method: of HTTP.
        path: below the API's address, with its query.
        body: what was sent, as JSON; None where nothing was.
        answer: what came, as JSON; None where the server has no such thing, or was not asked yet.
    """

    method: str
    path: str
    body: Any
    answer: Any = None

    @property
    def reads(self) -> bool:
        """Whether such a request changes nothing on a server."""
        form = READS.get(self.method)
        return form is not None and form.fullmatch(self.path) is not None


@dataclass(frozen=True)
class Unchanged:
    """What is noted where nothing differed.

    Attributes:
        given: what was deployed, as `given` says it.
        requests: method, path and body of each request that the server was read with.
        answers: the hash of all that was answered.
        order: the highest id of a pipeline's run that found this; None where none did.
    """

    given: str
    requests: list[list[Any]]
    answers: str
    order: int | None = None


@contextmanager
def connecting() -> Iterator[list[str]]:
    """Yield a list that is not empty once this process has connected to anything meanwhile.

    What a catalog asks for when it is imported, such as a Variable, is in no image.
    """
    made: list[str] = []
    listening = True

    def hear(event: str, _: tuple[object, ...]) -> None:
        if listening and event == "socket.connect":
            made.append(event)

    sys.addaudithook(hear)  # Python takes none away
    try:
        yield made
    finally:
        listening = False


def given(
    images: Mapping[str, str], environment: str, work_pool: str | None, server: str
) -> str | None:
    """Return what tells one deploy from another, where an image's digest says all the rest.

    Args:
        images: references by the images' names.
        environment: a table of environments.toml, which is in the image.
        work_pool: what is used instead of the environment's.
        server: its address, which a catalog may hand to its flows.

    Returns:
        A hash; None where an image has no digest, or there is none: then the code is not known.
    """
    if not images or not all(map(PINNED.fullmatch, images.values())):
        return None
    return _hash([sorted(images.items()), environment, work_pool, server])


def note(given: str, heard: Iterable[Exchange], order: int | None) -> Unchanged | None:
    """Return what to note of the requests that a plan without changes was made from.

    Returns:
        None where one of them did more than read, or it is too much for a Variable.
    """
    heard = list(heard)
    requests = [[each.method, each.path, each.body] for each in heard]
    made = Unchanged(given, requests, digest(each.answer for each in heard), order)
    fits = len(json.dumps(vars(made))) <= LONGEST
    return made if fits and all(each.reads for each in heard) else None


def digest(answers: Iterable[Any]) -> str:
    """Return the hash of what a server answered, without what it changes by itself."""
    return _hash([_steady(each) for each in answers])


def _steady(answer: Any) -> Any:
    if isinstance(answer, list):
        return [_steady(each) for each in answer]
    if not isinstance(answer, dict):
        return answer
    kept = {key: each for key, each in answer.items() if key not in MOVING}
    if isinstance(kept.get(LIMIT), dict):
        kept[LIMIT] = _steady(kept[LIMIT])
    return kept


def _hash(content: Any) -> str:
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
