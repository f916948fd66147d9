"""ci.yml and cleanup.yml for pull requests of the repository itself; for forks see test_ci.py."""

from __future__ import annotations

import re

import pytest

from tests.e2e.small import PREVIEW_POOL, Site, explain
from tests.support.act import Act

pytestmark = pytest.mark.usefixtures("preview_worker")

RAN = dict.fromkeys(["tests", "image", "preview", "pass"], "success")


def queues(site: Site) -> set[str]:
    """Return the names of the pool's work queues."""
    rows = site.server.request("POST", f"/work_pools/{PREVIEW_POOL}/queues/filter", {})
    return {row["name"] for row in rows}


def test_a_pull_request_has_a_preview_as_long_as_it_is_open(clone: Act, site: Site) -> None:
    production, tags = site.deployed(), site.tags()
    package = f"{clone.package}/preview"
    clone.replace("deployments/catalog.py", '"rows": 500', '"rows": 502')

    opened = clone.pull_request("opened")
    assert opened.jobs == RAN, explain(opened)
    found = site.deployed()
    names = {"hourly-pr-7", "manual-pr-7", "nightly-pr-7"}
    assert found.keys() - production.keys() == names
    assert not any(each["active"] for each in found["hourly-pr-7"]["schedules"])
    assert {found[name]["work_pool_name"] for name in names} == {PREVIEW_POOL}
    assert "queue-pr-7" in queues(site)
    (tag,) = [each for each in site.registry.tags(package) if each.startswith("pr-7-")]
    image = f"{site.registry.address}/{package}@{site.registry.digest(package, tag)}"
    assert found["hourly-pr-7"]["job_variables"]["image"] == image
    (comment,) = clone.github["comments"]
    body = comment["body"].replace("\\", "")
    assert comment["issue"] == 7
    assert body.startswith("<!-- deployer: preview -->\n### preview is at release 1")
    assert "Plan for production" in body
    assert "parameters.rows: 500 → 502" in body
    assert "Completed" in body
    assert f"/deployments/deployment/{found['hourly-pr-7']['id']}" in body
    # The comment only has short digests. Its last line names the commit and the run.
    assert not re.search("sha256:[0-9a-f]{13}", comment["body"])
    assert re.search("sha256:[0-9a-f]{64}", opened.summaries["preview"])
    commit = clone.git("rev-parse", "HEAD")
    home = f"https://github.com/{clone.repository}"
    last = comment["body"].strip().splitlines()[-1]
    assert last.startswith(f"[`{commit[:7]}`]({home}/commit/{commit}), 20")
    assert f"[the run]({home}/actions/runs/" in last
    # It was created at the start and edited at the end.
    first, second = [each["body"] for each in clone.records_of("gh") if each["body"]]
    assert "Deploying …" in first["body"]
    assert second["body"] == comment["body"]

    site.gateway.writes.clear()
    clone.replace("README.md", "## First steps", "## The first steps")
    updated = clone.pull_request("synchronize")
    assert updated.jobs == RAN, explain(updated)
    assert updated.step("image", "Build") is None
    assert updated.step("image", "Name the image by its content, and look for it") is not None
    assert (site.deployed(), site.changes()) == (found, [])
    (comment,) = clone.github["comments"]
    assert "preview is up to date" in comment["body"]
    assert "Plan for production" in comment["body"]

    versions = [(1, [tag]), (2, [tag.replace("pr-7-", "pr-70-")]), (3, ["pr-5-src-x"])]
    clone.github = {
        **clone.github,
        "pulls": [{"number": 70}],
        "versions": [
            {"id": number, "name": "v", "metadata": {"container": {"tags": each}}}
            for number, each in versions
        ],
    }
    del clone.variables["REGISTRY"]  # only GitHub's own registry is cleaned up
    closed = clone.pull_request("closed")
    assert closed.jobs == {"cleanup": "success"}, explain(closed)
    assert "deleted basic-data-flow/hourly-pr-7" in closed.summaries["cleanup"]
    assert "deleted the work queue queue-pr-7" in closed.summaries["cleanup"]
    assert f"deleted {tag}" in closed.summaries["cleanup"]
    assert site.deployed() == production
    assert "queue-pr-7" not in queues(site)
    assert [each["id"] for each in clone.github["versions"]] == [2, 3]

    swept = clone.run("schedule", "sweep.yml", {})
    assert swept.jobs == {"sweep": "success"}, explain(swept)
    assert "Nothing is left over in preview" in swept.summaries["sweep"]
    assert [each["id"] for each in clone.github["versions"]] == [2]
    assert {each["path"] for each in clone.records_of("gh") if each["method"] == "DELETE"} == {
        f"orgs/Acme/packages/container/small-flows%2Fpreview/versions/{number}" for number in (1, 3)
    }
    assert site.tags() == tags
    assert site.deployed() == production


