"""Refuse invalid answers before any file is written.

Why a hook: cookiecutter does not validate answers, and a bad one would only show up later, as a
TOML file that does not parse or a work pool that Prefect refuses. All bad answers are reported
together. cruft runs this again on each update, so nothing here depends on where it runs.

Cookiecutter makes the project's folder before it runs this hook, and removes that one folder when
the hook fails. A slug such as `a/b` or 300 letters would leave a folder behind or stop
cookiecutter with a traceback, so cookiecutter.json keeps the answer in `__project_slug` and puts
a harmless name in its place.
"""

# Cookiecutter renders this file. It leaves the raw part unchanged, braces included, so that tests
# can import the file as it is.
# {% raw %}
import json
import keyword
import re
import sys

SLUG_LIMIT = 50
SLUG = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
FOLDERS = {"deployer", "deployments", "docs", "flows", "tests", "tools"}
MEANS_SOMETHING_ELSE = {"docker", "local", "test"}
# A project with the name of one of its dependencies depends on itself, which Poetry refuses.
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
# Not allowed in answers: cruft renders the answers again on every update.
JINJA = ("{{", "}}", "{%", "%}", "{#", "#}")


def shown(value: str) -> str:
    """Return a value for a message: quoted, on one line and shortened if it is long."""
    return repr(value) if len(value) <= 60 else f"{value[:50]!r}... ({len(value)} characters)"


def check_text(value: str, limit: int) -> str | None:
    """Return which rule for a line of text this value breaks, or None."""
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
    """Return what is wrong with this title of the project, or None."""
    return check_text(value, limit=80)


def check_description(value: str) -> str | None:
    """Return what is wrong with this description of the project, or None."""
    return check_text(value, limit=200)


def check_project_slug(value: str) -> str | None:
    """Return why this cannot be the name of the folder, package and image, or None."""
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
        return "it must not be a keyword or a standard library module of Python"
    if name in MEANS_SOMETHING_ELSE:
        return "it must not be a name that Python, Docker or the deployer uses for something else"
    return None


def check_work_pool_type(value: str) -> str | None:
    """Return what is wrong with this type of work pool, or None."""
    if value not in WORK_POOL_TYPES:
        return f"it must be {' or '.join(WORK_POOL_TYPES)}"
    return None


def check_work_pool_name(value: str) -> str | None:
    """Return why Prefect or the project cannot use this name for a work pool, or None."""
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


# Each question with its check and an example of a valid answer.
QUESTIONS = {
    "project_name": (check_project_name, "Sales Reports"),
    "project_slug": (check_project_slug, "sales-reports"),
    "description": (check_description, "Collects the sales of the day."),
    "work_pool_type": (check_work_pool_type, "docker"),
    "work_pool_name": (check_work_pool_name, "docker-pool"),
}


def errors(answers: dict[str, str]) -> list[str]:
    """Return a sentence for each bad answer: the value, the rule, a valid example."""
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
    # In a raw triple-quoted string, JSON's quotes and backslashes need no escape.
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
