"""The JSON schema for editors agrees with the deployer's checks, and the project is found."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from deployer.environment import settings
from deployer.project import FILE
from jsonschema import Draft7Validator

from tests.baking import Project, bake_into
from tests.deployer.test_bad_input import BAD_ENVIRONMENTS

SCHEMA = "deployer/environment/schema.json"
# Errors that only the deployer finds: rules for names, files, and combinations of settings.
UNSEEN = {
    "an image in job variables",
    *("a blank project", "a project with a line", "a queue without a name", "a queue with a slash"),
    *("a suffix with a hash", "a suffix like a file", "a suffix that ends in a space"),
    *("a wrong placeholder", "half a placeholder", "a placeholder in the pool"),
    *("a queue for each and one name for all", "a priority of no queue"),
    *("a date in job variables", "no number in job variables", "a NUL in job variables"),
    *("a readable credential", "a template that is not there", "a template outside"),
    *("an origin alone", "an image called src"),
    *("a template at an absolute path", "a template that is no JSON", "a template that is a list"),
}


@pytest.fixture(scope="module")
def project(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return bake_into(tmp_path_factory.mktemp("environments"), template)


def problems(project: Project, content: dict[str, Any]) -> list[str]:
    """Return the errors that an editor shows for a file."""
    validator = Draft7Validator(json.loads(project.read(SCHEMA)))
    return [each.message for each in validator.iter_errors(content)]


def test_the_schema_in_the_repository_is_the_models(project: Project) -> None:
    assert settings.schema() == project.read(SCHEMA), "update it with `settings.write_schema()`"
    Draft7Validator.check_schema(json.loads(project.read(SCHEMA)))


def test_every_setting_is_explained_in_the_schema(project: Project) -> None:
    schema = json.loads(project.read(SCHEMA))

    explained = {**schema["properties"], **schema["$defs"]["Settings"]["properties"]}
    assert len(explained) == 16
    assert explained["keep_releases"]["default"] == 30
    assert [name for name, each in explained.items() if not each.get("description")] == []


@pytest.mark.parametrize("kind", ["docker", "kubernetes"])
def test_the_file_of_a_new_project_fits_the_schema_that_it_names(
    template: Path, tmp_path: Path, kind: str
) -> None:
    project = bake_into(tmp_path, template, work_pool_type=kind)
    text = project.read(FILE)

    named = text.splitlines()[0].removeprefix("#:schema ")
    assert (project.path / FILE).parent.joinpath(named).resolve() == project.path / SCHEMA
    assert problems(project, tomllib.loads(text)) == []


@pytest.mark.parametrize("case", BAD_ENVIRONMENTS)
def test_an_editor_finds_what_is_wrong_with_the_shape_of_a_bad_file(
    project: Project, case: str
) -> None:
    content, _ = BAD_ENVIRONMENTS[case]
    try:
        parsed = tomllib.loads(content if isinstance(content, str) else content.decode())
    except (ValueError, RecursionError):
        return  # editors report this without a schema

    assert bool(problems(project, parsed)) == (case not in UNSEEN)


def ask(
    folder: Path, *paths: Path, words: tuple[str, ...] = ("environments",)
) -> subprocess.CompletedProcess[str]:
    """Run a command of the deployer in a folder, with these paths first in sys.path."""
    code = f"import sys; sys.path[:0] = {[*map(str, paths)]}; from deployer.cli import main\n"
    return subprocess.run(
        [sys.executable, "-I", "-c", f"{code}sys.exit(main({[*words]}))"],
        cwd=folder,
        env={"PREFECT_HOME": str(folder / ".prefect"), "DO_NOT_TRACK": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def other(project: Project, tmp_path: Path) -> Path:
    """A second project, with one environment and one deployment."""
    folder = tmp_path / "other"
    shutil.copytree(project.path, folder)
    (folder / FILE).write_text('project = "other"\n[elsewhere]\nwork_pool = "pool"\n')
    (folder / "deployments/catalog.py").write_text(
        "from deployer import Deployment\nfrom flows.basic_flow import basic_data_flow\n\n"
        'CATALOG = [Deployment(basic_data_flow, name="only")]\n'
    )
    return folder


@pytest.mark.parametrize("folder", [".", "flows", "flows/data"])
def test_the_project_is_found_from_its_folders(project: Project, folder: str) -> None:
    done = ask(project.path / folder, project.path)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["local", "local-docker", "preview", "staging", "production"]


def test_from_elsewhere_it_is_the_one_that_the_deployer_is_in(
    project: Project, tmp_path: Path
) -> None:
    """In the image, flow runs start in /work, but the project is in /app."""
    done = ask(tmp_path, project.path)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["local", "local-docker", "preview", "staging", "production"]


def test_of_two_projects_it_is_the_nearest_with_its_own_catalog(
    project: Project, other: Path
) -> None:
    """The deployer may belong to another project, or be installed."""
    for paths in ([project.path], [project.path, other]):
        assert ask(other / "flows", *paths).stdout.split() == ["elsewhere"]
        checked = ask(other / "flows", *paths, words=("check",))
        assert checked.stdout == "1 deployment and 1 environment are fine.\n", checked.stderr


def test_where_there_is_no_project_a_sentence_says_where_it_was_looked_for(
    project: Project, tmp_path: Path
) -> None:
    shutil.copytree(project.path / "deployer", tmp_path / "packages/deployer")
    (tmp_path / "here").mkdir()

    done = ask(tmp_path / "here", tmp_path / "packages")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {FILE} cannot be read: ")
    assert f"none in {tmp_path / 'here'} or" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_help_does_not_wait_for_the_model(project: Project) -> None:
    done = project.run("python", "-X", "importtime", "-m", "deployer", "--help")

    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "deployer.cli" in imported
    assert "pydantic" not in imported
