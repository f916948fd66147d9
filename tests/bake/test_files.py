"""The files of a generated project, for each type of work pool."""

import ast
import fnmatch
import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

import post_gen_project
from tests.bake.answering import parse_toml
from tests.baking import TEMPLATE_FOLDER, Project, bake_into, copy_template

# The files that every new project has.
FILES = [
    ".activate-hooks/.activate-hooks.py",
    ".devcontainer/devcontainer.json",
    ".dockerignore",
    ".editorconfig",
    ".gitattributes",
    ".github/CODEOWNERS",
    ".github/SECURITY.md",
    ".github/actions/deploy/action.yml",
    ".github/actions/image/action.yml",
    ".github/actions/login/action.yml",
    ".github/actions/remove-previews/action.yml",
    ".github/dependabot.yml",
    ".github/workflows/ci.yml",
    ".github/workflows/cleanup.yml",
    ".github/workflows/code.yml",
    ".github/workflows/deploy.yml",
    ".github/workflows/drift.yml",
    ".github/workflows/renew.yml",
    ".github/workflows/report.yml",
    ".github/workflows/rollback.yml",
    ".github/workflows/sweep.yml",
    ".github/workflows/update.yml",
    ".github/zizmor.yml",
    ".gitignore",
    ".pre-commit-config.yaml",
    ".vscode/tasks.json",
    "Dockerfile",
    "README.md",
    "README.zh-CN.md",
    "compose.postgres.env",
    "compose.yaml",
    "deployer/LICENSE",
    "deployer/__init__.py",
    "deployer/__main__.py",
    "deployer/alive.py",
    "deployer/api_errors.py",
    "deployer/catalog.py",
    "deployer/check/__init__.py",
    "deployer/check/import_time.py",
    "deployer/check/catalog.py",
    "deployer/check/parameters.py",
    "deployer/check/resources.py",
    "deployer/cli/__init__.py",
    "deployer/cli/commands.py",
    "deployer/cli/context.py",
    "deployer/cli/render.py",
    "deployer/cli/terminal.py",
    "deployer/connection.py",
    "deployer/credentials.py",
    "deployer/deploy.py",
    "deployer/desired.py",
    "deployer/destroy.py",
    "deployer/docstring.py",
    "deployer/doctor/__init__.py",
    "deployer/doctor/image.py",
    "deployer/environment/__init__.py",
    "deployer/environment/schema.json",
    "deployer/environment/settings.py",
    "deployer/environment_state.py",
    "deployer/errors.py",
    "deployer/export.py",
    "deployer/guards.py",
    "deployer/image_references.py",
    "deployer/importing/__init__.py",
    "deployer/importing/entries.py",
    "deployer/importing/flows.py",
    "deployer/importing/prefect_yaml.py",
    "deployer/importing/source.py",
    "deployer/kinds.py",
    "deployer/load.py",
    "deployer/lock.py",
    "deployer/note_unchanged.py",
    "deployer/options.py",
    "deployer/prefect_patches.py",
    "deployer/plan.py",
    "deployer/project.py",
    "deployer/refresh.py",
    "deployer/release.py",
    "deployer/release_page.py",
    "deployer/resource_plan.py",
    "deployer/resource_transaction.py",
    "deployer/resources.py",
    "deployer/result.py",
    "deployer/rules.py",
    "deployer/serve.py",
    "deployer/server.py",
    "deployer/setup.py",
    "deployer/spec.py",
    "deployer/transaction.py",
    "deployer/unchanged.py",
    "deployer/uninterrupted.py",
    "deployer/verify.py",
    "deployer/work_pool.py",
    "deployer/writers.py",
    "deployments/__init__.py",
    "deployments/catalog.py",
    "deployments/deploy_flow.py",
    "deployments/environments.toml",
    "deployments/flow_deploy.py",
    "docs/coming-from-prefect.md",
    "docs/deploying.md",
    "docs/deploying.zh-CN.md",
    "docs/flows.md",
    "docs/github.md",
    "docs/security.md",
    "docs/self-hosting.md",
    "docs/updating.md",
    "docs/uv.md",
    "docs/why.md",
    "flows/__init__.py",
    "flows/advanced_flow.py",
    "flows/basic_flow.py",
    "flows/data/seattle-weather.csv",
    "noxfile.py",
    "poetry.lock",
    "pyproject.toml",
    "requirements-dev.txt",
    "requirements-uv.txt",
    "requirements-worker.txt",
    "requirements.txt",
    "tests/__init__.py",
    "tests/conftest.py",
    "tests/test_advanced_flow.py",
    "tests/test_basic_flow.py",
    "tests/test_catalog.py",
    "tools/__init__.py",
    "tools/bake.py",
    "tools/build.py",
    "tools/github_credentials.py",
    "tools/environments.py",
    "tools/gh.py",
    "tools/github.py",
    "tools/image.py",
    "tools/install.py",
    "tools/pipeline.py",
    "tools/preflight.py",
    "tools/proposal.py",
    "tools/github_protection.py",
    "tools/prefect_api.py",
    "tools/records.py",
    "tools/renew.py",
    "tools/report.py",
    "tools/run.py",
    "tools/workflow_settings.py",
    "tools/setup_github.py",
    "tools/trust.py",
    "tools/up/__init__.py",
    "tools/up/__main__.py",
    "tools/up/database.py",
    "tools/up/docker.py",
    "tools/up/empty-database.sql",
    "tools/up/local.py",
    "tools/up/processes.py",
    "tools/up/report.py",
    "tools/up/server_alone.py",
    "tools/up/steps.py",
    "tools/up/terminal.py",
    "tools/unchanged.py",
    "tools/update.py",
    "tools/vulnerabilities.py",
]

