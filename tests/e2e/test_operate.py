"""drift.yml and rollback.yml, on a small project in production.

Each test starts with production as after the first push.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.small import JOBS, Site, explain
from tests.support.act import Act, WorkflowRun
from tests.support.docker import docker
from tests.support.waiting import eventually

GPU = """\
FROM runtime AS gpu
ENV PYTHONPATH=/app IMAGE=gpu
COPY --from=build /opt/venv /opt/venv
COPY flows /app/flows
COPY deployments /app/deployments
COPY deployer /app/deployer
"""


def drift(repository: Act) -> WorkflowRun:
    return repository.run("schedule", "drift.yml", {})


def rollback(repository: Act, **inputs: str) -> WorkflowRun:
    inputs["environment"] = "production"
    return repository.dispatch("rollback.yml", timeout=900, **inputs)


def test_drift_made_by_hand_opens_one_issue_edits_it_and_closes_it(clone: Act, site: Site) -> None:
    # Commits after the last deploy are not drift.
    clone.replace("deployments/catalog.py", '"rows": 500', '"rows": 501')
    run = drift(clone)
    assert run.jobs == {"drift": "success"}, explain(run)
    assert clone.github["issues"] == []

    path = f"/deployments/{site.hourly()['id']}"
    for rows in (7, 8):
        site.server.request("PATCH", path, {"parameters": {"rows": rows}})
        run = drift(clone)
        assert run.jobs == {"drift": "success"}, explain(run)
        (issue,) = clone.github["issues"]
        assert f"parameters.rows: {rows} → 500" in issue["body"].replace("\\", "")
        assert f"{rows} → 500" in run.summaries["drift"]
    assert issue["state"] == "open"

    site.server.request("PATCH", path, {"parameters": {"rows": 500}})
    run = drift(clone)
    assert run.jobs == {"drift": "success"}, explain(run)
    (issue,) = clone.github["issues"]
    assert issue["state"] == "closed"
    assert site.gateway.writes == []


def test_before_the_first_release_there_is_no_drift(clone: Act, site: Site) -> None:
    clone.replace("deployments/environments.toml", 'project = "', 'project = "not-')
    run = drift(clone)
    assert run.jobs == {"drift": "success"}, explain(run)
    assert "Nothing was released in production yet" in run.summaries["drift"]
    assert clone.github["issues"] == []
    assert site.gateway.writes == []


def test_a_rollback_needs_no_registry_and_no_image(clone: Act, site: Site) -> None:
    clone.replace("Dockerfile", "\nFROM runtime\n", f"\n{GPU}\nFROM runtime\n")
    clone.replace("deployments/environments.toml", "[local]", '[images]\ngpu = "gpu"\n\n[local]')
    clone.replace("deployments/catalog.py", '"rows": 500},', '"rows": 501},\n        image="gpu",')
    pushed = clone.push()
    assert pushed.jobs == dict.fromkeys(JOBS, "success"), explain(pushed)
    image = assert_two_images_were_built(clone, site, pushed)
    latest = number(pushed.summaries["production"])
    site.registry.stop()
    try:
        back = rollback(clone, verify="true")
        assert back.jobs == {"rollback": "success"}, explain(back)
        assert number(back.summaries["rollback"]) == latest + 1
        assert "Completed" in back.summaries["rollback"]
        assert deployed(site) == ({"rows": 500}, site.image)
        forth = rollback(clone, release=str(latest), verify="false")
        assert forth.jobs == {"rollback": "success"}, explain(forth)
        assert "Completed" not in forth.summaries["rollback"]
        assert deployed(site) == ({"rows": 501}, image)
    finally:
        site.registry.start()
    assert len(clone.records_of("build-push-action")) == 1


def assert_two_images_were_built(clone: Act, site: Site, pushed: WorkflowRun) -> str:
    """Check build and deploy of the image that one deployment names itself, and return it."""
    gpu, first = (site.deployed()[name]["job_variables"]["image"] for name in ("hourly", "manual"))
    assert gpu != first
    for image, name, tag in ((first, "", "src-"), (gpu, " gpu", "gpu-")):
        assert f"Image{name}: `{image}`, built now" in pushed.summaries["image"]
        digests = {site.registry.digest(clone.package, t) for t in site.tags() if t.startswith(tag)}
        assert image.partition("@")[2] in digests
        assert f"{image}: attested by" in pushed.output
    assert f'job\\_variables.image: "{site.image}" → "{gpu}"' in pushed.summaries["production"]
    scanned = [each["image"] for each in clone.records_of("sbom-action")]
    assert sorted(scanned) == sorted([first, gpu])
    subjects = [
        f"{each['subject-name']}@{each['subject-digest']}" for each in clone.records_of("attest")
    ]
    assert sorted(subjects) == sorted([first, gpu] * 2)  # provenance and SBOM
    assert docker("run", "--rm", gpu, "printenv", "IMAGE").strip() == "gpu"
    return str(gpu)


def deployed(site: Site) -> tuple[Any, str]:
    """Return parameters and image of the deployment that the tests change."""
    row = site.hourly()
    return row["parameters"], row["job_variables"]["image"]


def number(summary: str) -> int:
    """Return the number of the release in a summary."""
    return int(summary.partition("production is at release ")[2].split()[0].rstrip("."))


def test_a_rollback_to_a_release_that_never_was_changes_nothing(clone: Act, site: Site) -> None:
    before = site.deployed()
    run = rollback(clone, release="9999")
    assert run.jobs == {"rollback": "failure"}, explain(run)
    assert "There is no release 9999 in production" in run.summaries["rollback"]
    assert (site.deployed(), site.gateway.writes) == (before, [])


def test_production_refuses_another_plan_than_the_one_that_was_shown_before(
    clone: Act, site: Site
) -> None:
    clone.variables["PLAN_ENVIRONMENT"] = "plan"
    path = f"/deployments/{site.hourly()['id']}"

    def edit(rows: int) -> None:
        site.server.request("PATCH", path, {"parameters": {"rows": rows}})

    edit(7)
    inputs = {"environment": "production", "image": site.image}
    event = {"ref": "refs/heads/main", "inputs": inputs}
    running = clone.start("workflow_dispatch", "deploy.yml", event)
    try:
        # Edit between plan and deploy, when the workflow would wait for an approval.
        planned = '"jobID":"plan","jobResult":"success"'
        eventually(lambda: planned in running.log.read_text(errors="replace") or None, 900)
        edit(8)
    finally:
        run = running.wait(900)
    jobs = {"tests": "success", "image": "success", "plan": "success", "production": "failure"}
    assert run.jobs == jobs, explain(run)
    assert "rows: 7 → 500" in run.summaries["plan"].replace("\\", "")
    assert "was approved, but the plan is" in run.summaries["production"]
    assert (site.hourly()["parameters"], site.changes()) == ({"rows": 8}, [])

    run = clone.dispatch("deploy.yml", environment="production", image=site.image)
    assert run.jobs == {**jobs, "production": "success"}, explain(run)
    assert site.hourly()["parameters"] == {"rows": 500}


@pytest.mark.parametrize("workflow", ["rollback", "drift"])
@pytest.mark.parametrize(
    ("url", "command"),
    [
        (None, "gh variable set PREFECT_API_URL --env production"),
        ("https://api.prefect.cloud/api/x", "gh secret set PREFECT_API_KEY --env production"),
    ],
)
def test_what_is_not_set_is_named_in_the_first_step_with_the_command_that_sets_it(
    clone: Act, workflow: str, url: str | None, command: str
) -> None:
    del clone.variables["PREFECT_API_URL"]
    if url:
        clone.variables["PREFECT_API_URL"] = url
    run = rollback(clone) if workflow == "rollback" else drift(clone)
    assert run.jobs == {workflow: "failure"}, explain(run)
    assert [step.name for step in run.steps][1:] == ["Check the settings"]
    assert f"run `{command}`" in run.output


def test_the_environment_that_plans_is_named_if_it_lacks_a_setting(clone: Act, site: Site) -> None:
    del clone.variables["PREFECT_API_URL"]
    clone.variables["PLAN_ENVIRONMENT"] = "plans"
    run = clone.dispatch("deploy.yml", environment="production", image=site.image)
    assert run.jobs == {"tests": "success", "image": "success", "plan": "failure"}, explain(run)
    assert "run `gh variable set PREFECT_API_URL --env plans`" in run.output


def test_what_reaches_the_server_waits_for_a_runner_of_ones_own(clone: Act) -> None:
    clone.private = True
    clone.variables["RUNNER"] = "private"
    assert rollback(clone).jobs == {}
    assert drift(clone).jobs == {}
    clone.runners = ["private"]
    run = drift(clone)
    assert run.jobs == {"drift": "success"}, explain(run)
