"""All five workflows on one small project with one environment, in the order of its life.

Server, registry, worker and repository are shared, so a test begins where the last one ended.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.baking import bake_into
from tests.e2e.conftest import make_small
from tests.support.act import Act, WorkflowRun
from tests.support.docker import Registry, Worker, bridge_address, docker
from tests.support.server import PrefectServer

AUTH = "canary-user:canary-auth-string"
SECRETS = {
    "REGISTRY_PASSWORD": "canary-registry-password",
    "PREFECT_API_AUTH_STRING": AUTH,
    "GITHUB_TOKEN": "canary-github-token",
}
JOBS = ["tests", "image", "attest", "production"]

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def server(
    docker_engine: None, project_python: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrefectServer]:
    """A server that asks for a password."""
    auth = {"PREFECT_SERVER_API_AUTH_STRING": AUTH, "PREFECT_API_AUTH_STRING": AUTH}
    home = tmp_path_factory.mktemp("server")
    with PrefectServer(project_python, home, host=bridge_address(), env=auth) as server:
        yield server


@pytest.fixture(scope="module")
def deployed(
    template: Path,
    server: PrefectServer,
    registry: Registry,
    worker: Worker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Act:
    """A repository with nothing but production and one smoke run."""
    folder = tmp_path_factory.mktemp("after")
    repository = Act(
        bake_into(folder / "projects", template).path,
        folder,
        name="Acme/Small-Flows",
        variables={
            "PREFECT_API_URL": server.api_url,
            "REGISTRY": registry.address,
            "REGISTRY_USERNAME": "somebody",
        },
        secrets=SECRETS,
    )
    make_small(repository)
    return repository


def rows_of(server: PrefectServer, what: str) -> list[dict[str, Any]]:
    """Read up to 200 rows."""
    return list(server.request("POST", f"/{what}/filter", {"limit": 200}))


def deployments(server: PrefectServer) -> dict[str, dict[str, Any]]:
    """Return what is deployed, by name, without what a worker's asking for work changes."""
    rows = rows_of(server, "deployments")
    moving = {"last_polled", "status"}
    return {row["name"]: {k: v for k, v in row.items() if k not in moving} for row in rows}


def hourly(server: PrefectServer) -> dict[str, Any]:
    """Return the one deployment that the tests change."""
    return deployments(server)["hourly"]


def drift(repository: Act) -> WorkflowRun:
    return repository.run("schedule", "drift.yml", {})


@pytest.fixture(autouse=True)
def _no_secret_is_told(deployed: Act, server: PrefectServer, worker: Worker) -> Iterator[None]:
    """Search logs and records for secrets after each test."""
    yield
    told = [*deployed.folder.glob("run-*/log.jsonl"), server.log, worker.log]
    texts = {path.name: path.read_text(errors="replace") for path in told}
    texts["github"] = json.dumps([deployed.github, deployed.records_of("gh")])
    for what in ("artifacts", "variables", "deployments", "flow_runs", "logs"):
        texts[what] = json.dumps(rows_of(server, what))
    for name, text in texts.items():
        assert "canary-" not in text.replace("canary-user:", ""), name


def test_without_staging_only_production_is_deployed(
    deployed: Act, server: PrefectServer, registry: Registry
) -> None:
    first = deployed.push()
    assert first.jobs == dict.fromkeys(JOBS, "success"), first.output[-6000:]
    assert "production is at release 1" in first.summaries["production"]
    assert sorted(deployments(server)) == ["hourly", "manual", "nightly"]
    (tag,) = registry.tags(deployed.package)
    image = f"{registry.address}/{deployed.package}:{tag}"
    assert "canary" not in docker("history", "--no-trunc", image) + docker("inspect", image)
    looked = docker("run", "--rm", image, "sh", "-c", "grep -rl canary- /app /work || echo none")
    assert looked == "none"


def test_a_push_with_one_changed_entry_changes_its_deployment(
    deployed: Act, server: PrefectServer
) -> None:
    before = deployments(server)
    deployed.replace("deployments/catalog.py", '"rows": 500', '"rows": 501')
    run = deployed.push()
    assert run.jobs == dict.fromkeys(JOBS, "success"), run.output[-6000:]
    summary = run.summaries["production"].replace("\\", "")
    assert "production is at release 2" in summary
    assert "parameters.rows: 500 → 501" in summary
    assert f"/deployments/deployment/{before['hourly']['id']}" in summary
    after = deployments(server)
    assert after["hourly"]["parameters"] == {"rows": 501}
    assert {name: row["id"] for name, row in after.items()} == {
        name: row["id"] for name, row in before.items()
    }


