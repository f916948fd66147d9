"""Give answers to the template, and read them back from the project it makes."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cookiecutter.main import cookiecutter
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.baking import Project

DEFAULTS = {
    "project_name": "My Prefect Flows",
    "project_slug": "my-prefect-flows",
    "description": "Prefect flows, deployed on every push.",
    "work_pool_type": "docker",
    "work_pool_name": "docker-pool",
}


def type_answers(template: Path, folder: Path, answers: Mapping[str, str]) -> Project:
    """Generate a project as if a person typed these answers.

    Cookiecutter uses typed answers as they are. It renders those of `--no-input` and of cruft as
    templates first.
    """

    def variable(name: str, default: str, *_: Any) -> str:
        return answers.get(name, default)

    def choice(name: str, options: list[str], *_: Any) -> str:
        return answers.get(name, options[0])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cookiecutter.prompt.read_user_variable", variable)
        patch.setattr("cookiecutter.prompt.read_user_choice", choice)
        path = cookiecutter(str(template), output_dir=str(folder))
    return Project(Path(path), answers)


def parse_toml(text: str) -> dict[str, Any]:
    """Return the content of a TOML file."""
    document: dict[str, Any] = tomllib.loads(text)
    return document


def plain_text(token: Token) -> str:
    """Return the text of a line of Markdown that contains no markup."""
    children = token.children or []
    assert [child.type for child in children] == ["text"], children
    return children[0].content


def assert_says(project: Project, answers: Mapping[str, str]) -> None:
    """Assert that the files of the project contain every answer unchanged."""
    assert project.path.name == answers["project_slug"]

    metadata = parse_toml(project.read("pyproject.toml"))["project"]
    assert metadata["name"] == answers["project_slug"]
    assert metadata["description"] == answers["description"]

    environments = parse_toml(project.read("deployments/environments.toml"))
    assert environments.pop("project") == answers["project_slug"]
    assert re.fullmatch("[0-9a-f]{12}", environments.pop("origin"))
    assert environments.pop("local")["work_pool"] == "local"
    assert environments.pop("local-docker")["work_pool"] == "local-docker"
    assert set(environments) == {"preview", "staging", "production"}
    for name, environment in environments.items():
        own = "-preview" if name == "preview" else ""
        assert environment["work_pool"] == answers["work_pool_name"] + own
        assert environment["work_pool_type"] == answers["work_pool_type"]

    for page in ("README.md", "README.zh-CN.md"):
        parsed = MarkdownIt("commonmark").parse(project.read(page))
        title, paragraph = [token for token in parsed if not token.nesting][:2]
        assert plain_text(title) == answers["project_name"]
        assert plain_text(paragraph) == answers["description"]
