"""Only images built by main run with credentials. The tests attack the workflows with real images.

Each test starts with production as after the first push.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.baking import run as call
from tests.e2e.small import BUILDING, JOBS, Site, explain
from tests.support.act import ATTESTED, Act
from tests.support.docker import docker

OWNED = "the attacker has the credentials"


def attack(site: Site, name: str, folder: Path) -> str:
    """Push an attacker's image under this name, as is possible with the token of a pull request.

    Returns:
        The image's digest.
    """
    (folder / "Dockerfile").write_text(f'FROM {site.image}\nENTRYPOINT ["echo", "{OWNED}"]\n')
    docker("build", "--quiet", "--tag", name, str(folder))
    site.registry.push(name)
    package, _, tag = name.removeprefix(f"{site.registry.address}/").rpartition(":")
    return site.registry.digest(package, tag)


def next_name(site: Site, clone: Act) -> str:
    """Return the name of main's next image, which an attacker can compute."""
    repository = f"{site.registry.address}/{clone.package}"
    command = ["python3", "-m", "tools.image", "--repository", repository, "--name-only"]
    return call(*command, folder=clone.project).stdout.strip()


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    """A folder for the attacker's Dockerfile."""
    folder = tmp_path / "evil"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("private", [False, True], ids=["public", "private"])
def test_an_image_that_a_pull_request_pushed_under_mains_next_name_is_never_run(
    clone: Act, site: Site, evil: Path, private: bool
) -> None:
    clone.private = private
    clone.replace("flows/basic_flow.py", "def save(", f"# Private: {private}.\ndef save(")
    name = next_name(site, clone)
    theirs = attack(site, name, evil)

    run = clone.dispatch("deploy.yml", dry_run="true")

    expected = {*JOBS} - ({"attest"} if private else set())
    assert run.jobs == dict.fromkeys(expected, "success"), explain(run)
    assert OWNED not in run.output
    assert OWNED not in run.summaries["production"]
    assert "exists, but is built again" in run.summaries["image"]
    ours = site.registry.digest(*name.removeprefix(f"{site.registry.address}/").rsplit(":", 1))
    assert ours != theirs
    assert f"@{ours}`, built now" in run.summaries["image"]
    assert f"@{ours}" in run.summaries["production"]
    assert site.gateway.writes == []


@pytest.mark.parametrize("private", [False, True], ids=["public", "private"])
def test_an_attackers_image_that_somebody_asks_for_by_its_digest_is_refused(
    clone: Act, site: Site, evil: Path, private: bool
) -> None:
    clone.private = private
    package = f"{site.registry.address}/{clone.package}"
    theirs = attack(site, f"{package}:evil-{private}", evil)
    run = clone.dispatch("deploy.yml", image=f"{package}@{theirs}", dry_run="true")
    expected = {"tests": "success", "image": "success", "production": "failure"}
    assert run.jobs == expected, explain(run)
    assert OWNED not in run.output
    assert "is refused: " in run.summaries["production"]
    why = "this run did not build it" if private else "nothing proves that"
    assert why in run.summaries["production"]
    assert site.gateway.writes == []


@pytest.mark.parametrize("private", [False, True], ids=["public", "private"])
def test_an_image_that_main_built_may_be_asked_for(clone: Act, site: Site, private: bool) -> None:
    clone.private = private
    clone.replace("README.md", "## First steps", "## The first steps")
    run = clone.dispatch("deploy.yml", image=site.image, dry_run="true")
    expected = dict.fromkeys({*JOBS} - BUILDING, "success")
    assert run.jobs == expected, explain(run)
    assert "Plan for production" in run.summaries["production"]
    proof = f"{site.image}: " + ("release " if private else "attested by")
    assert proof in run.output
    assert len(clone.records_of("attestation")) == (0 if private else 1)


def test_a_branch_deploys_nothing_not_even_to_look(clone: Act, site: Site) -> None:
    run = clone.dispatch("deploy.yml", branch="topic", dry_run="true")
    assert run.jobs == {"tests": "success", "image": "failure"}, explain(run)
    assert "this runs on refs/heads/topic: merge it, or run the workflow on main" in run.output
    for workflow in ("rollback.yml", "drift.yml"):
        other = clone.dispatch(workflow, branch="topic", environment="production")
        assert [*other.jobs.values()] == ["failure"], explain(other)
        assert "this runs on refs/heads/topic" in other.output
    assert site.gateway.writes == []


def test_an_attestation_that_is_missing_is_made_up_for(clone: Act, site: Site) -> None:
    (clone.records / ATTESTED).unlink()  # as if the run had ended between push and attestation
    before = site.deployed()
    clone.replace("README.md", "## First steps", "## The first steps")
    run = clone.push()
    assert run.jobs == dict.fromkeys(JOBS, "success"), explain(run)
    assert "no attestations found" in run.summaries["image"]
    attested = [each["subject-digest"] for each in clone.records_of("attest")]
    assert attested == [site.image.partition("@")[2]] * 2
    # The build cache produces the same image.
    assert "production is up to date" in run.summaries["production"]
    assert (site.deployed(), site.changes()) == (before, [])


def test_without_attestations_a_push_that_changes_nothing_that_runs_changes_nothing(
    clone: Act, site: Site
) -> None:
    before = site.deployed()
    clone.private = True
    clone.replace("README.md", "## First steps", "## The first steps")
    run = clone.push()
    assert run.jobs == dict.fromkeys({*JOBS} - {"attest"}, "success"), explain(run)
    assert "without them a tag proves nothing" in run.summaries["image"]
    assert clone.records_of("attestation") == []
    assert "production is up to date" in run.summaries["production"]
    assert (site.deployed(), site.changes()) == (before, [])