def test_a_pull_request_has_a_preview_as_long_as_it_is_open(
    deployed: Act, server: PrefectServer, registry: Registry
) -> None:
    production = deployments(server)
    package = f"{deployed.package}/preview"
    tags = registry.tags(deployed.package)
    deployed.replace("deployments/catalog.py", '"rows": 501', '"rows": 502')

    opened = deployed.pull_request("opened")
    ran = dict.fromkeys(["tests", "image", "preview"], "success")
    assert opened.jobs == ran, opened.output[-6000:]
    found = deployments(server)
    names = {"hourly-pr-7", "manual-pr-7", "nightly-pr-7"}
    assert found.keys() - production.keys() == names
    assert not any(each["active"] for each in found["hourly-pr-7"]["schedules"])
    digest = registry.digest(package, *registry.tags(package))
    image = f"{registry.address}/{package}@{digest}"
    assert found["hourly-pr-7"]["job_variables"]["image"] == image
    (comment,) = deployed.github["comments"]
    body = comment["body"].replace("\\", "")
    assert comment["issue"] == 7
    assert body.startswith("<!-- deployer: preview -->\n### preview is at release 1")
    assert "Plan for production" in body
    assert "parameters.rows: 501 → 502" in body
    assert "Completed" in body
    assert f"/deployments/deployment/{found['hourly-pr-7']['id']}" in body

    deployed.replace("README.md", "## First steps", "## The first steps")
    updated = deployed.pull_request("synchronize")
    assert updated.jobs == ran, updated.output[-6000:]
    assert updated.step("image", "Build") is None
    assert deployments(server) == found
    (comment,) = deployed.github["comments"]
    assert "preview is up to date" in comment["body"]
    assert "Plan for production" in comment["body"]

    tag = registry.tags(package)[0]
    versions = [(1, [tag]), (2, [tag.replace("pr-7-", "pr-70-")]), (3, ["pr-5-src-x"])]
    deployed.github = {
        **deployed.github,
        "pulls": [{"number": 70}],
        "versions": [
            {"id": number, "name": "v", "metadata": {"container": {"tags": each}}}
            for number, each in versions
        ],
    }
    address = deployed.variables.pop("REGISTRY")  # only GitHub's own registry is cleaned up
    closed = deployed.pull_request("closed")
    assert closed.jobs == {"cleanup": "success"}, closed.output[-6000:]
    assert "deleted basic-data-flow/hourly-pr-7" in closed.summaries["cleanup"]
    assert deployments(server) == production
    assert [each["id"] for each in deployed.github["versions"]] == [2, 3]

    swept = deployed.run("schedule", "cleanup.yml", {})
    assert swept.jobs == {"cleanup": "success"}, swept.output[-6000:]
    assert "Nothing is left over in preview" in swept.summaries["cleanup"]
    assert [each["id"] for each in deployed.github["versions"]] == [2]
    assert {each["path"] for each in deployed.records_of("gh") if each["method"] == "DELETE"} == {
        f"orgs/Acme/packages/container/small-flows%2Fpreview/versions/{number}" for number in (1, 3)
    }
    deployed.variables["REGISTRY"] = address
    assert registry.tags(deployed.package) == tags
    assert deployments(server) == production
    deployed.replace("deployments/catalog.py", '"rows": 502', '"rows": 501')


def test_a_pull_request_without_a_server_for_previews_is_green_and_told_so(deployed: Act) -> None:
    url = deployed.variables.pop("PREFECT_API_URL")
    run = deployed.pull_request("opened", 8)
    deployed.variables["PREFECT_API_URL"] = url
    assert set(run.jobs.values()) == {"success"}, run.output[-6000:]
    (comment,) = [each for each in deployed.github["comments"] if each["issue"] == 8]
    assert "gh variable set PREFECT_API_URL --env preview" in comment["body"]


def test_a_smoke_run_that_fails_leaves_production_as_it_was(
    deployed: Act, server: PrefectServer
) -> None:
    before = deployments(server)
    line = "    path = save(process(generate(rows)), output_path)\n"
    deployed.replace("flows/basic_flow.py", line, '    raise ValueError("a broken flow")\n')
    run = deployed.push()
    deployed.replace("flows/basic_flow.py", '    raise ValueError("a broken flow")\n', line)
    assert run.jobs == dict.fromkeys(JOBS, "success") | {"production": "failure"}
    summary = run.summaries["production"]
    assert "production: failed" in summary
    assert "ValueError: a broken flow" in summary
    assert "The server holds what it held before" in summary
    now = deployments(server)
    for row in (*before.values(), *now.values()):
        del row["updated"], row["pull_steps"]  # none of them is null before and [] after
        for schedule in row["schedules"]:
            del schedule["updated"]
    assert now == before


def test_drift_opens_one_issue_edits_it_and_closes_it(deployed: Act, server: PrefectServer) -> None:
    run = drift(deployed)
    assert run.jobs == {"drift": "success"}, run.output[-6000:]
    assert deployed.github["issues"] == []

    path = f"/deployments/{hourly(server)['id']}"
    for rows in (7, 8):
        server.request("PATCH", path, {"parameters": {"rows": rows}})
        run = drift(deployed)
        assert run.jobs == {"drift": "success"}, run.output[-6000:]
        (issue,) = deployed.github["issues"]
        assert f"parameters.rows: {rows} → 501" in issue["body"].replace("\\", "")
        assert f"{rows} → 501" in run.summaries["drift"]
    assert issue["state"] == "open"

    server.request("PATCH", path, {"parameters": {"rows": 501}})
    drift(deployed)
    (issue,) = deployed.github["issues"]
    assert issue["state"] == "closed"


