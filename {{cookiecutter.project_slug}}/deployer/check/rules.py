"""What names, job variables and environments have to be. Standard library only."""

from __future__ import annotations

import json
import re
from difflib import get_close_matches
from pathlib import Path
from typing import Any

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
FILLED = ("name_suffix", "work_queue")  # where {name} stands for the label


def name_problem(name: Any) -> str | None:
    """Say why Prefect could not create something of this name, or never find it again."""
    if not isinstance(name, str):
        return f"is {name!r}, but it has to be text"
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


def job_variable_problems(variables: Any) -> list[str]:
    """Return what is wrong with job variables: a value that is no JSON, or a readable secret."""
    if not isinstance(variables, dict):
        return [f"job_variables is {shown(variables)}, but it has to be a table."]
    try:
        text = json.dumps(variables, allow_nan=False)
    except (TypeError, ValueError) as error:
        return [f"job_variables cannot be sent as JSON: {error}."]
    problems = []
    if "\\u0000" in text:
        problems.append("job_variables holds a NUL character, which no database keeps: remove it.")
    env = variables.get("env")
    for name, value in env.items() if isinstance(env, dict) else ():
        named = CREDENTIAL.search(name) and not NO_CREDENTIAL.search(name)
        if value and "{{" not in str(value) and (named or PASSWORD_IN_URL.search(str(value))):
            block = re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")
            problems.append(
                f"job_variables.env.{name} would be readable in the UI: put it into a Secret block "
                f'and write "{{{{ prefect.blocks.secret.{block} }}}}".'
            )
    return problems


def shown(value: Any) -> str:
    """Return a value for a sentence: on one line, not too long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}… ({len(text)} characters)"


def file_problems(data: dict[str, Any], root: Path) -> list[str]:
    """Return what is wrong with the content of environments.toml, to be read after its name.

    Args:
        data: the content.
        root: the project's folder, where its files are.
    """
    problems = []
    if problem := name_problem(data.get("project")):
        problems.append(f': project {problem}: put project = "my-flows" first.')
    tables = {name: table for name, table in data.items() if name != "project"}
    if not tables:
        problems.append(" has no environment: add a table such as [production].")
    for name, table in tables.items():
        where = name if LABEL.fullmatch(name) else shown(name)
        problems += [f" [{where}]: {problem}" for problem in _table_problems(name, table, root)]
    return problems


def _table_problems(name: str, table: Any, root: Path) -> list[str]:
    if not isinstance(table, dict):
        return [f"it is {shown(table)}, but it has to be a table of settings."]
    problems = []
    if not LABEL.fullmatch(name):
        problems.append("its name has to be up to 60 of a-z, 0-9 and -, as in [production].")
    for key in [key for key in table if key not in KEYS]:
        near = get_close_matches(key, KEYS, 1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(KEYS))}."
        problems.append(f"there is no setting {shown(key)}; {hint}")
    if "work_pool" not in table:
        problems.append('work_pool is missing: add work_pool = "my-pool".')
    for key in [key for key in table if key in STRINGS]:
        problems += [f"{key} {problem}." for problem in _text_problems(key, table[key])]
    for key in [key for key in table if key in NUMBERS]:
        value = table[key]
        if type(value) is not int or not 0 < value < 2**31:
            problems.append(f"{key} is {shown(value)}, but it has to be a number from 1.")
        if key.startswith("work_queue_") and "work_queue" not in table:
            problems.append(f'{key} needs a queue: add work_queue = "my-queue".')
    if table.get("schedules", "on") not in ("on", "off"):
        problems.append(f'schedules is {shown(table["schedules"])}: write "on" or "off".')
    if "{name}" in str(table.get("work_queue")) and "{name}" not in str(table.get("name_suffix")):
        problems.append("work_queue has {name}, so name_suffix needs it too, or all share names.")
    problems += job_variable_problems(table.get("job_variables", {}))
    problems += _secret_problems(table.get("secrets", {}))
    return problems + _template_problems(table.get("base_job_template"), root)


def _text_problems(key: str, value: Any) -> list[str]:
    if not isinstance(value, str):
        return [f"is {shown(value)}, but it has to be text"]
    if key == "base_job_template":
        problem = name_problem(value.replace("/", ""))
    elif key == "name_suffix":  # it follows a name, so it may be empty or begin with a space
        problem = name_problem(f"a{value}")
        if value.endswith(".py"):
            problem = "ends with .py, which Prefect cuts off: choose another"
    else:
        problem = name_problem(value)
    rest = value.replace("{name}", "") if key in FILLED else value
    if not problem and re.search(r"\{\w*\}" if key not in FILLED else "[{}]", rest):
        problem = "has braces: {name} alone is filled in, and only in " + " and ".join(FILLED)
    return [problem] if problem else []


def _secret_problems(secrets: Any) -> list[str]:
    if not isinstance(secrets, dict):
        return [f"secrets is {shown(secrets)}, but it has to be a table."]
    problems = []
    for block, variable in secrets.items():
        if not LABEL.fullmatch(block):
            problems.append(f"secret block {shown(block)}: use a-z, 0-9 and -, as in api-token.")
        if not isinstance(variable, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable):
            # What stands here by mistake may be the secret itself: it is not repeated.
            problems.append(
                f"secret {shown(block)} has to be the name of an environment variable, "
                "such as API_TOKEN, that holds the value."
            )
    return problems


def _template_problems(template: Any, root: Path) -> list[str]:
    if not isinstance(template, str) or _text_problems("base_job_template", template):
        return []  # that is said already
    path = (root / template).resolve()
    if not path.is_relative_to(root.resolve()) or not path.is_file():
        return [f"base_job_template {template!r} is not a file in the project."]
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        return [f"base_job_template {template!r} is not JSON: {error}."]
    if not isinstance(content, dict):
        return [f"base_job_template {template!r} is not a JSON object."]
    return []
