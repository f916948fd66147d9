"""The commands as a person types them, with a real project, server and worker."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.baking import Project
from tests.deployer.conftest import DeployerProject
from tests.support.processes import READY_WITHIN, end
from tests.support.server import PrefectServer
from tests.support.waiting import eventually

SUFFIX = iter(range(1000))
FLOW = """\
from prefect import flow, get_run_logger

@flow
def greet(name: str = "you", times: int = 1) -> None:
    \"\"\"Say hello.\"\"\"
    if name == "nobody":
        raise ValueError("There is nobody to greet.")
    if name == "sleeper":
        import time
        time.sleep(120)
    get_run_logger().info("hello %s", name)
"""
CATALOG = """\
from deployer.catalog import Deployment
from flows.greeting import greet
from prefect.schedules import Cron

CATALOG = [
    Deployment(greet, "daily", schedules=[Cron("0 3 * * *")], smoke={{"name": {name!r}}}),
    Deployment(greet, "manual", parameters={{"times": {times}}}),
]
"""


@pytest.fixture
def project(bake: Callable[..., Project], server: PrefectServer) -> DeployerProject:
    """A project with two small deployments and a unique name."""
    number = next(SUFFIX)
    made = DeployerProject(bake(project_slug=f"commands-{number}"), server)
    made.write("flows/greeting.py", FLOW)
    write_catalog(made)
    made.write(
        "deployments/environments.toml",
        f"""project = "commands-{number}"
[local]
work_pool = "pool {number}"
work_pool_type = "process"
name_suffix = "-{number}"
[pr]
work_pool = "pool {number}"
work_queue = "{{label}}"
name_suffix = "-{number}-{{label}}"
schedules = "off"
""",
    )
    ok(made, "setup", "local")
    return made


@pytest.fixture
def worker(project: DeployerProject, tmp_path: Path) -> Iterator[None]:
    """A process worker for the project's work pool."""
    pool, file = project.read_pool(), tmp_path / "worker.log"
    path = f"/work_pools/{quote(pool)}/workers/filter"
    with file.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool],
            cwd=project.path,
            env={**project.server.env, "PREFECT_WORKER_QUERY_SECONDS": "1"},
            stdout=log,
            stderr=log,
        )
        try:
            eventually(
                lambda: project.server.request("POST", path, {}), READY_WITHIN, about=file.read_text
            )
            yield
        finally:
            end(process)


def write_catalog(project: DeployerProject, name: str = "you", times: int = 1) -> None:
    """Write the catalog with this smoke parameter and this default."""
    project.write("deployments/catalog.py", CATALOG.format(name=name, times=times))


def ok(project: DeployerProject, *args: str) -> str:
    """Run a command that must succeed and return its report."""
    done = project.deployer(*args)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def states(project: DeployerProject) -> list[dict[str, Any]]:
    """Return the deployments' rows without fields that change by themselves."""
    slug = project.project.answers["project_slug"]
    where = {"deployments": {"tags": {"all_": [f"project:{slug}"]}}, "sort": "NAME_ASC"}
    rows = project.server.request("POST", "/deployments/filter", where)
    moving = ("updated", "status", "last_polled")
    return [{key: value for key, value in row.items() if key not in moving} for row in rows]


def test_from_check_to_rollback(project: DeployerProject, worker: None) -> None:
    assert "2 deployments" in ok(project, "check")
    assert "2 to add, 0 to change, 0 to delete, 0 unchanged" in ok(project, "plan", "local")
    assert project.deployer("plan", "local", "--detailed-exitcode").returncode == 2

    given = ("--commit", "0123abc", "--order", "1", "--no-verify")
    assert "local is at release 1." in ok(project, "deploy", "local", *given)
    assert "Completed" in ok(project, "verify", "local")
    assert project.deployer("plan", "local", "--detailed-exitcode").returncode == 0
    assert "up to date: no deployment was written" in ok(project, "deploy", "local")

    write_catalog(project, times=2)
    assert "parameters.times: 1 → 2" in ok(project, "plan", "local")
    summary = ok(project, "deploy", "local", "--format", "markdown", "--order", "2")
    assert "### local is at release 2" in summary
    assert "| smoke run | state | took |" in summary
    plan = json.loads(ok(project, "plan", "local", "--format", "json"))
    assert plan["counts"] == {"create": 0, "update": 0, "delete": 0, "unchanged": 2}

    older = project.deployer("deploy", "local", "--order", "1")
    assert older.returncode == 0  # nothing differs, so it is not refused
    write_catalog(project, times=3)
    older = project.deployer("deploy", "local", "--order", "1")
    assert older.returncode == 1
    assert "Run 1 is older than run 2" in older.stderr

    assert "local is at release 3." in ok(project, "rollback", "local")
    releases = json.loads(ok(project, "releases", "local", "--format", "json"))
    assert [each["number"] for each in releases] == [3, 2, 1]
    assert [each["commit"] for each in releases] == ["0123abc", None, "0123abc"]
    assert {each["verified"] for each in releases} == {"verified"}
    assert {row["name"].split("-")[0]: row["parameters"] for row in states(project)} == {
        "daily": {},
        "manual": {"times": 1},
    }


