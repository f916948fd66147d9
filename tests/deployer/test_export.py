"""The exported prefect.yaml leaves what the deployer leaves: row by row, on a real server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deployer.conftest import DeployerProject
from tests.support.server import PrefectServer

DIGEST = "registry.example/flows@sha256:" + "ab" * 32
ENVIRONMENTS = """\
project = "exported"

[local]
work_pool = "an export pool"
work_pool_type = "process"
name_suffix = "-exported"

[production]
work_pool = "an export docker pool"
work_pool_type = "docker"
work_queue = "快 queue"
name_suffix = "-exported"
schedules = "off"

[production.job_variables]
env = { TOKEN = "{{ prefect.blocks.secret.token }}", HOME_OF_MANY = "{{ $HOME }}" }
auto_remove = true
"""
FLOWS = '''\
from prefect import flow


@flow
def plain():
    """Do nothing."""


@flow(name="数据 流程 🚀", version="7")
def anywhere(rows: int = 1, label: str = "x", words: list[str] | None = None):
    """Do nothing in any script."""
'''
CATALOG = """\
from datetime import datetime, timedelta, timezone

from deployer.catalog import Deployment
from flows.many import anywhere, plain
from prefect.client.schemas.objects import ConcurrencyLimitConfig
from prefect.events import DeploymentCompoundTrigger, DeploymentEventTrigger, EventTrigger
from prefect.schedules import Cron, Interval, RRule

ANCHOR = datetime(2024, 2, 29, 12, tzinfo=timezone(timedelta(hours=2)))
CATALOG = [
    Deployment(plain, name="nothing but a name"),
    Deployment(
        plain,
        name="one of: each 每小时 🚀 'quoted' \\"twice\\" - [x]",
        schedules=[
            Interval(3600),
            Interval(timedelta(days=1), anchor_date=ANCHOR, timezone="Asia/Shanghai", slug="夜"),
            Interval(90.5, active=False, slug="off"),
            Cron("0 3 * * *"),
            Cron("*/5 * 1 * 1-5", timezone="Europe/Berlin", day_or=False, slug="morning"),
            RRule("FREQ=WEEKLY;BYDAY=MO,FR"),
            RRule("DTSTART:20240101T000000\\nFREQ=DAILY", timezone="America/New_York"),
        ],
        tags=["b", "a", "标", "on", "1"],
        description="Two\\nlines: of {{ text }} — “so”",
        version="1.0",
        paused=True,
        concurrency_limit=3,
        enforce_parameter_schema=False,
        work_queue_name="another queue",
    ),
    Deployment(
        anywhere,
        name="每小时",
        schedules=[Cron("@daily", parameters={"rows": 5, "label": "{{ x }}"})],
        parameters={"rows": 2, "label": "{{ prefect.variables.none }}", "words": ["{{ a }}", "on"]},
        concurrency_limit=ConcurrencyLimitConfig(
            limit=1, collision_strategy="CANCEL_NEW", grace_period_seconds=120
        ),
        triggers=[
            DeploymentEventTrigger(
                name="a file 🚀 came",
                description="{{ not }} filled in",
                expect={"file.arrived"},
                match={"prefect.resource.id": "file.*"},
                threshold=2,
                within=timedelta(minutes=1),
                parameters={"rows": 3, "label": "{{ event.id }} came", "words": ["{{ event.id }}"]},
                job_variables={"env": {"NAME": "{{ flow }}"}},
                schedule_after=timedelta(seconds=5),
            ),
            DeploymentCompoundTrigger(
                name="both",
                require="all",
                within=timedelta(minutes=2),
                triggers=[EventTrigger(expect={"one"}), EventTrigger(expect={"two"})],
                enabled=False,
            ),
        ],
    ),
    Deployment(anywhere, name="yes", cron="0 0 * * 0", job_variables={"env": {"ON": "no"}}),
]
"""
# In a repository these make Prefect take the commit for the version, unless it is told otherwise.
COMMIT = {
    "GITHUB_SHA": "c0ffee" * 7,
    "GITHUB_REPOSITORY": "acme/flows",
    "GITHUB_REF_NAME": "main",
    "GITHUB_SERVER_URL": "https://github.example",
}
IDS = {"id", "created", "updated", "flow_id", "deployment_id", "version_id", "work_queue_id"}
IDS |= {"concurrency_limit_id", "status", "owner_resource"}


@pytest.fixture
def many(project: DeployerProject) -> Iterator[DeployerProject]:
    """A project with everything that a catalog can say, in an environment of its own."""
    project.write("deployments/environments.toml", ENVIRONMENTS)
    project.write("flows/many.py", FLOWS)
    project.write("deployments/catalog.py", CATALOG)
    for command in ("git init", "git add --all", "git commit --message first"):
        project.project.run(*command.split())
    yield project
    delete(project.server)


def export(project: DeployerProject, environment: str = "local", image: str = "") -> str:
    """Write the project's prefect.yaml and return its text, or the error."""
    with_image = ["--image", image] if image else []
    done = project.deployer("export", environment, *with_image)
    if done.returncode:
        return done.stderr
    project.write("prefect.yaml", done.stdout)
    return done.stdout


