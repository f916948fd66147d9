"""The commands of Poetry and Prefect that a project's page lists for new users."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.baking import Project
from tests.support.docker import docker, need_docker, remove_images
from tests.support.processes import end
from tests.support.server import PrefectServer
from tests.support.waiting import eventually

PAGE = "docs/coming-from-prefect.md"
AUTH = "somebody:a-password"
NAME = "基础数据处理流程/基础流程-每小时"
FLOW = """\
from prefect import flow


@flow(name="基础数据处理流程")
def chinese() -> None:
    \"\"\"Do nothing.\"\"\"
"""
CATALOG = f"""\
from prefect.schedules import Cron, Interval

from deployer import Deployment
from flows.basic_flow import basic_data_flow
from flows.chinese import chinese

CATALOG = [
    Deployment(chinese, name="{NAME.partition("/")[2]}", schedules=[Interval(60)], tags=["demo"]),
    Deployment(basic_data_flow, name="daily", schedules=[Cron("0 3 * * *")]),
    Deployment(basic_data_flow, name="manual"),
]
"""


@dataclass
class Newcomer:
    """A new user at a terminal, with an environment like that of `nox -s dev`.

    Attributes:
        project: the project.
        server: a server with a password.
        env: the terminal's environment; the server's address is only in the Prefect profile.
    """

    project: Project
    server: PrefectServer
    env: dict[str, str]

    def type(self, command: str) -> str:
        """Run a command that must succeed, and return its output."""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.project.path,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr


@pytest.fixture
def newcomer(
    bake: Callable[..., Project], project_python: Path, tmp_path: Path
) -> Iterator[Newcomer]:
    """A project with three deployments, and a server with a password."""
    project = bake(project_slug="coming-from")
    for path, text in (("flows/chinese.py", FLOW), ("deployments/catalog.py", CATALOG)):
        (project.path / path).write_text(text, encoding="utf-8")
    toml = project.path / "deployments/environments.toml"
    toml.write_text(
        toml.read_text().replace(
            'work_pool = "local"\n',
            'work_pool = "local"\nwork_queue = "urgent"\nwork_queue_priority = 1\n'
            'secrets = { api-token = "API_TOKEN" }\n',
        )
    )
    for command in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "-m", "First")):
        project.run("git", *command)
    project.run("uv", "venv", "--quiet", ".venv")
    auth = {"PREFECT_SERVER_API_AUTH_STRING": AUTH, "PREFECT_API_AUTH_STRING": AUTH}
    with PrefectServer(project_python, tmp_path / "server", env=auth) as server:
        told = {"PREFECT_API_URL", "PREFECT_API_AUTH_STRING"}
        env = {key: value for key, value in server.env.items() if key not in told}
        env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
        env |= {"API_TOKEN": "what setup puts into the block", "COLUMNS": "200"}
        yield Newcomer(project, server, env)


def test_every_command_of_the_page_works_or_its_successor_does(newcomer: Newcomer) -> None:
    need_docker()
    remove_images("coming-from")  # of a run of the tests that was killed
    page = newcomer.project.read(PAGE)
    rows = dict(re.findall(r"^\| (`.+?) \| (.+) \|$", page, re.MULTILINE))
    tried = set()

    def typed(row: str, command: str | None = None) -> str:
        """Run a row's command, or the replacement from its second column."""
        tried.add(row)
        assert command is None or f"`{command}" in rows[row], rows[row]
        assert command or "works" in rows[row]
        return newcomer.type(command or row.strip("`"))

    def written(row: str, *words: str) -> None:
        """Check that the project's files contain these words of a row."""
        tried.add(row)
        files = ("deployments/catalog.py", "deployments/environments.toml")
        text = "".join(map(newcomer.project.read, files))
        for word in words:
            assert word in rows[row]
            assert word in text

    tried |= {"`poetry install`"}
    assert "Installing prefect" in newcomer.type("poetry install --dry-run --no-ansi")
    typed("`poetry shell`", "source .venv/bin/activate")
    hook = f"VIRTUAL_ENV=.venv {sys.executable} .activate-hooks/.activate-hooks.py .venv"
    tried |= {"`python .activate-hooks/.activate-hooks.py`"}
    assert "PREFECT_HOME is" in newcomer.type(hook)

    typed("`prefect profile create remote`")
    assert "URL not configured" in newcomer.type("prefect profile use remote; [ $? = 1 ]")
    for name, value in (("URL", newcomer.server.api_url), ("AUTH_STRING", AUTH)):
        row = f"`prefect config set PREFECT_API_{name}=…`"
        tried.add(row)
        newcomer.type(row.strip("`").replace("…", value))
    assert newcomer.server.api_url in typed("`prefect config view`")
    assert "Connected to Prefect server" in typed("`prefect profile use remote`")

    assert "Saved 500 rows" in typed("`python flows/basic_flow.py`")
    typed("`prefect work-pool create my-pool --type docker`")
    typed("`python -m deployments.deploy_flow`")
    typed("`python -m deployments.flow_deploy`")
    try:
        images = docker("images", "--format", "{{.Repository}}:{{.Tag}}").splitlines()
        (image,) = [each for each in images if each.startswith("coming-from:src-")]
    finally:
        docker("rmi", "--force", *[each for each in images if each.startswith("coming-from:")])
    deployed = newcomer.server.request("POST", "/deployments/filter", {})
    found = {row["name"]: row for row in deployed}
    chinese = NAME.partition("/")[2]
    assert found[f"{chinese}-docker"]["job_variables"]["image"] == image
    assert found[f"{chinese}-docker"]["work_pool_name"] == "local-docker"
    assert found[chinese]["work_queue_name"] == "urgent"
    assert found[chinese]["tags"][0] == "demo"
    assert NAME in typed("`prefect deployment ls`").replace("\n", "")
    assert "schedules:" in typed(
        "`prefect.yaml` and `prefect deploy --all`", "python -m deployer export local"
    )
    block = "/block_types/slug/secret/block_documents/name/api-token"
    assert newcomer.server.request("GET", block)["name"] == "api-token"

    worker = subprocess.Popen(
        ["bash", "-c", "exec prefect worker start --pool local"],
        cwd=newcomer.project.path,
        env={**newcomer.env, "PREFECT_WORKER_QUERY_SECONDS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    tried.add("`prefect worker start --pool local`")
    try:
        typed(f"`prefect deployment run '{NAME}'`")
        completed = {
            "flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}},
            "deployments": {"id": {"any_": [found[chinese]["id"]]}},
        }
        ask = newcomer.server.request
        eventually(lambda: ask("POST", "/flow_runs/filter", completed))
    finally:
        end(worker)

    written("`flow.serve(interval=60)`", "schedules=[Interval(60)]")  # test_up.py tests the session
    written(
        '`interval=60`, `cron="0 3 * * *"`, or neither',
        "schedules=[Interval(60)]",
        'schedules=[Cron("0 3 * * *")]',
    )
    written('`work_queue_name="urgent"`', 'work_queue = "urgent"', "work_queue_priority = 1")
    tried.add('`tags=["demo"]`')
    written('`Secret(value=…).save("api-token")`', 'secrets = { api-token = "API_TOKEN" }')
    assert tried == set(rows)
