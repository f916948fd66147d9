"""The settings of environments.toml: one model validates them and generates the JSON schema."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import ErrorDetails

from deployer.errors import DeployerError, on_one_line
from deployer.image_references import LONGEST_NAME, NAME
from deployer.project import FILE, root
from deployer.rules import hint, job_variable_problems, name_problem, shown, variable_problems

SCHEMA = Path(__file__).with_name("schema.json")
LABEL = re.compile("[a-z0-9]+(-[a-z0-9]+)*")
FILLED = ("name_suffix", "work_queue")  # in which {label} is replaced
BRACES = f"has braces: only {{label}} is replaced, and only in {' and '.join(FILLED)}"


def _refuse(find: Callable[[Any, dict[str, Any]], str | None]) -> AfterValidator:
    """Refuse a value if `find`, called with it and the settings before it, returns a problem."""

    def check(value: Any, info: ValidationInfo) -> Any:
        if problem := find(value, info.data):
            raise ValueError(problem)
        return value

    return AfterValidator(check)


def _fixed(text: str, _: Any) -> str | None:
    return name_problem(text) or (BRACES if re.search(r"\{\w*\}", text) else None)


def _filled(text: str) -> str | None:
    return BRACES if re.search("[{}]", text.replace("{label}", "")) else None


def _suffix(text: str, _: Any) -> str | None:
    if text.endswith(".py"):
        return "ends with .py, which Prefect cuts off: choose another"
    # It follows a name, so it may be empty or begin with a space.
    return _filled(text) or (name_problem(text.lstrip(" ")) if text else None)


def _queue(text: str, before: dict[str, Any]) -> str | None:
    if "{label}" in text and "{label}" not in before.get("name_suffix", "{label}"):
        return "has {label}, so name_suffix needs it too: otherwise all previews share names"
    return name_problem(text) or _filled(text)


def _number_of_queue(_: int, before: dict[str, Any]) -> str | None:
    unnamed = before.get("work_queue", "one that is not valid") is None
    return 'needs a queue: add work_queue = "my-queue"' if unnamed else None


def _template(text: str, _: Any) -> str | None:
    if problem := _fixed(text.replace("/", ""), None):
        return problem
    path = (root() / text).resolve()
    if not path.is_relative_to(root().resolve()) or not path.is_file():
        return f"{text!r} is not a file in the project"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        return f"{text!r} is not JSON: {error}"
    return None if isinstance(content, dict) else f"{text!r} is not a JSON object"


def _image(name: str, _: Any) -> str | None:
    return None if NAME.fullmatch(name) else "is a prefix of other tags: choose another name"


def _job_variables(variables: dict[str, Any]) -> dict[str, Any]:
    if problems := [*job_variable_problems(variables)]:
        raise ValueError(*problems)
    return variables


def _variables(variables: dict[str, Any]) -> dict[str, Any]:
    problems = [each for pair in variables.items() for each in variable_problems(*pair)]
    if problems:
        raise ValueError(*problems)
    return variables


Fixed = Annotated[str, _refuse(_fixed)]
Number = Annotated[int, Field(strict=True, ge=1, lt=2**31)]  # the server stores 32 bits
QueueNumber = Annotated[Number, _refuse(_number_of_queue)]
Label = Annotated[str, Field(pattern=f"^{LABEL.pattern}$", max_length=60)]
Variable = Annotated[str, Field(pattern="^[A-Za-z_][A-Za-z0-9_]*$")]
Secrets = Annotated[dict[Label, Variable], Field(json_schema_extra={"additionalProperties": False})]
ImageName = Annotated[
    str,
    Field(pattern=f"^{LABEL.pattern}$", max_length=LONGEST_NAME),
    _refuse(_image),
]
Recipe = Annotated[str, Field(pattern=r"^\w[\w./-]*$")]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one environment: a table of environments.toml."""

    __pydantic_config__ = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    work_pool: Fixed
    """The work pool that runs the deployments."""
    work_pool_type: Fixed | None = None
    """The type that `setup` creates the work pool with, such as docker. If left out: any type."""
    base_job_template: Annotated[str, _refuse(_template)] | None = None
    """Path of a JSON file in the project, which `setup` and `deploy` write to the work pool."""
    work_pool_concurrency_limit: Number | None = None
    """How many runs the work pool may have at the same time; `setup` and `deploy` set it."""
    name_suffix: Annotated[str, _refuse(_suffix)] = ""
    """Appended to the name of every deployment; may contain {label}."""
    work_queue: Annotated[str, _refuse(_queue)] | None = None
    """The queue in the work pool; may contain {label}. If left out: Prefect's default queue."""
    work_queue_priority: QueueNumber | None = None
    """The queue's priority, 1 is served first; `setup` and `deploy` set it."""
    work_queue_concurrency_limit: QueueNumber | None = None
    """How many runs the queue may have at the same time; `setup` and `deploy` set it."""
    schedules: Literal["on", "off"] = "on"
    """With `off`, all schedules are deployed switched off."""
    job_variables: Annotated[dict[str, Any], AfterValidator(_job_variables)] = field(
        default_factory=dict
    )
    """For every deployment; an entry's own override them, in `env` variable by variable."""
    variables: Annotated[dict[str, Any], AfterValidator(_variables)] = field(default_factory=dict)
    """Values of Prefect Variables; they override those in the catalog's RESOURCES."""
    keep_releases: Number = 30
    """How many releases are kept; the one that a rollback goes to is kept in any case."""
    secrets: Secrets = field(default_factory=dict)
    """Secret block = the environment variable that `setup` fills it from."""


