"""deploy.yml for a small project: what a push changes, refuses, and leaves unchanged.

Each test starts with production as after the first push.
"""

from __future__ import annotations

import platform
import socket
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.small import BUILDING, FILE, HEADER, JOBS, NEVER_LOGGED, Site, explain
from tests.support.act import Act, WorkflowRun
from tests.support.docker import docker
from tests.support.proxy import Proxy

LINE = "    path = save(process(generate(rows)), output_path)\n"
NAMES = ["hourly", "manual", "nightly"]
CLOUD = "https://api.prefect.cloud/api/accounts/a/workspaces/w"


def test_a_first_push_without_staging_builds_and_deploys_to_production(site: Site) -> None:
    first = site.first
    assert site.before == {}
    assert first.jobs == dict.fromkeys(JOBS, "success"), explain(first)
    assert "3 deployments and 4 environments are fine." in first.summaries["image"]
    assert f"`{site.image}`, built now" in first.summaries["image"]
    summary = first.summaries["production"]
    assert "production is at release 1" in summary
    assert "3 to add, 0 to change, 0 to delete" in summary
    assert "Completed" in summary
    assert "Took plan" in summary
    production = {name for name, row in site.deployed().items() if "pr-" not in name}
    assert production == set(NAMES)


def test_no_secret_and_no_file_that_stays_out_is_in_any_layer_of_the_image(site: Site) -> None:
    # Search also for known texts of the code and the virtual environment, to check the search.
    known = {"def basic_data_flow", "def prefect_test_harness"}
    words = [*NEVER_LOGGED, FILE, "canary-", *known]
    assert site.registry.search(site.origin.package, site.image.partition("@")[2], words) == known


def test_a_push_with_one_changed_flow_changes_its_version_and_everybodys_image(
    clone: Act, site: Site
) -> None:
    before = site.deployed()
    clone.replace("flows/basic_flow.py", LINE, f"    # Another version.\n{LINE}")
    run = clone.push()
    assert run.jobs == dict.fromkeys(JOBS, "success"), explain(run)
    after = site.deployed()
    for name in NAMES:
        assert after[name]["id"] == before[name]["id"]
        assert after[name]["job_variables"]["image"] != site.image
        assert (after[name]["version"] != before[name]["version"]) is (name == "hourly")
    assert len({after[name]["job_variables"]["image"] for name in NAMES}) == 1
    summary = run.summaries["production"].replace("\\", "")
    assert "0 to add, 3 to change, 0 to delete" in summary
    assert summary.count("job_variables.image: ") == 1
    assert summary.count("version: ") == 1
    assert "Completed" in summary
    assert f"/deployments/deployment/{before['hourly']['id']}" in summary


def test_a_push_that_changes_nothing_that_runs_builds_nothing_and_changes_nothing(
    clone: Act, site: Site
) -> None:
    before, tags = site.deployed(), site.tags()
    for name in ("README.md", "tests/test_catalog.py", ".github/workflows/drift.yml"):
        file = clone.project / name
        file.write_text(f"{file.read_text()}# One more line.\n")
    clone.commit("Nothing that runs")
    run = clone.push()
    assert run.jobs == dict.fromkeys({*JOBS} - BUILDING, "success"), explain(run)
    assert f"`{site.image}`, already built" in run.summaries["image"]
    assert "production is up to date" in run.summaries["production"]
    assert clone.records_of("build-push-action") == []
    assert (site.tags(), site.deployed(), site.changes()) == (tags, before, [])


