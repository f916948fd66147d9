"""Checks that the catalog does not depend on the time: a process imports it again, a year ahead.

What is computed at import, such as a date, a random number or an id, would differ in every plan.
"""

from __future__ import annotations

import ctypes
import gc
import json
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from datetime import UTC, datetime, timedelta, tzinfo
from io import StringIO
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from deployer import load, plan, resources, spec
from deployer.catalog import Deployment
from deployer.check.catalog import FILE
from deployer.environment import Environment
from deployer.errors import DeployerError

# Another second, minute, hour, weekday, day of the month, month and year.
LATER = timedelta(days=400, hours=1, minutes=1, seconds=1)


@contextmanager
def importing() -> Iterator[Connection]:
    """Let another process import the catalog while this one does; it sends what it finds."""
    # Prefect is here already, so a fork saves importing it once more; elsewhere forks are unsafe.
    context: Any = get_context("fork" if sys.platform == "linux" else "spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_import, args=(theirs,))
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        process.kill()
        process.join()


def require_same(catalog: list[Deployment], later: Connection) -> None:
    """Compare a catalog with what the other process found in it.

    Raises:
        DeployerError: names every value of it that differs.
    """
    try:
        then = later.recv()
    except EOFError:
        then = "its process died"
    if isinstance(then, str):
        raise DeployerError(f"{FILE} cannot be imported at another time: {then}")
    found = [
        f"{FILE}, {key}: {path or 'its name'} is computed when the catalog is imported, so that "
        "every plan differs: write a fixed value, or compute it in the flow."
        for key, declared in _specs(catalog).items()
        for path in plan.difference(declared, then.get(key))
    ]
    if found:
        raise DeployerError(*found)


def _specs(catalog: list[Deployment]) -> dict[str, Any]:
    anywhere = Environment(project="any", name="any", work_pool="any")
    specs = {entry.key: spec.declared(entry, anywhere) for entry in catalog}
    specs |= resources.declared(load.resources(), anywhere)
    return json.loads(json.dumps(specs))  # type: ignore[no-any-return]


def _import(answer: Connection) -> None:
    """Send the specs of the catalog as it is later, or a sentence about why there are none."""
    _move_clock()
    random.seed()  # a fork has the random numbers of its parent
    with redirect_stderr(StringIO()):  # what it prints is printed already
        try:
            answer.send(_specs(load.load()))
        except DeployerError as error:
            answer.send(str(error))


def _move_clock() -> None:
    """Let everything in this process that asks for the time get a later one.

    The class itself is changed and not replaced by another, which pydantic would take for
    something else than `datetime`. `date.today` and `datetime.today` ask `time.time`.
    """
    clock, broken_down, utc = time.time, time.localtime, time.gmtime
    ahead, strftime = LATER.total_seconds(), time.strftime
    time.time = lambda: clock() + ahead
    time.time_ns = lambda: int(time.time() * 1e9)
    time.localtime = lambda when=None: broken_down(time.time() if when is None else when)
    time.gmtime = lambda when=None: utc(time.time() if when is None else when)
    time.strftime = lambda form, when=None: strftime(form, when or time.localtime())

    def now(cls: type[datetime], tz: tzinfo | None = None) -> datetime:
        return cls.fromtimestamp(time.time(), tz)

    def utcnow(cls: type[datetime]) -> datetime:
        return cls.fromtimestamp(time.time(), UTC).replace(tzinfo=None)

    (methods,) = gc.get_referents(datetime.__dict__)
    methods |= {"now": classmethod(now), "utcnow": classmethod(utcnow)}
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(datetime))
