"""Rules for names, job variables and other values in the catalog and in environments.toml."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from typing import Any

from deployer import credentials
from deployer.errors import reason

# Prefect refuses / % & < > in a name (prefect.types.names). A name with ? or # can be created but
# not read by name, Prefect's client cannot put control characters into a URL, and a lone surrogate
# cannot be encoded.
BANNED = re.compile(r"[/%&<>?#\x00-\x1f\x7f\ud800-\udfff]")
LONGEST_NAME = 255  # PostgreSQL cannot index much longer ones
LONGEST_VALUE = 5000  # bytes of JSON that Prefect accepts as a Variable's value


def name_problem(name: Any) -> str | None:
    """Return why Prefect cannot create something of this name, or find it again by the name."""
    if not isinstance(name, str):
        return f"is {shown(name)}, but it has to be text"
    if not name.strip():
        return f"is {name!r}, but it cannot be blank"
    if found := BANNED.search(name):
        return f"is {shown(name)}: leave {found[0]!r} out, Prefect cannot look up such a name"
    if name in (".", ".."):
        return f"is {name!r}, which means a folder in a URL: choose another name"
    if name != name.strip():
        return f"is {shown(name)}: leave the space at its start or end out"
    if len(name) > LONGEST_NAME:
        return f"is {shown(name)}, but it cannot have more than {LONGEST_NAME} characters"
    return None


def json_problems(
    where: str, value: Any, default: Callable[[Any], Any] | None = None
) -> Iterator[str]:
    """Yield why a value cannot be sent to the server as JSON and stored there.

    Args:
        where: what the value is, for the sentence.
        value: the value to send.
        default: converts what is not JSON, or raises, as for `json.dumps`.
    """
    try:
        text = json.dumps(value, allow_nan=False, default=default, ensure_ascii=False)
        text.encode()
    except Exception as error:  # a class of one's own may raise anything
        yield f"{where} cannot be sent as JSON: {reason(error)}."
    else:
        if "\\u0000" in text:
            yield f"{where} holds a NUL character, which no database can store: remove it."


def job_variable_problems(variables: Any) -> Iterator[str]:
    """Yield what is wrong with job variables: not JSON, an image, or a secret in plain text."""
    if not isinstance(variables, dict):
        yield f"job_variables is {shown(variables)}, but it has to be a table."
        return
    if problems := [*json_problems("job_variables", variables)]:
        yield from problems
        return
    if "image" in variables:
        yield (
            "job_variables.image would be overwritten, because deployments run the image that was "
            "built and checked: leave it out, and give the image with --image, or name one of "
            "[images] in the entry."
        )
    env = variables.get("env")
    for name in env if isinstance(env, dict) else ():
        if not isinstance(name, str):
            yield f"job_variables.env has {shown(name)}, but names in it have to be text."
    for path in credentials.find_credentials(variables, "job_variables"):
        yield readable(
            path, f'write "{{{{ prefect.blocks.secret.{credentials.block_name(path)} }}}}"'
        )


def readable(path: str, instead: str) -> str:
    """Return a sentence that a credential here would be readable, and what to do instead."""
    return (
        f"{path} would be readable in the UI and in every release: "
        f"put it into a Secret block and {instead}."
    )


def variable_name_problem(name: str) -> str | None:
    """Return why Prefect refuses this name of a Variable."""
    if re.fullmatch(f"[a-z0-9_-]{{1,{LONGEST_NAME}}}", name):
        return None
    return f"the Variable's name {shown(name)} has to be up to {LONGEST_NAME} of a-z, 0-9, _ and -"


def variable_problems(name: str, value: Any) -> Iterator[str]:
    """Yield what is wrong with a Variable: its name, a value that is not JSON, a secret in it."""
    if problem := variable_name_problem(name):
        yield f"{problem}."
    yield from json_problems(f"the Variable {name}", value)
    if len(json.dumps(value, default=str, ensure_ascii=False).encode()) > LONGEST_VALUE:
        yield f"the Variable {name} has more than {LONGEST_VALUE} bytes, which Prefect refuses."
    if any(credentials.find_credentials({name: value})):
        yield readable(f"the Variable {name}", "load that in the flow")


def shown(value: Any) -> str:
    """Return a value as text for a message: on one line, not too long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}… ({len(text)} characters)"


def hint(name: Any, known: Iterable[str], fallback: str) -> str:
    """Ask whether the most similar known name was meant; return the fallback if none is similar."""
    near = get_close_matches(str(name), known, 1)
    return f"did you mean {near[0]}?" if near else fallback
