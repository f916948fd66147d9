"""What names, job variables and environments have to be. Standard library only."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from deployer.errors import reason

LABEL = re.compile(r"(?=.{1,60}$)[a-z0-9]+(-[a-z0-9]+)*")
# Prefect refuses / % & < > in a name (prefect.types.names). A name with ? or # can be created and
# never be read, its client cannot write control characters into an address, and a lone surrogate
# is no text.
BANNED = re.compile(r"[/%&<>?#\x00-\x1f\x7f\ud800-\udfff]")
LONGEST_NAME = 255  # PostgreSQL cannot index much longer ones

# Names in job variables whose values must not be readable.
CREDENTIAL = re.compile(
    r"(?i)passw|pwd|secret|credential|auth_string|(api|access|private)_?key|token(?!iz|s)"
)
NO_CREDENTIAL = re.compile(r"(?i)_(arn|dir|file|id|name|path|ur[il])$|^GOOGLE_APPLICATION_CRED")
PASSWORD_IN_URL = re.compile(r"://[^/\s:@]*:[^/\s@]+@")
STRINGS = {"work_pool", "work_pool_type", "base_job_template", "work_queue", "name_suffix"}
NUMBERS = {"work_pool_concurrency_limit", "work_queue_concurrency_limit", "work_queue_priority"}
KEYS = STRINGS | NUMBERS | {"job_variables", "schedules", "secrets"}
FILLED = ("name_suffix", "work_queue")  # where {label} stands for the label


def name_problem(name: Any) -> str | None:
    """Say why Prefect could not create something of this name, or never find it again."""
    if not isinstance(name, str):
        return f"is {shown(name)}, but it has to be text"
    if not name.strip():
        return f"is {name!r}, but it cannot be blank"
    if found := BANNED.search(name):
        return f"is {shown(name)}: leave {found[0]!r} out, Prefect would not find it by this name"
    if name in (".", ".."):
        return f"is {name!r}, which means a folder in an address: choose another"
    if name != name.strip():
        return f"is {shown(name)}: leave the space at its start or end out"
    if len(name) > LONGEST_NAME:
        return f"is {shown(name)}, but it cannot have more than {LONGEST_NAME} characters"
    return None


def json_problems(
    where: str, value: Any, default: Callable[[Any], Any] | None = None
) -> Iterator[str]:
    """Say why a value would not arrive as it is, or differ with every deploy.

    Args:
        where: what the value is, for the sentence.
        value: what is to be sent.
        default: makes JSON of what is none, or raises.
    """
    try:
        text = json.dumps(value, allow_nan=False, default=default, ensure_ascii=False)
        text.encode()
    except Exception as error:  # a class of one's own may raise anything
        yield f"{where} cannot be sent as JSON: {reason(error)}."
    else:
        if "\\u0000" in text:
            yield f"{where} holds a NUL character, which no database keeps: remove it."


def job_variable_problems(variables: Any) -> Iterator[str]:
    """Say what is wrong with job variables: a value that is no JSON, or a readable secret."""
    if not isinstance(variables, dict):
        yield f"job_variables is {shown(variables)}, but it has to be a table."
        return
    yield from json_problems("job_variables", variables)
    env = variables.get("env")
    for name, value in env.items() if isinstance(env, dict) else ():
        if not isinstance(name, str):
            yield f"job_variables.env has {shown(name)}, but names in it have to be text."
            continue
        named = CREDENTIAL.search(name) and not NO_CREDENTIAL.search(name)
        if value and "{{" not in str(value) and (named or PASSWORD_IN_URL.search(str(value))):
            block = re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")
            yield (
                f"job_variables.env.{name} would be readable in the UI: put it into a Secret block "
                f'and write "{{{{ prefect.blocks.secret.{block} }}}}".'
            )


def shown(value: Any) -> str:
    """Return a value for a sentence: on one line, not too long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}… ({len(text)} characters)"