def test_a_failed_smoke_run_shows_its_error_and_leaves_what_was_there(
    project: DeployerProject, worker: None
) -> None:
    ok(project, "deploy", "local")
    before = states(project)
    write_catalog(project, name="nobody", times=2)

    failed = project.deployer("deploy", "local", "--format", "markdown")

    assert failed.returncode == 1
    report, _, planned = failed.stdout.partition("### Plan for local")
    assert report.startswith("### local: failed")
    assert "There is nobody to greet." in report
    assert "parameters.times: 1 → 2" in planned
    assert "There is nobody to greet." in failed.stderr
    assert "/runs/flow-run/" in failed.stderr
    assert "The server is as it was before the deploy: put back 1 deployment." in failed.stderr
    assert "Traceback" not in failed.stderr.split("There is nobody")[-1]
    assert states(project) == before
    assert "1 " in ok(project, "releases", "local")


def test_a_smoke_run_that_does_not_end_in_time_is_cancelled(
    project: DeployerProject, worker: None
) -> None:
    write_catalog(project, name="sleeper")

    failed = project.deployer("deploy", "local", "--timeout", "8")

    assert failed.returncode == 1
    assert "did not end in time and are cancelled" in failed.stderr
    assert states(project) == []
    where = {"flow_runs": {"tags": {"all_": ["smoke"]}}, "sort": "EXPECTED_START_TIME_DESC"}
    run, *_ = project.server.request("POST", "/flow_runs/filter", where)
    assert run["state_type"] in ("CANCELLING", "CANCELLED")


def test_without_a_worker_a_sentence_comes(project: DeployerProject) -> None:
    failed = project.deployer("deploy", "local")

    assert failed.returncode == 1
    assert failed.stdout.endswith("Plan: 2 to add, 0 to change, 0 to delete, 0 unchanged.\n")
    assert "No worker polls the work queue 'default'" in failed.stderr
    assert f"prefect worker start --pool '{project.read_pool()}'" in failed.stderr
    assert states(project) == []


def test_a_preview_has_schedules_off_and_goes_without_a_trace(project: DeployerProject) -> None:
    ok(project, "setup", "pr", "--label", "pr-7")
    ok(project, "deploy", "pr", "--label", "pr-7", "--no-verify")
    rows = states(project)
    assert all(row["name"].endswith("-pr-7") for row in rows)
    assert [s["active"] for row in rows for s in row["schedules"]] == [False]
    assert {row["work_queue_name"] for row in rows} == {"pr-7"}

    assert "deleted the work queue pr-7" in ok(project, "destroy", "pr", "--label", "pr-7")

    assert states(project) == []
    assert "Nothing was released" in ok(project, "releases", "pr", "--label", "pr-7")


def test_foreign_deployments_are_refused_unless_adopted(project: DeployerProject) -> None:
    ok(project, "deploy", "local", "--no-verify")
    text = (project.path / "deployments/environments.toml").read_text()
    project.write("deployments/environments.toml", text.replace('project = "', 'project = "other-'))

    refused = project.deployer("deploy", "local", "--no-verify")
    assert refused.returncode == 1
    assert refused.stderr.count("exists already and is not this project's") == 2

    ok(project, "deploy", "local", "--no-verify", "--adopt")
    tags = [tag for row in states(project) for tag in row["tags"]]
    assert tags == []  # adopted: they only have the other project's tag


def test_deleting_most_of_the_catalog_needs_to_be_meant(project: DeployerProject) -> None:
    many = CATALOG.format(name="you", times=1) + (
        'CATALOG += [Deployment(greet, f"extra {n}") for n in range(8)]\n'
    )
    project.write("deployments/catalog.py", many)
    ok(project, "deploy", "local", "--no-verify")
    write_catalog(project)

    refused = project.deployer("deploy", "local", "--no-verify")
    assert refused.returncode == 1
    assert "would delete 8 of 10 deployments" in refused.stderr
    assert len(states(project)) == 10

    ok(project, "deploy", "local", "--no-verify", "--prune-limit", "100")
    assert len(states(project)) == 2


def test_only_leaves_everything_else_alone(project: DeployerProject) -> None:
    ok(project, "deploy", "local", "--no-verify", "--only", "greet/manual*")
    assert len(states(project)) == 1

    wrong = project.deployer("plan", "local", "--only", "nothing*")
    assert wrong.returncode == 1
    assert "matches nothing" in wrong.stderr