def test_a_rollback_needs_no_registry(
    deployed: Act, server: PrefectServer, registry: Registry
) -> None:
    registry.stop()
    try:
        back = deployed.dispatch("rollback.yml", environment="production", verify="true")
        assert back.jobs == {"rollback": "success"}, back.output[-6000:]
        assert "production is at release 3" in back.summaries["rollback"]
        assert "Completed" in back.summaries["rollback"]
        assert hourly(server)["parameters"] == {"rows": 500}
        forth = deployed.dispatch(
            "rollback.yml", environment="production", release="2", verify="false"
        )
        assert forth.jobs == {"rollback": "success"}, forth.output[-6000:]
        assert hourly(server)["parameters"] == {"rows": 501}
    finally:
        registry.start()
    wrong = deployed.dispatch("rollback.yml", environment="production", release="99")
    assert wrong.jobs == {"rollback": "failure"}
    assert "There is no release 99 in production" in wrong.summaries["rollback"]
    assert hourly(server)["parameters"] == {"rows": 501}


def test_a_registry_that_is_down_builds_nothing_and_changes_nothing(
    deployed: Act, server: PrefectServer, registry: Registry
) -> None:
    before = deployments(server)
    built = len(deployed.records_of("build-push-action"))
    registry.stop()
    try:
        run = deployed.push()
    finally:
        registry.start()
    assert run.jobs == {"tests": "success", "image": "failure"}, run.output[-6000:]
    assert "The registry cannot be asked for" in run.output
    assert len(deployed.records_of("build-push-action")) == built
    assert deployments(server) == before


@pytest.mark.parametrize(
    ("url", "auth", "sentence"),
    [
        ("http://127.0.0.1:9/api", AUTH, "cannot be reached"),
        ("", "canary-wrong:canary-wrong", "refuses the credentials (401)"),
    ],
)
def test_a_server_that_is_down_or_refuses_the_key_is_a_sentence(
    deployed: Act, server: PrefectServer, url: str, auth: str, sentence: str
) -> None:
    before = deployments(server)
    deployed.variables["PREFECT_API_URL"] = url or server.api_url
    deployed.secrets["PREFECT_API_AUTH_STRING"] = auth
    run = deployed.dispatch("deploy.yml", environment="production")
    deployed.variables["PREFECT_API_URL"] = server.api_url
    deployed.secrets["PREFECT_API_AUTH_STRING"] = AUTH
    assert run.jobs["production"] == "failure", run.output[-6000:]
    assert sentence in run.summaries["production"]
    assert deployments(server) == before


def test_a_rebuild_renews_the_image_under_its_name(
    deployed: Act, server: PrefectServer, registry: Registry
) -> None:
    before = hourly(server)["job_variables"]["image"]
    tags = registry.tags(deployed.package)
    run = deployed.dispatch("deploy.yml", rebuild="true")
    assert run.jobs == dict.fromkeys(JOBS, "success"), run.output[-6000:]
    build = deployed.records_of("build-push-action")[-1]
    assert (build["pull"], build["no-cache"]) == ("true", "true")
    assert registry.tags(deployed.package) == tags
    after = hourly(server)["job_variables"]["image"]
    assert after != before
    assert after.rpartition("@")[2] in {registry.digest(deployed.package, tag) for tag in tags}


def test_of_two_racing_pushes_the_newer_one_stays(
    deployed: Act, server: PrefectServer, tmp_path: Path
) -> None:
    newer = Act(
        Path(shutil.copytree(deployed.project, tmp_path / "copy", ignore=lambda *_: {".git"})),
        tmp_path / "acting",
        name=deployed.repository,
        variables=deployed.variables,
        secrets=deployed.secrets,
    )
    newer.skip_tests()
    deployed.replace("deployments/catalog.py", '"rows": 501', '"rows": 601')
    newer.replace("deployments/catalog.py", '"rows": 501', '"rows": 602')
    # The first one has the lower run id.
    runs = [each.start("push", "deploy.yml", {}) for each in (deployed, newer)]
    old, new = [each.wait(300) for each in runs]
    assert new.jobs == dict.fromkeys(JOBS, "success"), new.output[-6000:]
    assert hourly(server)["parameters"] == {"rows": 602}
    if old.jobs["production"] == "failure":
        assert "is older than run" in old.summaries["production"]
    # Started once more, the older one is refused.
    last = deployed.start("push", "deploy.yml", {}, run_id=1).wait(300)
    assert last.jobs["production"] == "failure", last.output[-6000:]
    assert "Run 1 is older than run" in last.summaries["production"]
    assert hourly(server)["parameters"] == {"rows": 602}
