"""The unmodified deploy.yml, from a push to completed flow runs in containers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.e2e.small import NEVER_LOGGED, deployments, explain
from tests.support.act import Act
from tests.support.docker import PASSWORD, Registry, Worker, docker
from tests.support.server import PrefectServer

JOBS = ("tests", "image", "scan", "attest", "staging", "production")
BUILDING = {"scan", "attest"}


def flow_runs(server: PrefectServer, deployment: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the deployment's smoke runs, without those of its schedule at 03:00 UTC."""
    body = {
        "deployments": {"id": {"any_": [deployment["id"]]}},
        "flow_runs": {"tags": {"all_": ["smoke"]}},
    }
    found: list[dict[str, Any]] = server.request("POST", "/flow_runs/filter", body)
    return found


def test_a_push_ends_with_completed_flow_runs_in_containers_and_a_second_one_changes_nothing(
    repository: Act, server: PrefectServer, private_registry: Registry, worker: Worker
) -> None:
    repository.skip_tests()  # tests/project/test_sessions.py runs them
    first = repository.push()

    assert sorted(first.jobs) == sorted(JOBS), explain(first)
    assert set(first.jobs.values()) == {"success"}, explain(first)

    (tag,) = private_registry.tags(repository.package)
    assert tag.startswith("src-")
    assert len(tag) == len("src-") + 40
    digest = private_registry.digest(repository.package, tag)
    image = f"{private_registry.address}/{repository.package}@{digest}"
    before = deployments(server)
    assert sorted(before) == sorted(
        name + suffix for name in ("hourly", "nightly", "manual") for suffix in ("", "-staging")
    )
    assert {d["job_variables"]["image"] for d in before.values()} == {image}

    for name in ("hourly", "nightly", "hourly-staging", "nightly-staging"):
        (run,) = flow_runs(server, before[name])
        assert run["state"]["type"] == "COMPLETED", run["state"]
        container = run["infrastructure_pid"].rpartition(":")[2]
        assert docker("inspect", "--format", "{{.Config.Image}}", container) == image
    assert f"`{image}`, built now" in first.summaries["image"]
    for job in ("staging", "production"):
        assert f"{job} is at release 1" in first.summaries[job]
        assert "hourly" in first.summaries[job]
        assert "Completed" in first.summaries[job]

    build = repository.records_of("build-push-action")
    assert [(b["provenance"], b["sbom"], b["load"]) for b in build] == [("false", "false", "true")]
    subject = {
        "subject-name": f"{private_registry.address}/{repository.package}",
        "subject-digest": digest,
    }
    made, listed = repository.records_of("attest")
    assert made == {**subject, "sbom-path": ""}
    assert listed == {**subject, "sbom-path": listed["sbom-path"]}
    (scan,) = repository.records_of("sbom-action")
    assert scan["image"] == image
    bill = json.loads((repository.records / "sbom.json").read_text())
    assert bill["bomFormat"] == "CycloneDX"
    assert "Known vulnerabilities: none" in first.summaries["scan"]
    logins = repository.records_of("login-action")
    assert {(login["registry"], login["password"]) for login in logins} == {
        (private_registry.address, PASSWORD)
    }

    (repository.project / "README.md").write_text("# Another text\n")
    repository.commit("README only")
    second = repository.push()

    assert sorted(second.jobs) == sorted({*JOBS} - BUILDING), explain(second)
    assert set(second.jobs.values()) == {"success"}, explain(second)
    assert f"`{image}`, already built" in second.summaries["image"]
    assert "production is up to date" in second.summaries["production"]
    assert second.step("image", "Build") is None
    assert len(repository.records_of("build-push-action")) == 1
    assert private_registry.tags(repository.package) == [tag]
    assert private_registry.digest(repository.package, tag) == digest
    assert deployments(server) == before
    for name in ("hourly", "nightly"):
        assert len(flow_runs(server, before[name])) == 1

    for text in (first.output, second.output, worker.output, server.output, json.dumps(before)):
        assert not [word for word in NEVER_LOGGED if word in text]


def test_an_unset_variable_is_named_in_the_first_step_with_the_command_that_sets_it(
    repository: Act, server: PrefectServer
) -> None:
    repository.skip_tests()
    del repository.variables["PREFECT_API_URL"]
    before = deployments(server)
    run = repository.push()
    assert run.exit_code == 1
    assert run.jobs["staging"] == "failure", explain(run)
    assert "production" not in run.jobs
    ran = [step.name for step in run.steps if step.job == "staging"]
    assert ran[1:] == ["Check the settings", "Deploy", "Write the summary"]
    assert "gh variable set PREFECT_API_URL --env staging" in run.output
    assert deployments(server) == before


def test_a_dispatch_plans_only_or_sends_a_given_image_to_another_work_pool(
    repository: Act,
    server: PrefectServer,
    private_registry: Registry,
    worker: Worker,
    tmp_path: Path,
) -> None:
    repository.skip_tests()
    before = deployments(server)

    dry = repository.dispatch("deploy.yml", environment="production", dry_run="true")

    assert dry.jobs == dict.fromkeys({*JOBS} - {"staging"}, "success"), explain(dry)
    assert "Plan for production" in dry.summaries["production"]
    assert deployments(server) == before

    (tag,) = private_registry.tags(repository.package)
    digest = private_registry.digest(repository.package, tag)
    image = f"{private_registry.address}/{repository.package}@{digest}"
    (repository.project / "flows" / "new.py").write_text("# Not in the image that is given.\n")
    repository.commit("Another image")
    with Worker(server, "another-pool", tmp_path / "worker"):
        sent = repository.dispatch(
            "deploy.yml", environment="staging", image=image, work_pool="another-pool"
        )
        assert sent.jobs == dict.fromkeys(["tests", "image", "staging"], "success"), explain(sent)
    assert private_registry.tags(repository.package) == [tag]
    after = deployments(server)
    for name in ("hourly-staging", "nightly-staging", "manual-staging"):
        assert after[name]["work_pool_name"] == "another-pool"
        assert after[name]["job_variables"]["image"] == image