def rows(server: PrefectServer) -> list[dict[str, Any]]:
    """Return everything on the server about the deployments but ids and times."""
    where = {"deployments": {"tags": {"all_": ["project:exported"]}}}
    found = server.request("POST", "/deployments/filter", {**where, "sort": "NAME_ASC"})
    flows = {row["id"]: row["name"] for row in server.request("POST", "/flows/filter", where)}
    automations = server.request("POST", "/automations/filter", {})
    for row in found:
        row["flow"] = flows[row["flow_id"]]
        row["schedules"].sort(key=lambda schedule: str(schedule["slug"]))
        row["tags"].sort()
        if limit := row["global_concurrency_limit"]:
            limit["name"] = limit["name"].replace(row["id"], "ID")
        row["automations"] = sorted(
            (each for each in automations if row["id"] in str(each["actions"])),
            key=lambda automation: str(automation["name"]),
        )
    kept: list[dict[str, Any]] = [without_ids(row) for row in found]
    return kept


def without_ids(value: Any) -> Any:
    """Leave out what differs from one creation to the next."""
    if isinstance(value, dict):
        return {key: without_ids(each) for key, each in value.items() if key not in IDS}
    return [without_ids(each) for each in value] if isinstance(value, list) else value


def differences(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> list[Any]:
    """Return what differs, small enough to read when a test fails."""
    if [row["name"] for row in one] != [row["name"] for row in other]:
        return [[row["name"] for row in rows] for rows in (one, other)]
    return [
        (first["name"], field, first.get(field), second.get(field))
        for first, second in zip(one, other, strict=True)
        for field in first | second
        if first.get(field) != second.get(field)
    ]


def delete(server: PrefectServer) -> None:
    """Delete what was deployed."""
    where = {"deployments": {"tags": {"all_": ["project:exported"]}}}
    for row in server.request("POST", "/deployments/filter", where):
        server.request("DELETE", f"/deployments/{row['id']}")
    for artifact in server.request("POST", "/artifacts/filter", {}):
        if (artifact["key"] or "").startswith("exported"):
            server.request("DELETE", f"/artifacts/{artifact['id']}")


def deploy_both_ways(
    project: DeployerProject, environment: str = "local", image: str = ""
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows after `deployer deploy`, and after `prefect deploy --all` instead of it."""
    setup = project.deployer("setup", environment)
    assert setup.returncode == 0, setup.stderr
    with_image = ["--image", image] if image else []
    done = project.deployer("deploy", environment, "--no-verify", *with_image, env=COMMIT)
    assert done.returncode == 0, done.stderr
    deployed = rows(project.server)
    delete(project.server)
    assert rows(project.server) == []

    export(project, environment, image)
    prefect_deploy(project, **COMMIT)
    return deployed, rows(project.server)


def prefect_deploy(project: DeployerProject, **environment: str) -> None:
    """Run `prefect deploy --all` in the project."""
    done = subprocess.run(
        [Path(sys.executable).parent / "prefect", "deploy", "--all"],
        cwd=project.path,
        env={**project.server.env, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_prefect_deploy_of_the_export_leaves_the_same_rows_as_the_deployer(
    many: DeployerProject,
) -> None:
    deployed, exported = deploy_both_ways(many)

    assert len(deployed) == 4
    assert differences(deployed, exported) == []
    by_name = {row["name"]: row for row in exported}
    assert [each["name"] for each in by_name["每小时-exported"]["automations"]] == [
        "a file 🚀 came",
        "both",
    ]
    assert by_name["每小时-exported"]["parameters"]["words"] == ["{{ a }}", "on"]
    assert by_name["nothing but a name-exported"]["description"] == "Do nothing."


def test_image_queue_and_secret_references_reach_the_server_unread(many: DeployerProject) -> None:
    # Prefect itself would write the secret's value into the deployment, for everybody to see.
    plant = "from prefect.blocks.system import Secret; "
    plant += "Secret(value='plain-text').save('token', overwrite=True)"
    subprocess.run([sys.executable, "-c", plant], env=many.server.env, check=True)

    deployed, exported = deploy_both_ways(many, "production", DIGEST)

    assert differences(deployed, exported) == []
    assert "plain-text" not in str(exported)
    assert {row["job_variables"]["image"] for row in exported} == {DIGEST}
    assert exported[0]["work_queue_name"] == "快 queue"
    assert not any(each["active"] for row in exported for each in row["schedules"])


def test_the_file_says_who_made_it_and_reads_like_one_that_a_person_wrote(
    many: DeployerProject,
) -> None:
    text = export(many)

    assert text.startswith("# Generated by `python -m deployer export local`")
    assert "数据" not in text, "the flow's name comes from the flow"
    assert "name: 每小时-exported" in text
    assert "&id" not in text
    first = yaml.safe_load(text)["deployments"][0]
    assert first == {
        "name": "nothing but a name-exported",
        "entrypoint": "flows.many.plain",
        "version_type": "prefect:simple",
        "tags": ["environment:local", "project:exported"],
        "parameters": {},
        "enforce_parameter_schema": True,
        "paused": False,
        "schedules": [],
        "work_pool": {
            "name": "an export pool",
            "work_queue_name": "default",
            "job_variables": {"working_dir": str(many.path)},
        },
        "build": [],
    }


def test_a_catalog_without_placeholders_needs_no_step(many: DeployerProject) -> None:
    many.write(
        "deployments/catalog.py",
        "from deployer.catalog import Deployment\nfrom flows.many import plain\n"
        "CATALOG = [Deployment(plain, name='a')]\n",
    )

    assert list(yaml.safe_load(export(many))) == ["pull", "deployments"]


@pytest.mark.parametrize(("clear", "left"), [("false", 1), ("true", 0)])
def test_prefect_deploy_of_the_export_removes_the_last_schedule_only_if_prefect_is_told_to(
    many: DeployerProject, clear: str, left: int
) -> None:
    entry = (
        "from deployer.catalog import Deployment\nfrom flows.many import plain\n"
        "CATALOG = [Deployment(plain, name='a'{})]\n"
    )
    assert many.deployer("setup", "local").returncode == 0
    for options in (", cron='0 6 * * *'", ""):
        many.write("deployments/catalog.py", entry.format(options))
        text = export(many)
        prefect_deploy(many, PREFECT_DEPLOYMENTS_CLEAR_SCHEDULES_ON_EMPTY=clear)

    (row,) = rows(many.server)
    assert len(row["schedules"]) == left
    assert "PREFECT_DEPLOYMENTS_CLEAR_SCHEDULES_ON_EMPTY=true" in text


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (
            "Deployment(plain.with_options(name='renamed'), name='a')",
            "renamed/a: a run imports flows.many.plain and would lose what with_options changed",
        ),
        (
            "Deployment(plain, name='a', job_variables={'x': {'$ref': 'y'}})",
            "plain/a cannot be exported: Prefect would replace {'$ref': 'y'}",
        ),
        (
            "Deployment(plain, name='a', triggers=[DeploymentEventTrigger(name='t', "
            "parameters={'x': '{{ prefect.blocks.secret.token }}'})])",
            "plain/a cannot be exported: Prefect would fill in the placeholders",
        ),
    ],
)
def test_what_a_prefect_yaml_cannot_express_is_refused(
    many: DeployerProject, entry: str, problem: str
) -> None:
    many.write(
        "deployments/catalog.py",
        "from deployer.catalog import Deployment\nfrom flows.many import plain\n"
        f"from prefect.events import DeploymentEventTrigger\nCATALOG = [{entry}]\n",
    )

    error = export(many)

    assert problem in error
    assert "Traceback" not in error
