"""Where the catalog is deployed to: deployments/environments.toml. Standard library only."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from deployer.errors import DeployerError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
FILE = "deployments/environments.toml"
LABEL = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
# Prefect refuses / % & < > in a name (prefect.types.names), and cannot read back one with ? or #.
BANNED = re.compile(r"[/%&<>?#\x00-\x1f\x7f]")

# Names in job variables whose values must not be readable.
CREDENTIAL = re.compile(r"(?i)passw|secret|token|api_?key|credential|private_?key|auth_string")


@dataclass(frozen=True)
class Environment:
    """One table of environments.toml.

    Attributes:
        project: the name that marks this project's deployments on the server.
        name: the table's name, for a preview with its label: `preview-pr-7`.
        work_pool: the work pool that runs the deployments.
        work_pool_type: the type `setup` creates it with, such as `docker`; None takes any.
        base_job_template: JSON file that `setup` gives the work pool, from the project's folder.
        work_pool_concurrency_limit: runs at the same time in the pool; `setup` sets it.
        work_queue: the queue in that pool; None is Prefect's default queue.
        work_queue_priority: 1 is served first; `setup` sets it.
        work_queue_concurrency_limit: runs at the same time from the queue; `setup` sets it.
        name_suffix: appended to the name of every deployment; may hold `{name}`.
        schedules: `on`, or `off` to deploy every schedule switched off.
        job_variables: given to every deployment; an entry's own win.
        secrets: Secret block to the environment variable that `setup` fills it from.
        label: what stands for `{name}`; None in an environment that there is one of.
    """

    project: str
    name: str
    work_pool: str
    work_pool_type: str | None = None
    base_job_template: str | None = None
    work_pool_concurrency_limit: int | None = None
    work_queue: str | None = None
    work_queue_priority: int | None = None
    work_queue_concurrency_limit: int | None = None
    name_suffix: str = ""
    schedules: str = "on"
    job_variables: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    label: str | None = None

    @property
    def tags(self) -> list[str]:
        """The tags that say whose a deployment is; nothing without both is ever touched."""
        return [f"environment:{self.name}", f"project:{self.project}"]

    @property
    def key(self) -> str:
        """The name of what is recorded on the server for project and environment."""
        return re.sub(r"[^a-z0-9]+", "-", f"{self.project}-{self.name}".lower()).strip("-")


STRINGS = {"work_pool", "work_pool_type", "base_job_template", "work_queue", "name_suffix"}
NUMBERS = {f.name for f in fields(Environment) if f.type == "int | None"}
TABLES = {"job_variables", "secrets"}
KEYS = STRINGS | NUMBERS | TABLES | {"schedules"}


def load(root: Path = ROOT) -> dict[str, Environment]:
    """Read environments.toml.

    Returns:
        The environments by name, in the order of the file, which is the order of promotion.

    Raises:
        DeployerError: with everything that is wrong with the file.
    """
    try:
        data = tomllib.loads((root / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DeployerError(f"{FILE} does not exist in {root}: restore it.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DeployerError(f"{FILE} is not valid TOML: {error}.") from None
    problems = []
    project = data.pop("project", None)
    if not isinstance(project, str) or not re.search("[a-z0-9]", project.lower()):
        problems.append(
            f"{FILE}: project is {project!r}, but it has to name this project: "
            'put project = "my-flows" first.'
        )
    if not data:
        problems.append(f"{FILE} has no environment: add a table such as [production].")
    for name, table in data.items():
        problems += _problems(name, table, root)
    if problems:
        raise DeployerError(*problems)
    return {name: Environment(project, name, **table) for name, table in data.items()}


def select(environments: dict[str, Environment], name: str, label: str | None) -> Environment:
    """Pick one environment and fill `{name}` in.

    Args:
        environments: what `load` returned.
        name: the environment.
        label: what `{name}` stands for, such as `pr-7`; None where nothing asks for it.

    Raises:
        DeployerError: there is no such environment, or the label is missing or not needed.
    """
    if name not in environments:
        known = ", ".join(environments)
        raise DeployerError(f"There is no environment {name!r} in {FILE}: choose one of {known}.")
    chosen = environments[name]
    wants_label = "{name}" in chosen.name_suffix + (chosen.work_queue or "")
    if wants_label != (label is not None):
        need = "needs" if wants_label else "takes no"
        hint = f"add --name pr-7 to {name}" if wants_label else "leave --name out"
        raise DeployerError(f"The environment {name!r} {need} --name: {hint}.")
    if label is None:
        return chosen
    if not LABEL.fullmatch(label) or len(label) > 40:
        raise DeployerError(
            f"--name {label!r} is not a label: use up to 40 of a-z, 0-9 and -, such as pr-7."
        )
    filled = {
        key: value.replace("{name}", label)
        for key in ("name_suffix", "work_queue")
        if (value := getattr(chosen, key)) is not None
    }
    values = {f.name: getattr(chosen, f.name) for f in fields(chosen)}
    return Environment(**{**values, **filled, "name": f"{name}-{label}", "label": label})


def _problems(name: str, table: Any, root: Path) -> list[str]:
    where = f"{FILE} [{name}]"
    if not isinstance(table, dict):
        return [f"{FILE}: {name} is {table!r}, but it has to be a table: write [{name}]."]
    problems = []
    if not LABEL.fullmatch(name):
        problems.append(
            f"{where}: use lower-case letters, digits and - in the name, as in [production]."
        )
    for key in table.keys() - KEYS:
        near = get_close_matches(key, KEYS, 1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(KEYS))}."
        problems.append(f"{where}: there is no setting {key!r}; {hint}")
    if "work_pool" not in table:
        problems.append(f'{where}: work_pool is missing: add work_pool = "my-pool".')
    for key in STRINGS & table.keys():
        value = table[key]
        if not isinstance(value, str) or (not value and key != "name_suffix"):
            problems.append(f"{where}: {key} is {value!r}, but it has to be text.")
        elif key != "base_job_template" and BANNED.search(value):
            problems.append(f"{where}: {key} is {value!r}, but / % & < > ? # cannot be in a name.")
    for key in NUMBERS & table.keys():
        value = table[key]
        if type(value) is not int or value < 1:
            problems.append(f"{where}: {key} is {value!r}, but it has to be a number from 1.")
    if table.get("schedules", "on") not in ("on", "off"):
        problems.append(f'{where}: schedules is {table["schedules"]!r}: write "on" or "off".')
    for key in TABLES & table.keys():
        if not isinstance(table[key], dict):
            problems.append(f"{where}: {key} is {table[key]!r}, but it has to be a table.")
    secrets = table.get("secrets")
    for block, variable in secrets.items() if isinstance(secrets, dict) else ():
        if not LABEL.fullmatch(block):
            problems.append(
                f"{where}: secret block {block!r}: use a-z, 0-9 and -, as in api-token."
            )
        if not isinstance(variable, str) or not re.fullmatch(r"[A-Za-z_]\w*", variable):
            problems.append(
                f"{where}: secret {block!r} is {variable!r}, but it has to be "
                "the name of an environment variable, such as API_TOKEN."
            )
    template = table.get("base_job_template")
    if isinstance(template, str) and not (root / template).is_file():
        problems.append(f"{where}: base_job_template {template!r} is not a file in the project.")
    return problems