class File(BaseModel):
    """All of environments.toml: the project's name and a table for each environment."""

    model_config = ConfigDict(
        title="environments.toml",
        extra="allow",
        use_attribute_docstrings=True,
        json_schema_extra={"minProperties": 2, "propertyNames": {"pattern": f"^{LABEL.pattern}$"}},
    )
    __pydantic_extra__: dict[Label, Settings]

    project: Annotated[str, _refuse(lambda name, _: name_problem(name))]
    """Marks what belongs to this project on the server; the rest changes only with `--adopt`."""
    origin: Label | None = None
    """Id that distinguishes this project from others of its name; generated once, then kept."""
    images: Annotated[
        dict[ImageName, Recipe], Field(json_schema_extra={"additionalProperties": False})
    ] = {}
    """Further image = a stage of the Dockerfile, or the path of another Dockerfile."""


def validated(content: dict[str, Any]) -> File:
    """Validate the content of environments.toml and return it as the model.

    Args:
        content: the file's content as TOML.

    Raises:
        DeployerError: with everything that is wrong with it.
    """
    problems = []
    if not content.keys() - File.model_fields.keys():
        problems.append(" has no environment: add a table such as [production].")
    try:
        file = File.model_validate(content)
    except ValidationError as error:
        problems += [each for found in error.errors() for each in _sentences(found)]
    if problems:
        raise DeployerError(*(on_one_line(f"{FILE}{problem}") for problem in problems))
    return file


WANTED = {
    "dict_type": "it has to be a table",
    "greater_than_equal": "it has to be a whole number, 1 or more",
    "int_type": "it has to be a whole number, 1 or more",
    "string_type": "it has to be text",
}


def _sentences(error: ErrorDetails) -> list[str]:
    """Return an error of pydantic as sentences that follow the file's name."""
    table, *path = map(str, error["loc"])
    where = f" [{table if LABEL.fullmatch(table) else shown(table)}]"
    if table in File.model_fields:
        where, path = "", [table, *path]
    value = shown(error["input"])
    match [error["type"], *path]:
        case ["value_error", "job_variables" | "variables"]:
            found = error["ctx"]["error"].args
        case ["value_error", key]:
            found = [f"{key} {error['ctx']['error']}."]
        case [_, "images", name, "[key]"]:
            found = [
                f"image {shown(name)}: use up to {LONGEST_NAME} of a-z, 0-9 and -, but not "
                "src or worker, as in gpu."
            ]
        case [_, "images", name]:
            found = [
                f"image {shown(name)} is {value}: write a stage of the Dockerfile, or the path of "
                "a Dockerfile in the project."
            ]
        case [_, "origin"]:
            found = [f"origin is {value}: use up to 60 of a-z, 0-9 and -, as in 3f9ac2d41b7e."]
        case ["missing", key]:
            example = "my-flows" if key == "project" else "my-pool"
            found = [f'{key} is missing: put {key} = "{example}" first.']
        case ["unexpected_keyword_argument", key]:
            known = sorted(each.name for each in fields(Settings))
            helps = hint(key, known, f"known are {', '.join(known)}.")
            found = [f"there is no setting {shown(key)}; {helps}"]
        case [_, "secrets", block, "[key]"]:
            found = [f"secret block {shown(block)}: use a-z, 0-9 and -, as in api-token."]
        case [_, "secrets", block]:  # the value may be the secret itself: it is not repeated
            found = [
                f"secret {shown(block)} has to be the name of an environment variable, "
                "such as API_TOKEN, that holds the value."
            ]
        case ["dataclass_type"]:
            found = [f"it is {value}, but it has to be a table of settings."]
        case ["literal_error", key]:
            found = [f"{key} is {value}: write {error['ctx']['expected']}."]
        case [kind, key]:
            wanted = WANTED.get(kind) or error["msg"].replace("Input should", "it has to")
            found = [f"{key} is {value}, but {wanted}."]
        case _:
            found = ["its name has to be up to 60 of a-z, 0-9 and -, as in [production]."]
    return [f"{where}: {each}" for each in found]


class _Toml(GenerateJsonSchema):
    """Generates no null, because TOML has none: an optional setting is left out."""

    def nullable_schema(self, schema: Any) -> Any:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: Any) -> Any:
        inner = schema["schema"] if schema.get("default", 0) is None else None
        return self.generate_inner(inner) if inner else super().default_schema(schema)


def schema() -> str:
    """Return the JSON schema of environments.toml, as text."""
    draft = {"$schema": "http://json-schema.org/draft-07/schema#"}
    return json.dumps(draft | File.model_json_schema(schema_generator=_Toml), indent=2) + "\n"


def write_schema() -> None:
    """Write the JSON schema beside this module; editors read it."""
    SCHEMA.write_text(schema(), encoding="utf-8")
