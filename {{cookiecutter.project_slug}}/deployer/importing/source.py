"""Write values as Python source, formatted as `ruff format` does. Pure functions.

Supported values: JSON, sets, enums, datetimes, timedeltas, flows, and calls.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from itertools import groupby
from typing import Any

from prefect import Flow
from rich.cells import cell_len

WIDTH = 100  # characters per line, as in pyproject.toml
STEP = "    "


@dataclass(frozen=True)
class Call:
    """A call to write: the function, its positional arguments and its keyword arguments."""

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    def __call__(self) -> Any:
        """Make the call and return its result."""
        return self.function(*self.args, **{k: _called(each) for k, each in self.options.items()})


def _called(value: Any) -> Any:
    if isinstance(value, list):
        return [_called(each) for each in value]
    return value() if isinstance(value, Call) else value


class Imports:
    """The imports of the text, as `from MODULE import NAME`; a name that is taken gets an alias."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[str, str]] = {}  # module and name, by the name in the text

    def thing(self, thing: Any) -> str:
        """Import a function or a class from its public module; return its name in the text."""
        module, name = thing.__module__, thing.__name__
        if module.startswith("prefect.events.") and hasattr(sys.modules["prefect.events"], name):
            module = "prefect.events"
        return self.name("deployer" if module == "deployer.catalog" else module, name)

    def name(self, module: str, name: str) -> str:
        """Import a name of a module; return its name in the text."""
        alias = name
        if self._found.get(name, (module, name)) != (module, name):
            alias = f"{module.removeprefix('flows.')}.{name}".replace(".", "_")
        self._found[alias] = (module, name)
        return alias

    def __str__(self) -> str:
        """Return the lines in isort's order: standard library, packages, the project's modules."""
        parts: tuple[list[str], ...] = ([], [], [])
        found = self._found.items()
        rows = [(module, alias != name, name, alias) for alias, (module, name) in found]
        for (module, renamed), same in groupby(sorted(rows, key=_order), lambda row: row[:2]):
            top = module.split(".")[0]
            part = parts[0 if top in sys.stdlib_module_names else 1 if top == "prefect" else 2]
            names = [name if name == alias else f"{name} as {alias}" for *_, name, alias in same]
            line = f"from {module} import {', '.join(names)}"
            if renamed:
                part += [f"from {module} import {each}" for each in names]
            elif cell_len(line) <= WIDTH:
                part.append(line)
            else:
                part += [f"from {module} import (", *(f"{STEP}{each}," for each in names), ")"]
        return "\n\n".join("\n".join(part) for part in parts if part)


def _order(row: tuple[str, bool, str, str]) -> tuple[Any, ...]:
    """Return isort's order: constants, classes and the rest; flow2 before flow10."""
    module, renamed, name, _ = row
    kind = 0 if len(name) > 1 and name.isupper() else 1 if name[0].isupper() else 2
    numbers = [re.split(r"(\d+)", each.lower()) for each in (module, name)]
    keys = [[int(part) if part.isdecimal() else part for part in parts] for parts in numbers]
    return keys[0], renamed, kind, keys[1], name


def source(value: Any, imports: Imports, indent: str = "", label: str = "", end: str = "") -> str:
    """Return a value as Python text.

    Args:
        value: what to write.
        imports: collects the imports that the text needs.
        indent: before each line.
        label: before the value, on its first line.
        end: after the value.
    """
    head, items, tail = _parts(value, imports)
    whole = f"{indent}{label}{_flat(head, items, tail, imports)}{end}"
    inner = indent + STEP
    if cell_len(whole) <= WIDTH:
        return whole
    if type(value) is str:
        head, tail = "(", ")"
        lines = [inner + quoted(piece) for piece in _pieces(value, WIDTH - len(inner))]
    elif items:
        lines = [source(each, imports, inner, name, ",") for name, each in items]
    else:
        return whole
    return "\n".join([f"{indent}{label}{head}", *lines, f"{indent}{tail}{end}"])


def _flat(head: str, items: list[tuple[str, Any]], tail: str, imports: Imports) -> str:
    """Return a value's parts on one line."""
    texts = [name + _flat(*_parts(each, imports), imports) for name, each in items]
    return head + ", ".join(texts) + tail


def _parts(value: Any, imports: Imports) -> tuple[str, list[tuple[str, Any]], str]:
    """Return the opening of a value, its items with their names, and its closing."""
    match value:
        case Call():
            named = [(f"{name}=", each) for name, each in value.options.items()]
            return f"{imports.thing(value.function)}(", [("", a) for a in value.args] + named, ")"
        case dict():
            return "{", [(f"{quoted(name)}: ", each) for name, each in value.items()], "}"
        case list():
            return "[", [("", each) for each in value], "]"
        case set():
            return "{", [("", each) for each in sorted(value)], "}"
        case datetime():
            numbers = [*value.timetuple()[:6]]
            while len(numbers) > 3 and not numbers[-1]:
                numbers.pop()
            utc = [("tzinfo=", UTC)]
            return f"{imports.thing(datetime)}(", [("", each) for each in numbers] + utc, ")"
        case timedelta():
            return f"{imports.thing(timedelta)}(", [("seconds=", whole(value.total_seconds()))], ")"
        case Enum():
            return f"{imports.thing(type(value))}.{value.name}", [], ""
        case Flow():
            return imports.thing(value.fn), [], ""
        case str():
            return quoted(value), [], ""
    return imports.name("datetime", "UTC") if value is UTC else repr(value), [], ""


def whole(number: float) -> float:
    """Return a float without a fraction as an int, which is written without a point."""
    return int(number) if number == int(number) else number


def quoted(text: str) -> str:
    """Return a string in double quotes, or in single ones if that needs fewer backslashes."""
    shown = repr(text)
    if shown[0] == '"' or text.count('"') > text.count("'"):
        return shown
    return '"' + shown[1:-1].replace("\\'", "'").replace('"', '\\"') + '"'


def _pieces(text: str, room: int) -> Iterator[str]:
    """Split a text that is too long for `room`, after line breaks and spaces if there are any."""
    piece = ""
    if cell_len(quoted(text)) <= room:
        return (yield text)
    for word in re.findall(r"\S{1,60}\s?|\s", text):
        if piece.endswith("\n") or (piece and cell_len(quoted(piece + word)) > room):
            yield piece
            piece = ""
        piece += word
    yield piece