def test_serve_has_its_schedules_on_and_leaves_what_is_deployed_alone(
    project: DeployerProject, tmp_path: Path
) -> None:
    ok(project, "deploy", "local", "--no-verify")
    deployed = states(project)
    log = tmp_path / "serve.log"

    def served() -> list[dict[str, Any]]:
        return [row for row in states(project) if row["name"].endswith("-serve")]

    def has_polled() -> bool:
        """Whether the runner has polled: from then on it pauses the schedules when it ends."""
        tag = f"project:{project.project.answers['project_slug']}"
        where = {"deployments": {"tags": {"all_": [tag]}}}
        rows = project.server.request("POST", "/deployments/filter", where)
        polled = [row["last_polled"] for row in rows if row["name"].endswith("-serve")]
        return len(polled) == 2 and all(polled)

    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "deployer", "serve"],
            cwd=project.path,
            env={**project.server.env, "PREFECT_RUNNER_POLL_FREQUENCY": "1"},
            stdout=output,
            stderr=output,
        )
    try:
        eventually(has_polled, about=log.read_text)
        assert "Your deployments are being served" in log.read_text()
        rows = served()
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(120)

    assert code == 0, log.read_text()
    assert [row["work_pool_name"] for row in rows] == [None, None]
    assert [row["paused"] for row in rows] == [False, False]
    assert [each["active"] for row in rows for each in row["schedules"]] == [True]
    # All other fields are the same as after a deploy.
    fields = ("parameters", "description", "entrypoint", "version", "enforce_parameter_schema")
    assert [[row[key] for key in fields] for row in rows] == [
        [row[key] for key in fields] for row in deployed
    ]
    assert [row["paused"] for row in served()] == [True, True]
    assert [row for row in states(project) if row not in served()] == deployed


def test_setup_fills_secret_blocks_and_never_prints_them(project: DeployerProject) -> None:
    text = (project.path / "deployments/environments.toml").read_text()
    extra = 'work_pool_concurrency_limit = 3\nsecrets = { api-token = "API_TOKEN" }\n[pr]'
    project.write("deployments/environments.toml", text.replace("[pr]", extra))

    missing = project.deployer("setup", "local")
    assert missing.returncode == 1
    assert "API_TOKEN is not set" in missing.stderr

    done = project.deployer("setup", "local", env={"API_TOKEN": "canary-4711"})
    assert done.returncode == 0, done.stderr
    assert "secret block api-token holds the value of API_TOKEN" in done.stdout
    assert "concurrency_limit" in done.stdout
    assert "canary-4711" not in done.stdout + done.stderr
    pool = project.server.request("GET", f"/work_pools/{project.read_pool().replace(' ', '%20')}")
    assert pool["concurrency_limit"] == 3


def test_the_value_of_a_secret_variable_is_not_in_a_report(project: DeployerProject) -> None:
    text = (project.path / "deployments/environments.toml").read_text()
    declared = text.replace("[pr]", 'secrets = { api-token = "API_TOKEN" }\n[pr]')
    project.write("deployments/environments.toml", declared)
    ok(project, "deploy", "local", "--no-verify")
    catalog = (project.path / "deployments/catalog.py").read_text()
    leaky = 'description="with " + __import__("os").environ["API_TOKEN"], parameters'
    project.write("deployments/catalog.py", catalog.replace("parameters", leaky))

    for command in ("plan local", "plan local --format=json", "deploy local --no-verify"):
        done = project.deployer(*command.split(), env={"API_TOKEN": "canary-4711"})
        assert done.returncode == 0, done.stderr
        assert "with ********" in done.stdout
        assert "canary-4711" not in done.stdout + done.stderr
    assert any(row["description"] == "with canary-4711" for row in states(project))


def test_setup_gives_the_pool_the_base_job_template_of_the_repository(
    project: DeployerProject,
) -> None:
    where = f"/work_pools/{project.read_pool().replace(' ', '%20')}"
    template = project.server.request("GET", where)["base_job_template"]
    template["variables"]["properties"]["stream_output"]["default"] = False
    project.write("deployments/pool.json", json.dumps(template))
    text = (project.path / "deployments/environments.toml").read_text()
    declared = text.replace("[pr]", 'base_job_template = "deployments/pool.json"\n[pr]')
    project.write("deployments/environments.toml", declared)

    assert "updated: base_job_template" in ok(project, "setup", "local")
    assert project.server.request("GET", where)["base_job_template"] == template
    assert "is there (process)" in ok(project, "setup", "local")


def test_an_auth_string_opens_the_server_and_its_absence_is_explained(
    bake: Callable[..., Project], project_python: Path, tmp_path: Path
) -> None:
    auth = {"PREFECT_SERVER_API_AUTH_STRING": "admin:pass", "PREFECT_API_AUTH_STRING": "admin:pass"}
    with PrefectServer(project_python, tmp_path / "server", env=auth) as server:
        project = DeployerProject(bake(), server)
        ok(project, "setup", "local")
        assert "release 1" in ok(project, "deploy", "local", "--no-verify")

        refused = project.deployer("plan", "local", env={"PREFECT_API_AUTH_STRING": ""})
        assert refused.returncode == 1
        assert "refuses the credentials (401)" in refused.stderr
        assert "PREFECT_API_AUTH_STRING" in refused.stderr

    gone = project.deployer("plan", "local")
    assert gone.returncode == 1
    assert "cannot be reached" in gone.stderr