@pytest.mark.parametrize("threshold", ["", "high"], ids=["listed", "stopped"])
def test_a_known_vulnerability_is_listed_and_stops_from_the_threshold_on(
    clone: Act, site: Site, threshold: str
) -> None:
    (clone.records / ATTESTED).unlink()
    vulnerability = {"id": "CVE-2026-1", "severity": "High", "fix": {"versions": ["2.42"]}}
    match = {"vulnerability": vulnerability, "artifact": {"name": "libc6", "version": "2.41"}}
    (clone.records / "vulnerabilities.json").write_text(json.dumps({"matches": [match]}))
    clone.variables |= {"VULNERABILITY_THRESHOLD": threshold} if threshold else {}
    run = clone.dispatch("deploy.yml", dry_run="true")
    assert "| high | CVE-2026-1 | libc6 2.41 | 2.42 |" in run.summaries["scan"]
    if threshold:
        expected = {"tests": "success", "image": "success", "scan": "failure"}
        assert "nothing is deployed" in run.summaries["scan"]
    else:
        expected = dict.fromkeys(JOBS, "success")
    assert run.jobs == expected, explain(run)


def test_a_run_that_fails_on_main_opens_one_issue_that_the_next_good_one_closes(clone: Act) -> None:
    for number, (conclusion, state) in enumerate(
        [("failure", "open"), ("cancelled", "open"), ("success", "closed")]
    ):
        of_main = {"workflow_id": 1, "run_number": number, "event": "push", "display_title": "Edit"}
        ended = {"id": number, "conclusion": conclusion, "html_url": "https://run", **of_main}
        clone.github = {**clone.github, "runs": [ended]}
        payload = {"workflow": {"name": "Deploy"}, "workflow_run": {"id": number, "name": "Edit"}}
        run = clone.run("workflow_run", "report.yml", payload)
        assert run.jobs == {"report": "success"}, explain(run)
        (issue,) = clone.github["issues"]
        assert (issue["title"], issue["state"]) == ("Deploy fails on main", state)
        assert "[The last run](https://run) ended with failure" in issue["body"]


def test_a_base_image_that_has_moved_is_built_on_and_one_that_has_not_is_not(
    clone: Act, site: Site, evil: Path
) -> None:
    base = next(
        line.split()[1]
        for line in (clone.project / "Dockerfile").read_text().splitlines()
        if line.startswith("FROM ")
    )
    mirror = f"{site.registry.address}/mirror"
    docker("tag", base, f"{mirror}/{base}")
    site.registry.push(f"{mirror}/{base}")
    clone.variables["BASE_MIRROR"] = mirror
    same = clone.run("schedule", "renew.yml", {})
    assert same.jobs == {"renew": "success"}, explain(same)
    assert clone.records_of("workflow") == []

    (evil / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /a-newer-base\n")
    docker("build", "--quiet", "--tag", f"{mirror}/{base}", str(evil))
    site.registry.push(f"{mirror}/{base}")
    moved = clone.run("schedule", "renew.yml", {})
    assert moved.jobs == {"renew": "success"}, explain(moved)
    (started,) = clone.records_of("workflow")
    assert started == ["deploy.yml", "--ref", "main", "-f", "rebuild=true"]
    assert f"{base} has changed since" in moved.summaries["renew"]


@pytest.mark.parametrize(
    ("variables", "action", "given"),
    [
        (
            {"REGISTRY_AUTH": "docker-hub", "REGISTRY_USERNAME": "Jo", "REGISTRY": ""},
            "login-action",
            {"registry": "docker.io", "username": "Jo"},
        ),
        (
            {
                "REGISTRY_AUTH": "aws",
                "AWS_ROLE": "arn:aws:iam::1:role/x",
                "AWS_REGION": "eu-west-1",
            },
            "configure-aws-credentials",
            {"role-to-assume": "arn:aws:iam::1:role/x", "aws-region": "eu-west-1"},
        ),
        (
            {
                "REGISTRY_AUTH": "google",
                "REGISTRY": "europe-docker.pkg.dev/project/images",
                "GOOGLE_PROVIDER": "projects/1/providers/github",
                "GOOGLE_SERVICE_ACCOUNT": "push@project",
            },
            "login-action",
            {"registry": "europe-docker.pkg.dev", "password": "canary-google-token"},
        ),
        (
            {"REGISTRY_AUTH": "azure", "AZURE_CLIENT_ID": "client", "AZURE_TENANT_ID": "tenant"},
            "login",
            {"client-id": "client", "tenant-id": "tenant"},
        ),
    ],
    ids=["docker-hub", "aws", "google", "azure"],
)
def test_a_job_logs_in_as_the_variable_says(
    clone: Act, variables: dict[str, str], action: str, given: dict[str, str]
) -> None:
    az = clone.records / "az"
    az.write_text('#!/bin/sh\nprintf \'"%s"\\n\' "$*" >>"$STAND_INS/az.jsonl"\n')
    az.chmod(0o755)
    clone.variables |= variables
    # The registry does not exist, so the job fails at the login or soon after it.
    run = clone.dispatch("deploy.yml", dry_run="true")
    assert run.jobs["image"], explain(run)
    (login,) = clone.records_of(action)[:1]
    assert given.items() <= login.items(), explain(run)
    if variables["REGISTRY_AUTH"] == "aws":
        assert len(clone.records_of("amazon-ecr-login")) >= 1
    if variables["REGISTRY_AUTH"] == "azure":
        assert clone.records_of("az")[0] == "acr login --name 127"
    if variables["REGISTRY_AUTH"] != "docker-hub":
        assert "canary-registry-password" not in str(clone.records_of("login-action"))