def test_a_second_push_that_changes_nothing_runs_no_image_and_an_edit_is_still_taken_back(
    clone: Act, site: Site
) -> None:
    def push() -> WorkflowRun:
        file = clone.project / "README.md"
        file.write_text(f"{file.read_text()}One more line.\n")
        clone.commit("Nothing that runs")
        return clone.push()

    push()  # its deployer records the server's answers
    since = str(time.time())
    run = push()

    assert run.jobs == dict.fromkeys({*JOBS} - BUILDING, "success"), explain(run)
    assert "production is up to date" in run.summaries["production"]
    assert "the image was not pulled" in run.summaries["production"]
    created = ["--filter=event=create", f"--filter=image={site.image}"]
    events = docker("events", "--since", since, "--until", str(time.time()), *created)
    # A worker creates a container for a run of a schedule, at 03:00 UTC.
    assert [each for each in events.splitlines() if "flow-run-id" not in each] == []

    hourly = site.hourly()
    edit = {"parameters": {**hourly["parameters"], "rows": 1}}
    site.server.request("PATCH", f"/deployments/{hourly['id']}", edit)
    run = push()

    assert "parameters.rows: 1" in run.summaries["production"].replace("\\", "")
    assert site.hourly()["parameters"] == hourly["parameters"]


@pytest.mark.parametrize(
    ("path", "text", "broken", "sentence"),
    [
        ("flows/basic_flow.py", "import csv", "import no_such_library", "no_such_library"),
        ("deployments/catalog.py", '"rows": 500', '"rosw": 500', "rosw"),
    ],
)
def test_a_broken_flow_is_found_in_the_image_before_it_is_pushed(
    clone: Act, site: Site, path: str, text: str, broken: str, sentence: str
) -> None:
    before, tags = site.deployed(), site.tags()
    clone.replace(path, text, broken)
    run = clone.push()
    assert run.jobs == {"tests": "success", "image": "failure"}, explain(run)
    assert "check: failed" in run.summaries["image"]
    assert sentence in run.summaries["image"]
    assert (site.tags(), site.deployed(), site.gateway.writes) == (tags, before, [])


def test_a_smoke_run_that_fails_leaves_production_as_it_was(clone: Act, site: Site) -> None:
    before = site.deployed()
    clone.replace("flows/basic_flow.py", LINE, '    raise ValueError("a broken flow")\n')
    run = clone.push()
    assert run.jobs == dict.fromkeys(JOBS, "success") | {"production": "failure"}, explain(run)
    summary = run.summaries["production"]
    assert "production: failed" in summary
    assert "ValueError: a broken flow" in summary
    assert "The server is as it was before the deploy" in summary
    now = site.deployed()
    for row in (*before.values(), *now.values()):
        del row["updated"], row["pull_steps"]  # pull_steps changes from null to []
        for schedule in row["schedules"]:
            del schedule["updated"]
    assert now == before


def test_a_registry_that_is_down_builds_nothing_and_changes_nothing(clone: Act, site: Site) -> None:
    before = site.deployed()
    site.registry.stop()
    try:
        run = clone.push()
    finally:
        site.registry.start()
    assert run.jobs == {"tests": "success", "image": "failure"}, explain(run)
    login = run.step("image", "Log in to the registry")
    assert login is not None
    assert login.result == "failure"
    assert "connection refused" in run.output
    assert clone.records_of("build-push-action") == []
    assert (site.deployed(), site.gateway.writes) == (before, [])


@pytest.mark.parametrize(
    ("variables", "secrets", "sentence"),
    [
        ({"PREFECT_API_URL": "http://127.0.0.1:9/api"}, {}, "cannot be reached"),
        ({}, {"PREFECT_API_AUTH_STRING": "no:canary-auth-string"}, "refuses the credentials (401)"),
        (
            {},
            {"PREFECT_API_AUTH_STRING": "", "PREFECT_API_KEY": "canary-auth-string"},
            "refuses the credentials (401)",
        ),
        ({}, {"PREFECT_CLIENT_CUSTOM_HEADERS": ""}, "and PREFECT_CLIENT_CUSTOM_HEADERS for"),
    ],
    ids=["down", "auth-string", "key", "header"],
)
def test_a_server_that_is_down_or_refuses_what_it_is_given_is_a_sentence(
    clone: Act, site: Site, variables: dict[str, str], secrets: dict[str, str], sentence: str
) -> None:
    before = site.deployed()
    clone.variables |= variables
    clone.secrets |= secrets
    run = clone.dispatch("deploy.yml", environment="production")
    expected = {"tests": "success", "image": "success", "production": "failure"}
    assert run.jobs == expected, explain(run)
    assert sentence in run.summaries["production"]
    assert (site.deployed(), site.gateway.writes) == (before, [])


