"""The image, CI and the project's metadata use the same Python version."""

import json
import re

import yaml

from tests.bake.answering import parse_toml
from tests.baking import ROOT, Project

PYTHON = r"3\.\d+"
DEV_CONTAINER = ".devcontainer/devcontainer.json"


def image_python(project: Project) -> str:
    """Return the Python version of the image, such as 3.14."""
    form = rf"^FROM python:({PYTHON})-"
    found: set[str] = set(re.findall(form, project.read("Dockerfile"), re.MULTILINE))
    assert len(found) == 1, found
    return found.pop()


def test_every_place_that_names_the_images_python_names_the_same(default_project: Project) -> None:
    python = image_python(default_project)
    form = rf"(?:python|python-version: \"|/lib/python):?({PYTHON})"
    for path, number in (("Dockerfile", 5), ("docs/github.md", 1), (DEV_CONTAINER, 1)):
        assert re.findall(form, default_project.read(path)) == [python] * number, path
    canary = (ROOT / ".github/workflows/canary.yml").read_text(encoding="utf-8")
    assert re.findall(form, canary) == [python]


def test_the_dev_container_installs_what_the_project_pins_and_runs_a_session_that_exists(
    default_project: Project,
) -> None:
    container = json.loads(default_project.read(DEV_CONTAINER))
    pip, nox = container["postCreateCommand"].split(" && ")
    assert pip == "python -m pip install --require-hashes -r requirements-uv.txt"
    assert default_project.has_file(pip.split()[-1])
    session = nox.removeprefix("uvx nox -s ")
    assert f"@nox.session\ndef {session}(" in default_project.read("noxfile.py")
    # The editor uses the environment that this session creates.
    editor = container["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"]
    assert editor == "${containerWorkspaceFolder}/.venv/bin/python"
    assert '".venv", "requirements-dev.txt"' in default_project.read("noxfile.py")


def test_ci_runs_the_oldest_python_that_is_allowed_and_the_images(default_project: Project) -> None:
    allowed = parse_toml(default_project.read("pyproject.toml"))["project"]["requires-python"]
    oldest, cap = re.fullmatch(rf">=({PYTHON}),<({PYTHON})", allowed).groups()  # type: ignore[union-attr]
    python = image_python(default_project)
    assert f"3.{int(python[2:]) + 1}" == cap

    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    matrix = workflow["jobs"]["nox"]["strategy"]["matrix"]["include"]
    assert {each["python"] for each in matrix} == {oldest, python}
    for path in (ROOT / "noxfile.py", default_project.path / "tools" / "install.py"):
        assert f'"--python={allowed}"' in path.read_text(encoding="utf-8"), path
    for path in (ROOT / "noxfile.py", default_project.path / "noxfile.py"):
        assert f'requires-python = ">={oldest}"' in path.read_text(encoding="utf-8"), path
    for folder in (ROOT, default_project.path):
        for name, words in (("README.md", "or newer"), ("README.zh-CN.md", "或更高版本")):
            text = (folder / name).read_text(encoding="utf-8")
            assert f"Python {oldest} {words}" in text, folder / name
    settings = parse_toml((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    assert settings["mypy"]["python_version"] == oldest
    assert settings["ruff"]["target-version"] == oldest.replace("3.", "py3")
