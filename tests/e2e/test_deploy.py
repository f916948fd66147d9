"""deploy.yml as it is, from a push to flow runs that completed in containers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.act import Act, WorkflowRun
from tests.support.docker import Registry, Worker
from tests.support.server import PrefectServer

PACKAGE = "acme/weather-flows"  # the image's name is the repository's, in lower case
CANARIES = ("canary-github-token", "canary-registry-password")

pytestmark = pytest.mark.timeout(1200)


def deployments(server: PrefectServer) -> dict[str, dict[str, Any]]:
    """Return what is deployed, by name."""
    found = server.request("POST", "/deployments/filter", {"limit": 200})
    return {deployment["name"]: deployment for deployment in found}


def flow_runs(server: PrefectServer, deployment: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the deployment's runs that are no longer waiting for their time."""
    body = {
        "deployments": {"id": {"any_": [deployment["id"]]}},
        "flow_runs": {"state": {"type": {"not_any_": ["SCHEDULED"]}}},
    }
    found: list[dict[str, Any]] = server.request("POST", "/flow_runs/filter", body)
    return found


def assert_no_secret_in(text: str) -> None:
    """Check that no secret stands in a text."""
    assert not [canary for canary in CANARIES if canary in text]


def explain(run: WorkflowRun) -> str:
    """Return what a person needs to see when a workflow ended otherwise than expected."""
    return f"jobs {run.jobs}\n{run.output[-6000:]}"


def test_a_push_ends_with_completed_flow_runs_in_containers_and_a_second_one_changes_nothing(
    repository: Act, server: PrefectServer, registry: Registry, worker: Worker
) -> None:
    first = repository.push()

    expected = ["tests", "image", "attest", "staging", "production"]
    assert sorted(first.jobs) == sorted(expected), explain(first)
    assert set(first.jobs.values()) == {"success"}, explain(first)

    (tag,) = registry.tags(PACKAGE)
    assert tag.startswith("src-")
    assert len(tag) == len("src-") + 40
    digest = registry.digest(PACKAGE, tag)
    image = f"{registry.address}/{PACKAGE}@{digest}"
    before = deployments(server)
    assert sorted(before) == sorted(
        name + suffix for name in ("hourly", "nightly", "manual") for suffix in ("", "-staging")
    )
    assert {d["job_variables"]["image"] for d in before.values()} == {image}

    for name in ("hourly", "nightly", "hourly-staging", "nightly-staging"):
        (run,) = flow_runs(server, before[name])
        assert run["state"]["type"] == "COMPLETED", run["state"]
        assert f"Completed submission of flow run '{run['id']}'" in worker.output
    for job in ("staging", "production"):
        assert "hourly" in first.summaries[job]
        assert digest in first.summaries[job]

    build = repository.records_of("build-push-action")
    assert [(b["provenance"], b["sbom"], b["load"]) for b in build] == [("false", "false", "true")]
    assert repository.records_of("attest") == [
        {"subject-name": f"{registry.address}/{PACKAGE}", "subject-digest": digest}
    ]
    logins = repository.records_of("login-action")
    assert {(login["registry"], login["password"]) for login in logins} == {
        (registry.address, "canary-registry-password")
    }

    (repository.project / "README.md").write_text("# Another text\n")
    repository.commit("README only")
    second = repository.push()

    assert sorted(second.jobs) == sorted(set(expected) - {"attest"}), explain(second)
    assert set(second.jobs.values()) == {"success"}, explain(second)
    assert second.step("image", "Build") is None
    assert len(repository.records_of("build-push-action")) == 1
    assert registry.tags(PACKAGE) == [tag]
    assert registry.digest(PACKAGE, tag) == digest
    assert deployments(server) == before
    for name in ("hourly", "nightly"):
        assert len(flow_runs(server, before[name])) == 1

    for text in (first.output, second.output, worker.output, server.output, json.dumps(before)):
        assert_no_secret_in(text)


def test_an_unset_variable_is_named_in_the_first_step_with_the_command_that_sets_it(
    repository: Act, server: PrefectServer
) -> None:
    del repository.variables["PREFECT_API_URL"]
    before = deployments(server)
    run = repository.push()
    assert run.exit_code == 1
    assert run.jobs["staging"] == "failure", explain(run)
    assert "production" not in run.jobs
    assert [step.name for step in run.steps if step.job == "staging"] == ["Say what is not set"]
    assert "gh variable set PREFECT_API_URL --env staging" in run.output
    assert deployments(server) == before


def test_a_registry_without_its_password_is_named_before_anything_is_built(
    repository: Act, registry: Registry
) -> None:
    repository.secrets.pop("REGISTRY_PASSWORD")
    before = registry.tags(PACKAGE)
    run = repository.push()
    assert run.jobs == {"tests": "success", "image": "failure"}, explain(run)
    assert "gh secret set REGISTRY_PASSWORD" in run.output
    assert registry.tags(PACKAGE) == before