def test_what_runs_in_the_image_reaches_the_runners_loopback_only_where_the_server_is_there(
    clone: Act, site: Site
) -> None:
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener.setblocking(False)
        port = listener.getsockname()[1]
        knock = f'socket.socket().connect_ex(("127.0.0.1", {port}))'
        clone.replace(
            "deployments/catalog.py", "\nCATALOG", f"\nimport socket\n\n{knock}\n\nCATALOG"
        )
        run = clone.dispatch("deploy.yml", dry_run="true")
        assert run.jobs == dict.fromkeys(JOBS, "success"), explain(run)
        with pytest.raises(BlockingIOError):
            listener.accept()

        here = stack.enter_context(Proxy(site.server.api_url, header=HEADER))
        clone.variables["PREFECT_API_URL"] = here.api_url
        run = clone.dispatch("deploy.yml", dry_run="true")
        assert run.jobs == dict.fromkeys({*JOBS} - BUILDING, "success"), explain(run)
        assert "Plan for production" in run.summaries["production"]
        listener.accept()[0].close()


@pytest.mark.parametrize(
    ("job", "without", "command"),
    [
        ("image", "REGISTRY_USERNAME", "gh variable set REGISTRY_USERNAME"),
        ("image", "REGISTRY_PASSWORD", "gh secret set REGISTRY_PASSWORD"),
        ("production", "PREFECT_API_URL", "gh variable set PREFECT_API_URL --env production"),
        ("production", "PREFECT_API_KEY", "gh secret set PREFECT_API_KEY --env production"),
    ],
)
def test_what_is_not_set_is_named_in_the_first_step_with_the_command_that_sets_it(
    clone: Act, site: Site, job: str, without: str, command: str
) -> None:
    before = site.deployed()
    if without == "PREFECT_API_KEY":
        clone.variables["PREFECT_API_URL"] = CLOUD
    clone.variables.pop(without, None)
    clone.secrets.pop(without, None)
    run = clone.push()
    assert run.jobs[job] == "failure", explain(run)
    ran = [step.name for step in run.steps if step.job == job]
    action = {"image": "Image", "production": "Deploy"}[job]
    assert ran[1:3] == ["Check the settings", action]
    assert f"run `{command}`" in run.output
    assert clone.records_of("build-push-action") == []
    assert (site.deployed(), site.gateway.writes) == (before, [])


@pytest.mark.parametrize(
    ("image", "why"),
    [
        ("{repository}:latest", "has no digest"),
        ("{repository}@sha256:0", "has no digest"),
        (f"{{repository}}/preview@sha256:{'0' * 64}", "A pull request's image is only"),
        (f"ghcr.io/mallory/flows@sha256:{'0' * 64}", "only images of"),
    ],
)
def test_an_image_that_is_no_release_by_its_digest_is_refused(
    clone: Act, site: Site, image: str, why: str
) -> None:
    given = image.format(repository=f"{site.registry.address}/{clone.package}")
    run = clone.dispatch("deploy.yml", image=given)
    assert run.jobs == {"tests": "success", "image": "failure"}, explain(run)
    ran = [step.name for step in run.steps if step.job == "image"]
    assert ran[1:-1] == ["Check the settings"]
    assert f"The image {given} " in run.output
    assert why in run.output
    assert site.gateway.writes == []


def test_a_rebuild_renews_the_image_under_its_name(clone: Act, site: Site, tmp_path: Path) -> None:
    # In a package of its own, so that production's image does not change.
    repository = clone.copy(tmp_path / "rebuilt", name="Acme/Rebuilt-Flows")
    digests = []
    for rebuild in ("false", "true"):
        run = repository.dispatch("deploy.yml", rebuild=rebuild, dry_run="true")
        assert run.jobs == dict.fromkeys(JOBS, "success"), explain(run)
        (tag,) = site.registry.tags(repository.package)
        digests.append(site.registry.digest(repository.package, tag))
        image = f"{site.registry.address}/{repository.package}@{digests[-1]}"
        assert f"`{image}`, built now" in run.summaries["image"]
        assert image in run.summaries["production"]
    assert digests[0] != digests[1]
    first, second = repository.records_of("build-push-action")
    assert (first["pull"], first["no-cache"]) == ("false", "false")
    assert (second["pull"], second["no-cache"]) == ("true", "true")
    assert site.gateway.writes == []


