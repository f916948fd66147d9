"""rollback.yml and drift.yml as they are, on a project of one environment that was deployed twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.baking import bake_into
from tests.e2e.conftest import make_small
from tests.support.act import Act, WorkflowRun
from tests.support.docker import Registry, Worker
from tests.support.server import PrefectServer

CANARY = "canary-of-this-module"

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def deployed(
    template: Path,
    server: PrefectServer,
    registry: Registry,
    worker: Worker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Act:
    """A repository whose production is at release 2; release 1 had 500 rows, this one 501."""
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
        secrets={"REGISTRY_PASSWORD": CANARY},
    )
    make_small(repository)
    return repository


def hourly(server: PrefectServer) -> dict[str, Any]:
    """Return the one deployment that the tests look at."""
    rows = server.request("POST", "/deployments/filter", {"limit": 200})
    (row,) = [row for row in rows if row["name"] == "hourly"]
    return row


def drift(repository: Act) -> WorkflowRun:
    return repository.run("schedule", "drift.yml", {})


def test_two_pushes_without_staging(
    deployed: Act, server: PrefectServer, registry: Registry
) -> None:
    first = deployed.push()
    jobs = ["tests", "image", "attest", "production"]
    assert first.jobs == dict.fromkeys(jobs, "success"), first.output[-6000:]
    assert "production is at release 1" in first.summaries["production"]
    deployed.replace("deployments/catalog.py", '"rows": 500', '"rows": 501')
    second = deployed.push()
    assert second.jobs == dict.fromkeys(jobs, "success"), second.output[-6000:]
    assert "production is at release 2" in second.summaries["production"]
    assert hourly(server)["parameters"] == {"rows": 501}
    assert CANARY not in first.output + second.output


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


def test_a_server_that_is_down_and_a_wrong_key_are_sentences(
    deployed: Act, server: PrefectServer
) -> None:
    deployed.variables["PREFECT_API_URL"] = "http://127.0.0.1:9/api"
    down = deployed.push()
    assert down.jobs == {"tests": "success", "image": "success", "production": "failure"}
    assert "cannot be reached" in down.summaries["production"], down.output[-3000:]
    deployed.variables["PREFECT_API_URL"] = server.api_url
