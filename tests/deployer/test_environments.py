"""The schema that editors read knows what the deployer knows, and the project is found."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from deployer import settings
from deployer.project import FILE
from jsonschema import Draft7Validator

from tests.baking import Project, bake_into
from tests.deployer.test_bad_input import BAD_ENVIRONMENTS

SCHEMA = "deployer/environments.schema.json"
# What only the deployer can see: other files, the server's rules, two settings at a time.
UNSEEN = re.compile(
    "template|name|suffix|queue (with|for)|braces|placeholder|priority|in job var|credential|line"
    "|blank project"
)


@pytest.fixture(scope="module")
def project(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return bake_into(tmp_path_factory.mktemp("environments"), template)


def problems(project: Project, content: dict[str, Any]) -> list[str]:
    """Return what an editor finds wrong with a file."""
    validator = Draft7Validator(json.loads(project.read(SCHEMA)))
    return [each.message for each in validator.iter_errors(content)]


def test_the_schema_in_the_repository_is_the_models(project: Project) -> None:
    assert settings.schema() == project.read(SCHEMA), "run `python -m deployer.settings`"
    Draft7Validator.check_schema(json.loads(project.read(SCHEMA)))


def test_every_setting_is_explained_in_the_schema(project: Project) -> None:
    schema = json.loads(project.read(SCHEMA))

    explained = {**schema["properties"], **schema["$defs"]["Settings"]["properties"]}
    assert len(explained) == 12
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


def shape() -> dict[str, dict[str, Any]]:
    """Return the bad examples that are TOML and whose mistake is one of shape."""
    found = {}
    for case, (content, _) in BAD_ENVIRONMENTS.items():
        try:
            assert isinstance(content, str)
            parsed = tomllib.loads(content)
        except (AssertionError, ValueError, RecursionError):
            continue
        if not UNSEEN.search(case):
            found[case] = parsed
    return found


@pytest.mark.parametrize("case", shape())
def test_an_editor_finds_what_is_wrong_with_a_bad_file(project: Project, case: str) -> None:
    assert problems(project, shape()[case])


def ask(
    folder: Path, *paths: Path, words: tuple[str, ...] = ("environments",)
) -> subprocess.CompletedProcess[str]:
    """Run a command of the deployer in a folder, its modules looked for in these paths."""
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
    assert done.stdout.split() == ["local", "preview", "staging", "production"]


def test_from_elsewhere_it_is_the_one_that_the_deployer_is_in(
    project: Project, tmp_path: Path
) -> None:
    """Runs in the image start in /work, and the project is in /app."""
    done = ask(tmp_path, project.path)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["local", "preview", "staging", "production"]


def test_of_two_projects_it_is_the_nearest_with_its_own_catalog(
    project: Project, other: Path
) -> None:
    """The deployer may be another project's, or installed."""
    for paths in ([project.path], [project.path, other]):
        assert ask(other / "flows", *paths).stdout.split() == ["elsewhere"]
        checked = ask(other / "flows", *paths, words=("check",))
        assert checked.stdout == "1 deployments and 1 environments are fine.\n", checked.stderr


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