def test_githubs_own_registry_is_the_default_and_takes_the_workflows_own_token(
    clone: Act, site: Site
) -> None:
    del clone.variables["REGISTRY"], clone.variables["REGISTRY_USERNAME"]
    # The tests cannot reach ghcr.io, so production verifies the attestation and fails at the pull.
    image = f"ghcr.io/{clone.package}@{site.image.partition('@')[2]}"
    run = clone.dispatch("deploy.yml", image=image, dry_run="true")
    expected = {"tests": "success", "image": "success", "production": "failure"}
    assert run.jobs == expected, explain(run)
    assert f"{image}: attested by" in run.output
    logins = clone.records_of("login-action")
    assert len(logins) == 2  # in image and production
    for login in logins:
        assert (login["registry"], login["password"]) == ("ghcr.io", "canary-github-token")
        assert login["username"]
    assert site.gateway.writes == []


def test_only_what_reaches_the_server_waits_for_a_runner_of_ones_own(
    clone: Act, site: Site
) -> None:
    clone.private = True
    clone.variables |= {"RUNNER": "private", "ATTESTATIONS": "true"}
    without = clone.push()
    assert without.jobs == {"tests": "success", "image": "success"}, explain(without)
    clone.runners.append("private")
    run = clone.push()
    assert run.jobs == dict.fromkeys({*JOBS} - BUILDING, "success"), explain(run)
    assert "production is up to date" in run.summaries["production"]


def test_the_platform_is_part_of_the_image_and_chooses_the_runner(clone: Act, site: Site) -> None:
    clone.variables["IMAGE_PLATFORM"] = "linux/arm64"
    clone.runners.remove("ubuntu-24.04-arm")
    elsewhere = clone.push()
    assert elsewhere.jobs == {"tests": "success"}, explain(elsewhere)

    here = {"x86_64": "linux/amd64", "aarch64": "linux/arm64"}[platform.machine()]
    clone.runners.append("ubuntu-24.04-arm")
    clone.variables["IMAGE_PLATFORM"] = here
    before, tags = site.deployed(), site.tags()
    run = clone.dispatch("deploy.yml", dry_run="true")
    assert run.jobs == dict.fromkeys(JOBS, "success"), explain(run)
    (build,) = clone.records_of("build-push-action")
    assert build["platforms"] == here
    (tag,) = {*site.tags()} - {*tags}
    assert tag.endswith(here.replace("/", "-"))
    assert "Plan for production" in run.summaries["production"]
    assert (site.deployed(), site.gateway.writes) == (before, [])


def test_of_two_racing_pushes_the_newer_one_stays(clone: Act, site: Site, tmp_path: Path) -> None:
    newer = clone.copy(tmp_path / "newer")
    clone.replace("deployments/catalog.py", '"rows": 500', '"rows": 601')
    newer.replace("deployments/catalog.py", '"rows": 500', '"rows": 602')
    # The first one has the lower run id.
    runs: list[Any] = [each.start("push", "deploy.yml", {}) for each in (clone, newer)]
    old, new = [each.wait(900) for each in runs]
    site.assert_no_leaked_secret(newer)
    assert new.jobs == dict.fromkeys(JOBS, "success"), explain(new)
    assert site.hourly()["parameters"] == {"rows": 602}
    if old.jobs["production"] == "failure":
        assert "is older than run" in old.summaries["production"]
    # If the older run starts again, it is refused.
    last = clone.start("push", "deploy.yml", {}, run_id=1).wait(900)
    assert last.jobs["production"] == "failure", explain(last)
    assert "Run 1 is older than run" in last.summaries["production"]
    assert site.hourly()["parameters"] == {"rows": 602}