READMES = ["README.md", "README.zh-CN.md"]

# The files that depend on an answer.
FILES_OF: dict[str, list[str]] = {
    "docker": [],
    "kubernetes": [
        "deployments/kubernetes-job-template.json",
        "docs/kubernetes.md",
        "kubernetes-worker.yaml",
    ],
}

# Jinja syntax, which must not remain in rendered files.
JINJA = re.compile(r"(?<!\$)\{\{|\{%|\{#")


@pytest.fixture(scope="module", params=["docker", "kubernetes"])
def project(
    request: pytest.FixtureRequest, template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Project:
    return bake_into(
        tmp_path_factory.mktemp("files"),
        template,
        project_name="Sales Reports",
        work_pool_type=request.param,
    )


def is_rendered(path: str, template: Path) -> bool:
    settings = json.loads((template / "cookiecutter.json").read_text())
    # If a pattern matches a folder, cookiecutter copies everything in it without rendering.
    paths = [path, *(parent.as_posix() for parent in Path(path).parents)]
    patterns = settings["_copy_without_render"]
    return not any(fnmatch.fnmatch(name, pattern) for name in paths for pattern in patterns)


def test_a_project_has_exactly_these_files(project: Project) -> None:
    chosen = FILES_OF[project.answers["work_pool_type"]]
    assert project.files() == sorted(FILES + chosen)


def test_only_files_that_carry_an_answer_are_rendered(project: Project, template: Path) -> None:
    carrying = [*READMES, "deployments/environments.toml", "pyproject.toml"]
    if project.has_file("kubernetes-worker.yaml"):
        carrying.insert(3, "kubernetes-worker.yaml")
    assert [path for path in project.files() if is_rendered(path, template)] == carrying


def test_only_a_project_with_the_answer_kubernetes_speaks_of_it(project: Project) -> None:
    carrying = [*READMES, "deployments/environments.toml", "kubernetes-worker.yaml"]
    traces = [
        path for path in carrying if project.has_file(path) and "ubernetes" in project.read(path)
    ]
    assert traces == (carrying if project.answers["work_pool_type"] == "kubernetes" else [])


def test_no_trace_of_the_template_is_left(project: Project, template: Path) -> None:
    left = {
        path: found
        for path in project.files()
        if (found := re.findall(r"cookiecutter\s*\.\s*_*[a-z]\w+", project.read(path)))
        or (is_rendered(path, template) and (found := JINJA.findall(project.read(path))))
    }
    assert left == {}


def test_files_are_text_that_ends_in_one_newline(project: Project) -> None:
    texts = {path: (project.path / path).read_bytes() for path in project.files()}
    wrong = [
        path
        for path, text in texts.items()
        if b"\r" in text or (text and not text.endswith(b"\n")) or text.endswith(b"\n\n")
    ]
    assert wrong == []


PARSERS: dict[str, Callable[[str], object]] = {
    ".json": json.loads,
    ".lock": parse_toml,
    ".py": ast.parse,
    ".toml": parse_toml,
    ".yaml": lambda text: list(yaml.safe_load_all(text)),
    ".yml": lambda text: list(yaml.safe_load_all(text)),
}


def test_every_file_of_a_known_format_parses(project: Project) -> None:
    parsed = set()
    for path in project.files():
        if parse := PARSERS.get(Path(path).suffix):
            assert parse(project.read(path)) is not None, path
            parsed.add(Path(path).suffix)
    assert parsed >= {".lock", ".py", ".toml", ".yaml", ".yml"}


def test_the_lock_fits_the_project(project: Project) -> None:
    project.run("poetry", "check", "--lock")


def export_commands(project: Project) -> Iterator[list[str]]:
    """Yield the pre-commit commands that export the project's requirements files."""
    settings = yaml.safe_load(project.read(".pre-commit-config.yaml"))
    for hook in settings["repos"][0]["hooks"]:
        command = shlex.split(hook["entry"])
        if command[:2] == ["poetry", "export"]:
            yield command


def test_the_requirements_are_what_the_lock_says(project: Project) -> None:
    commands = list(export_commands(project))
    written = [command[-1].removeprefix("--output=") for command in commands]
    assert written == ["requirements.txt", "requirements-worker.txt", "requirements-dev.txt"]
    for command, path in zip(commands, written, strict=True):
        exported = project.run(*command[:-1]).stdout
        assert exported == project.read(path)
        assert "--hash=sha256:" in exported


def test_a_project_is_made_of_nothing_that_tools_left_behind(
    template: Path, tmp_path: Path
) -> None:
    """The template copy of the tests has no caches, so this test adds those of a working tree."""
    assert not [path for path in template.rglob("*") if path.name.endswith("_cache")]
    used = copy_template(tmp_path / "used")
    for folder in ("", "flows", "deployer"):
        for cache in post_gen_project.CACHES:
            left = used / TEMPLATE_FOLDER / folder / cache / "3.14"
            left.mkdir(parents=True)
            # Neither UTF-8 nor valid Jinja: cookiecutter would fail if it rendered this file.
            (left / "left.txt").write_bytes(b"{% left \x8a")
    assert bake_into(tmp_path / "project", used).files() == sorted(FILES)


def test_the_tests_run_on_edits_that_are_not_committed(template: Path) -> None:
    assert (template / "tests/bake" / Path(__file__).name).read_text() == Path(__file__).read_text()


def test_the_commit_hook_formats_with_the_ruff_of_the_lock(project: Project) -> None:
    (pinned,) = set(re.findall(r"ruff==([\d.]+)", project.read(".pre-commit-config.yaml")))
    (locked,) = re.findall(r"^ruff==([\d.]+)", project.read("requirements-dev.txt"), re.MULTILINE)

    assert pinned == locked
