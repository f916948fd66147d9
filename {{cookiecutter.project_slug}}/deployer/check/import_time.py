"""Check that the catalog does not depend on the time: import it again with the clock a year ahead.

A value computed at import, such as a date, a random number or an id, would differ in every plan.
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

# Changes the second, minute, hour, weekday, day of the month, month and year, and the hour even
# where the clocks are changed in between.
LATER = timedelta(days=400, hours=2, minutes=1, seconds=1)


@contextmanager
def importing() -> Iterator[Connection]:
    """Import the catalog in a second process meanwhile; yield the pipe that returns its result."""
    # A fork need not import Prefect again. On platforms other than Linux a fork is unsafe.
    context: Any = get_context("fork" if sys.platform == "linux" else "spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_import, args=(sender,))
    process.start()
    sender.close()
    try:
        yield receiver
    finally:
        process.kill()
        process.join()


def require_same(catalog: list[Deployment], receiver: Connection) -> None:
    """Compare a catalog with the one that the other process imported.

    Raises:
        DeployerError: names every value that differs.
    """
    try:
        later = receiver.recv()
    except EOFError:
        later = "the process died"
    if isinstance(later, str):
        raise DeployerError(f"{FILE} cannot be imported with a later clock: {later}")
    found = [
        f"{FILE}, {key}: {path or 'its name'} is computed when the catalog is imported, so that "
        "every plan would differ: write a fixed value, or compute it in the flow."
        for key, declared in _specs(catalog).items()
        for path in plan.difference(declared, later.get(key))
    ]
    if found:
        raise DeployerError(*found)


def _specs(catalog: list[Deployment]) -> dict[str, Any]:
    any_environment = Environment(project="any", name="any", work_pool="any")
    specs = {entry.key: spec.declared(entry, any_environment) for entry in catalog}
    specs |= resources.declared(load.resources(), any_environment)
    return json.loads(json.dumps(specs))  # type: ignore[no-any-return]


def _import(sender: Connection) -> None:
    """Send the specs of the catalog, imported with the clock ahead, or why the import failed."""
    _move_clock()
    random.seed()  # otherwise a fork repeats the random numbers of its parent
    with redirect_stderr(StringIO()):  # the parent prints the same
        try:
            sender.send(_specs(load.load()))
        except DeployerError as error:
            sender.send(str(error))


def _move_clock() -> None:
    """Set the clock of this process ahead by LATER.

    The methods of `datetime` are changed in place, because pydantic would not treat a replacement
    class as `datetime`. `date.today` and `datetime.today` call `time.time`.
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
