"""Refuse answers that no project can be made of, before a file is written.

Why a hook: cookiecutter has no rules for answers, and a bad one would only show up later, as a
TOML file that does not parse or a work pool that Prefect refuses. Every bad answer is named at
once. cruft runs this again on each update, so nothing here depends on where it runs.

Cookiecutter makes the project's folder before it runs this hook, and removes that one folder when
the hook fails. A slug such as `a/b` or 300 letters would leave a folder behind or stop
cookiecutter with a traceback, so cookiecutter.json keeps the answer in `__project_slug` and puts
a harmless name in its place.
"""

# Cookiecutter renders this file. In the raw part braces are plain Python, so that tests can import
# the file as it is.
# {% raw %}
import json
import keyword
import re
import sys

SLUG_LIMIT = 50
SLUG = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
FOLDERS = {"deployer", "deployments", "docs", "flows", "tests", "tools"}
MEANS_SOMETHING_ELSE = {"docker", "local", "test"}
# A project that is called like one of its dependencies depends on itself, which Poetry refuses.
DEPENDENCIES = {
    "cyclopts",
    "dumb-init",
    "filelock",
    "httpx",
    "mypy",
    "nox",
    "pre-commit",
    "prefect",
    "prefect-dask",
    "prefect-docker",
    "prefect-ray",
    "prefect-redis",
    "psutil",
    "pytest",
    "rich",
    "ruff",
    "types-psutil",
}
WORK_POOL_TYPES = ("docker", "kubernetes")
# cruft renders the answers again with every update.
JINJA = ("{{", "}}", "{%", "%}", "{#", "#}")


def shown(value: str) -> str:
    """Return a value for a message: in quotes, on one line, not too long."""
    return repr(value) if len(value) <= 60 else f"{value[:50]!r}... ({len(value)} characters)"


def check_text(value: str, limit: int) -> str | None:
    """Say which rule for a line of text this value breaks."""
    if not value.strip():
        return "it must not be empty"
    if not value.isprintable():
        return "it must be one line of printable characters"
    if value != value.strip():
        return "it must not begin or end with a space"
    if any(mark in value for mark in JINJA):
        return f"it must not contain {' '.join(JINJA)}, which Jinja would take for a template"
    if len(value) > limit:
        return f"it must not be longer than {limit} characters"
    return None


def check_project_name(value: str) -> str | None:
    """Say what is wrong with this title of the project."""
    return check_text(value, limit=80)


def check_description(value: str) -> str | None:
    """Say what is wrong with this description of the project."""
    return check_text(value, limit=200)


def check_project_slug(value: str) -> str | None:
    """Say why no folder, package and image can have this name."""
    if not SLUG.fullmatch(value):
        return (
            "it must begin with a lower-case letter and go on with lower-case letters and digits, "
            "with single - or _ between them"
        )
    if len(value) > SLUG_LIMIT:
        return f"it must not be longer than {SLUG_LIMIT} characters"
    name = value.replace("-", "_")
    if name in FOLDERS:
        return "it must not be the name of a folder of the project"
    if name in {dependency.replace("-", "_") for dependency in DEPENDENCIES}:
        return "it must not be the name of a package that the project depends on"
    if keyword.iskeyword(name) or name in sys.stdlib_module_names:
        return "it must not be a word or a standard module of Python"
    if name in MEANS_SOMETHING_ELSE:
        return "it must not be a name that means something else to Python, Docker or the deployer"
    return None


def check_work_pool_type(value: str) -> str | None:
    """Say what is wrong with this type of work pool."""
    if value not in WORK_POOL_TYPES:
        return f"it must be {' or '.join(WORK_POOL_TYPES)}"
    return None


def check_work_pool_name(value: str) -> str | None:
    """Say why Prefect or the project cannot have a work pool of this name."""
    if not value:
        return "it must not be empty"
    if not (value[0].isalnum() and value[-1].isalnum()):
        return "it must begin and end with a letter or a digit"
    if not all(character.isalnum() or character in " ._-" for character in value):
        return "it may contain letters, digits, spaces and . _ - only"
    if value.lower().startswith("prefect"):
        return 'it must not begin with "prefect", which Prefect keeps for itself'
    if value.lower() == "local":
        return "it must not be the name of the laptop's own work pool in environments.toml"
    if len(value) > 100:
        return "it must not be longer than 100 characters"
    return None


# Each question with its rules and an answer that follows them.
QUESTIONS = {
    "project_name": (check_project_name, "Sales Reports"),
    "project_slug": (check_project_slug, "sales-reports"),
    "description": (check_description, "Collects the sales of the day."),
    "work_pool_type": (check_work_pool_type, "docker"),
    "work_pool_name": (check_work_pool_name, "docker-pool"),
}


def errors(answers: dict[str, str]) -> list[str]:
    """Return a sentence for each bad answer: the value, the rule, a good example."""
    return [
        f"{question} is {shown(answers[question])}: {problem}, for example {example!r}."
        for question, (check, example) in QUESTIONS.items()
        if (problem := check(answers[question])) is not None
    ]


def main(answers: dict[str, str]) -> int:
    """Print what is wrong with the answers; return the exit code."""
    found = errors(answers)
    for error in found:
        print(error, file=sys.stderr)
    return 1 if found else 0


# {% endraw %}
if __name__ == "__main__":
    # On a line of their own in a raw string, JSON's quotes and backslashes need no escape.
    ANSWERS = r"""
{{ {
    "project_name": cookiecutter.project_name,
    "project_slug": cookiecutter.__project_slug,
    "description": cookiecutter.description,
    "work_pool_type": cookiecutter.work_pool_type,
    "work_pool_name": cookiecutter.work_pool_name,
} | tojson }}
"""
    sys.exit(main(json.loads(ANSWERS)))