def hint(name: Any, known: Iterable[str], otherwise: str) -> str:
    """Return the known name that is probably meant, or another sentence that helps."""
    near = get_close_matches(str(name), known, 1)
    return f"did you mean {near[0]}?" if near else otherwise


def file_problems(data: dict[str, Any], root: Path) -> Iterator[str]:
    """Say what is wrong with the content of environments.toml, to be read after its name.

    Args:
        data: the content.
        root: the project's folder, where its files are.
    """
    if problem := name_problem(data.get("project")):
        yield f': project {problem}: put project = "my-flows" first.'
    tables = {name: table for name, table in data.items() if name != "project"}
    if not tables:
        yield " has no environment: add a table such as [production]."
    for name, table in tables.items():
        where = name if LABEL.fullmatch(name) else shown(name)
        for problem in _table_problems(name, table, root):
            yield f" [{where}]: {problem}"


def _table_problems(name: str, table: Any, root: Path) -> Iterator[str]:
    if not isinstance(table, dict):
        yield f"it is {shown(table)}, but it has to be a table of settings."
        return
    if not LABEL.fullmatch(name):
        yield "its name has to be up to 60 of a-z, 0-9 and -, as in [production]."
    if "work_pool" not in table:
        yield 'work_pool is missing: add work_pool = "my-pool".'
    for key, value in table.items():
        if key not in KEYS:
            known = f"known are {', '.join(sorted(KEYS))}."
            yield f"there is no setting {shown(key)}; {hint(key, KEYS, known)}"
        elif key in STRINGS:
            if problem := _text_problem(key, value):
                yield f"{key} {problem}."
            elif key == "base_job_template" and (problem := _template_problem(value, root)):
                yield f"{key} {value!r} {problem}."
        elif key in NUMBERS:
            if type(value) is not int or not 0 < value < 2**31:
                yield f"{key} is {shown(value)}, but it has to be a number from 1."
            if key.startswith("work_queue_") and "work_queue" not in table:
                yield f'{key} needs a queue: add work_queue = "my-queue".'
    if table.get("schedules", "on") not in ("on", "off"):
        yield f'schedules is {shown(table["schedules"])}: write "on" or "off".'
    if "{label}" in str(table.get("work_queue")) and "{label}" not in str(table.get("name_suffix")):
        yield "work_queue has {label}, so name_suffix needs it too, or all share names."
    yield from job_variable_problems(table.get("job_variables", {}))
    yield from _secret_problems(table.get("secrets", {}))


def _text_problem(key: str, value: Any) -> str | None:
    if not isinstance(value, str):
        return f"is {shown(value)}, but it has to be text"
    if key == "name_suffix" and value.endswith(".py"):
        return "ends with .py, which Prefect cuts off: choose another"
    # A file is in folders; a suffix follows a name, so it may be empty or begin with a space.
    name = {"base_job_template": value.replace("/", ""), "name_suffix": f"a{value}"}.get(key, value)
    if problem := name_problem(name):
        return problem
    rest, braces = (value.replace("{label}", ""), "[{}]") if key in FILLED else (value, r"\{\w*\}")
    if re.search(braces, rest):
        return "has braces: {label} alone is filled in, and only in " + " and ".join(FILLED)
    return None


def _template_problem(template: str, root: Path) -> str | None:
    path = (root / template).resolve()
    if not path.is_relative_to(root.resolve()) or not path.is_file():
        return "is not a file in the project"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        return f"is not JSON: {error}"
    return None if isinstance(content, dict) else "is not a JSON object"


def _secret_problems(secrets: Any) -> Iterator[str]:
    if not isinstance(secrets, dict):
        yield f"secrets is {shown(secrets)}, but it has to be a table."
        return
    for block, variable in secrets.items():
        if not LABEL.fullmatch(block):
            yield f"secret block {shown(block)}: use a-z, 0-9 and -, as in api-token."
        if not isinstance(variable, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable):
            # What stands here by mistake may be the secret itself: it is not repeated.
            yield (
                f"secret {shown(block)} has to be the name of an environment variable, "
                "such as API_TOKEN, that holds the value."
            )