def test_a_preview_that_fails_is_red_and_the_comment_says_why(clone: Act, site: Site) -> None:
    before = site.deployed()
    clone.secrets["PREFECT_API_AUTH_STRING"] = "no:canary-auth-string"
    run = clone.pull_request("opened", 9)
    assert run.jobs == RAN | {"preview": "failure", "pass": "failure"}, explain(run)
    (comment,) = clone.github["comments"]
    assert comment["body"].startswith("<!-- deployer: preview -->\n### preview: failed")
    assert "refuses the credentials (401)" in comment["body"]
    assert "### production: failed" in comment["body"]
    assert (site.deployed(), site.gateway.writes) == (before, [])


@pytest.mark.parametrize(
    ("variables", "command"),
    [
        ({"PREFECT_API_URL": ""}, "gh variable set PREFECT_API_URL --env preview"),
        (
            {"PREFECT_API_URL": "https://api.prefect.cloud/api/x"},
            "gh secret set PREFECT_API_KEY --env preview",
        ),
        ({"PREVIEWS": "off"}, "uvx nox -s github -- --share-server"),
    ],
)
def test_a_pull_request_without_what_a_preview_needs_is_green_and_told_so(
    clone: Act, site: Site, variables: dict[str, str], command: str
) -> None:
    before = site.deployed()
    clone.variables |= variables
    run = clone.pull_request("opened", 8)
    assert run.jobs == RAN, explain(run)
    (comment,) = clone.github["comments"]
    assert f"run `{command}`" in comment["body"]
    assert (site.deployed(), site.gateway.writes) == (before, [])


def test_a_registry_without_its_password_is_named_before_anything_is_built(clone: Act) -> None:
    del clone.secrets["REGISTRY_PASSWORD"]
    run = clone.pull_request("opened", 8)
    expected = {"tests": "success", "image": "failure", "pass": "failure"}
    assert run.jobs == expected, explain(run)
    assert "run `gh secret set REGISTRY_PASSWORD`" in run.output
    assert clone.records_of("build-push-action") == []


def test_a_preview_waits_for_a_runner_of_ones_own_while_tests_and_image_do_not(clone: Act) -> None:
    clone.private = True
    clone.variables["RUNNER"] = "private"
    run = clone.pull_request("opened", 8)
    assert run.jobs.keys() == {"tests", "image", "pass"}, explain(run)
    assert clone.pull_request("closed", 8).jobs == {}


def test_a_pull_request_that_was_closed_while_its_tests_ran_gets_no_preview(
    clone: Act, site: Site
) -> None:
    before = site.deployed()
    clone.github = {**clone.github, "closed": [9]}
    run = clone.pull_request("opened", 9)
    assert run.jobs == RAN, explain(run)
    (comment,) = clone.github["comments"]
    assert "Pull request 9 was closed while its tests ran" in comment["body"]
    assert (site.deployed(), site.gateway.writes) == (before, [])


def test_a_preview_that_nothing_removed_is_swept(clone: Act, site: Site) -> None:
    # A pull request with conflicts runs no workflow when it is closed.
    before = site.deployed()
    opened = clone.pull_request("opened", 11)
    assert opened.jobs == RAN, explain(opened)
    assert site.deployed().keys() - before.keys()
    clone.github = {**clone.github, "pulls": [{"number": 12}]}
    swept = clone.run("schedule", "sweep.yml", {})
    assert swept.jobs == {"sweep": "success"}, explain(swept)
    assert "deleted basic-data-flow/hourly-pr-11" in swept.summaries["sweep"]
    assert site.deployed() == {name: row for name, row in before.items() if "-pr-" not in name}
