"""Which images may run with credentials, what a job lacks, and where images are stored."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from deployer.errors import DeployerError
from tools import (
    gh,
    github,
    install,
    pipeline,
    preflight,
    records,
    renew,
    run,
    trust,
    vulnerabilities,
)
from tools.workflow_settings import Settings, read, separate_logins, ui

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
RELEASE = "ghcr.io/acme/flows"
PUBLIC = {"repository": {"private": False}}
PRIVATE = {"repository": {"private": True}}


def settings(event: Mapping[str, Any] = PUBLIC, /, **variables: str) -> Settings:
    return Settings(variables, "Acme/Flows", event=event, ref="refs/heads/main")


@pytest.mark.parametrize(
    ("variables", "release", "preview", "host", "own"),
    [
        ({}, RELEASE, f"{RELEASE}/preview", "ghcr.io", True),
        (
            {"REGISTRY": "registry.example.com/team/"},
            "registry.example.com/team/acme/flows",
            "registry.example.com/team/acme/flows/preview",
            "registry.example.com",
            False,
        ),
        (
            {"REGISTRY_AUTH": "docker-hub", "REGISTRY_USERNAME": "Jo"},
            "docker.io/jo/flows",
            "docker.io/jo/flows-preview",
            "docker.io",
            False,
        ),
        (
            {"REGISTRY_AUTH": "google", "REGISTRY": "europe-docker.pkg.dev/project/images"},
            "europe-docker.pkg.dev/project/images/acme/flows",
            "europe-docker.pkg.dev/project/images/acme/flows/preview",
            "europe-docker.pkg.dev",
            False,
        ),
    ],
)
def test_images_of_releases_and_of_previews_are_in_packages_of_their_own(
    variables: dict[str, str], release: str, preview: str, host: str, own: bool
) -> None:
    made = settings(**variables)
    assert (made.release, made.preview, made.host) == (release, preview, host)
    assert made.own_registry is own


def test_an_enterprises_server_has_a_registry_and_a_name_of_its_own() -> None:
    made = Settings({}, "Acme/Flows", server="https://git.example.com", event=PUBLIC)
    assert (made.release, made.own_registry) == ("containers.git.example.com/acme/flows", True)
    assert made.attests is False
    environ = {"GITHUB_SERVER_URL": "https://git.example.com", "GH_TOKEN": "token"}
    made_for_gh = gh.environment(environ)
    assert made_for_gh["GH_HOST"] == "git.example.com"
    assert made_for_gh["GH_ENTERPRISE_TOKEN"] == environ["GH_TOKEN"]
    assert "GH_HOST" not in gh.environment({"GITHUB_SERVER_URL": "https://github.com"})
    cloud = gh.environment({"GITHUB_SERVER_URL": "https://acme.ghe.com", "GH_TOKEN": "token"})
    assert cloud["GH_HOST"] == "acme.ghe.com"
    assert "GH_ENTERPRISE_TOKEN" not in cloud


@pytest.mark.parametrize(
    ("event", "variable", "attests"),
    [
        (PUBLIC, None, True),
        (PRIVATE, None, False),
        ({}, None, False),
        (PRIVATE, "true", True),
        (PUBLIC, "false", False),
    ],
)
def test_attestations_are_where_github_keeps_them(
    event: dict[str, Any], variable: str | None, attests: bool
) -> None:
    given = {"ATTESTATIONS": variable} if variable else {}
    assert settings(event, **given).attests is attests


@pytest.mark.parametrize(
    "image",
    [
        f"{RELEASE}/preview@{DIGEST}",
        f"ghcr.io/acme/flows2@{DIGEST}",
        f"ghcr.io/mallory/flows@{DIGEST}",
        f"{RELEASE}:src-1",
        f"{RELEASE}:src-1@{DIGEST}",
        f"{RELEASE}@sha256:0",
        f"{RELEASE}@{DIGEST} --privileged",
        "",
    ],
)
def test_only_an_image_of_the_release_package_by_its_digest_is_a_release(image: str) -> None:
    with pytest.raises(DeployerError, match="is refused"):
        trust.digest_in(image, RELEASE)


def test_an_image_by_its_digest_is_taken() -> None:
    assert trust.digest_in(f"{RELEASE}@{DIGEST}", RELEASE) == DIGEST


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The calls of a `gh` that finds no attestation."""
    calls: list[tuple[str, ...]] = []

    def refuse(*arguments: str) -> str:
        calls.append(arguments)
        raise DeployerError("`gh attestation verify` failed: no attestations found")

    monkeypatch.setattr(trust, "gh", refuse)
    return calls


def test_an_attestation_of_main_is_the_proof_where_there_can_be_one(
    asked: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    image = f"{RELEASE}@{DIGEST}"
    # If there can be attestations, neither this run's nor the server's word is a proof.
    monkeypatch.setattr(records, "of_environments", lambda environ: iter([Recorded(image)]))
    with pytest.raises(DeployerError, match=r"nothing proves that .+ built it on main"):
        trust.proof(image, settings(), built=[DIGEST])
    (call,) = asked
    options = dict(zip(call[3::2], call[4::2], strict=True))
    assert call[:3] == ("attestation", "verify", f"oci://{image}")
    assert options == {
        "--repo": "Acme/Flows",
        "--signer-workflow": "Acme/Flows/.github/workflows/deploy.yml",
        "--source-ref": "refs/heads/main",
    }
    monkeypatch.setattr(trust, "gh", lambda *arguments: "")
    assert "attested" in trust.proof(image, settings())


def Recorded(image: str) -> records.Record:
    return records.Record("production", 3, image, "abc")


def test_without_attestations_it_is_this_run_or_a_recorded_release(
    monkeypatch: pytest.MonkeyPatch, asked: list[tuple[str, ...]]
) -> None:
    found = [Recorded(f"{RELEASE}@{OTHER}")]
    monkeypatch.setattr(records, "of_environments", lambda environ: iter(found))
    image = f"{RELEASE}@{DIGEST}"
    assert trust.proof(image, settings(PRIVATE), built=[OTHER, DIGEST]) == "built by this run"
    with pytest.raises(DeployerError, match="this run did not build it"):
        trust.proof(image, settings(PRIVATE), built=[OTHER])
    assert trust.proof(f"{RELEASE}@{OTHER}", settings(PRIVATE)) == "release 3 of production"
    found[0] = records.Record("production", 3, "", "abc", (f"{RELEASE}@{OTHER}",))
    assert trust.proof(f"{RELEASE}@{OTHER}", settings(PRIVATE)) == "release 3 of production"
    with pytest.raises(DeployerError, match="only images of"):
        trust.proof(f"{RELEASE}/preview@{OTHER}", settings(PRIVATE), built=[OTHER])
    assert asked == []


def release(number: int, image: str, again: int | None = None) -> dict[str, Any]:
    """Return the row of a release on the server."""
    record = {"number": number, "image": image, "commit": "abc", "specs": {}, "again": again}
    return {"data": f"{records.FENCE}{json.dumps(record)}\n```"}


@pytest.mark.parametrize("taken", [True, False])
def test_a_second_rollback_is_not_done_by_the_older_image_that_the_first_put_back(
    taken: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    new, old = f"{RELEASE}@{DIGEST}", f"{RELEASE}@{OTHER}"
    first = [release(4, old, again=2), release(3, new if taken else ""), release(2, old)]
    (tmp_path / "deployments").mkdir()
    (tmp_path / "deployments/environments.toml").write_text('project = "x"\n[production]\n')
    monkeypatch.setattr(records, "ROOT", tmp_path)
    monkeypatch.setattr("tools.environments.ROOT", tmp_path)
    monkeypatch.setattr(records, "ask", lambda *asked: first)
    monkeypatch.setattr(trust, "gh", lambda *arguments: "")
    pulled = list[str]()
    monkeypatch.setattr(pipeline, "call", lambda *words: pulled.append(words[-1]))
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    found = pipeline.deployed(settings(), Namespace(environment="production"))
    assert (found, pulled) == (({"image": new}, [new]) if taken else ({"image": ""}, []))
    said = "by `" if taken else "by main's own code, not by an image: No deploy to production"
    assert said in capsys.readouterr().err


def words(problems: list[preflight.Problem]) -> list[str]:
    return [each.title for each in problems]


def job(made: Settings, secrets: str = "", **more: Any) -> preflight.Job:
    given = {"environment": "staging", "image": "", "multi_line": frozenset(), **more}
    return preflight.Job(settings=made, secrets=frozenset(secrets.split()), **given)


@pytest.mark.parametrize(
    ("variables", "secrets", "missing"),
    [
        ({}, "", []),
        (
            {"REGISTRY": "r.example.com"},
            "",
            ["REGISTRY_USERNAME is not set", "REGISTRY_PASSWORD is not set"],
        ),
        ({"REGISTRY": "r.example.com", "REGISTRY_USERNAME": "jo"}, "REGISTRY_PASSWORD", []),
        (
            {"REGISTRY_AUTH": "docker-hub"},
            "",
            ["REGISTRY_USERNAME is not set", "REGISTRY_PASSWORD is not set"],
        ),
        (
            {"REGISTRY_AUTH": "aws", "AWS_REGION": "eu-west-1"},
            "",
            ["REGISTRY is not set", "AWS_ROLE is not set"],
        ),
        (
            {"REGISTRY_AUTH": "google", "REGISTRY": "europe-docker.pkg.dev/p/i"},
            "",
            ["GOOGLE_PROVIDER is not set", "GOOGLE_SERVICE_ACCOUNT is not set"],
        ),
        (
            {"REGISTRY_AUTH": "azure", "REGISTRY": "acme.azurecr.io"},
            "",
            ["AZURE_CLIENT_ID is not set", "AZURE_TENANT_ID is not set"],
        ),
        ({"REGISTRY_AUTH": "kerberos"}, "", ["REGISTRY_AUTH is unknown"]),
    ],
)
def test_everything_that_a_login_lacks_is_named_at_once(
    variables: dict[str, str], secrets: str, missing: list[str]
) -> None:
    assert words(list(preflight.registry(job(settings(**variables), secrets)))) == missing


@pytest.mark.parametrize(
    ("check", "made", "more", "title"),
    [
        (preflight.server, settings(), {}, "PREFECT_API_URL is not set"),
        (
            preflight.server,
            settings(PREFECT_API_URL="https://api.prefect.cloud/api/x"),
            {},
            "PREFECT_API_KEY is not set",
        ),
        (
            preflight.server,
            settings(PREFECT_API_URL="http://prefect/api"),
            {"multi_line": frozenset(["PREFECT_CLIENT_CUSTOM_HEADERS"])},
            "PREFECT_CLIENT_CUSTOM_HEADERS has several lines",
        ),
        (preflight.previews, settings(PREVIEWS="off"), {}, "Previews are off"),
        (preflight.main_only, Settings({}, "a/b", ref="refs/heads/topic"), {}, "Not on main"),
        (preflight.main_only, Settings({}, "a/b", ref="refs/tags/main"), {}, "Not on main"),
        (preflight.runner, settings(RUNNER="own"), {}, "RUNNER is refused"),
        (preflight.image, settings(), {"image": f"{RELEASE}:latest"}, "This image is refused"),
    ],
)
def test_what_a_job_may_not_do_is_a_sentence(
    check: Callable[[preflight.Job], Any], made: Settings, more: dict[str, Any], title: str
) -> None:
    (problem,) = check(job(made, **more))
    assert problem.title == title
    assert ": " in problem.text


def test_what_a_job_may_do_is_no_problem() -> None:
    assert list(preflight.runner(job(settings(PRIVATE, RUNNER="own")))) == []
    assert list(preflight.main_only(job(settings()))) == []
    assert list(preflight.previews(job(settings()))) == []
    assert list(preflight.previews(job(settings(PREVIEWS="on")))) == []


def test_preflight_is_told_only_whether_there_is_a_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {
        "GITHUB_REPOSITORY": "Acme/Flows",
        "GITHUB_REF": "refs/heads/topic",
        "SETTINGS": json.dumps({"PREFECT_API_URL": "https://api.prefect.cloud/api/x"}),
        "HAS_PREFECT_API_KEY": "false",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GITHUB_EVENT_PATH", raising=False)
    assert preflight.main(["main", "server", "--environment", "staging"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition("::")[2].partition("::")[0] for line in lines] == [
        "error title=Not on main",
        "error title=PREFECT_API_KEY is not set",
    ]
    monkeypatch.setenv("HAS_PREFECT_API_KEY", "true")
    assert preflight.main(["server", "--environment", "preview", "--soft"]) == 0
    assert capsys.readouterr().out == "ready=true\n"
    monkeypatch.setenv("HAS_PREFECT_API_KEY", "false")
    assert preflight.main(["server", "--environment", "preview", "--soft"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "gh secret set PREFECT_API_KEY --env preview" in said.err


CLASSIC = f"""\
The push refers to repository [r/n]
5f70bf18a086: Layer already exists
src-1: digest: {DIGEST} size: 1234
"""
CONTAINERD = f"""\
The push refers to repository [r/n]
cb0a1b2c3d4e: Pushed
src-1: digest: {DIGEST} size: 856

Info → Not all multiplatform-content is present and only the available one was pushed
         {OTHER} -> {DIGEST}
"""


@pytest.mark.parametrize("text", [CLASSIC, CONTAINERD])
def test_the_digest_of_a_push_is_what_its_tag_means_in_both_image_stores(text: str) -> None:
    assert pipeline.pushed(text, "src-1") == DIGEST


@pytest.mark.parametrize("text", ["", "denied", CLASSIC + CLASSIC.replace(DIGEST, OTHER)])
def test_a_push_that_says_no_digest_or_two_is_an_error(text: str) -> None:
    with pytest.raises(DeployerError, match=r"digests of .+ instead of one"):
        pipeline.pushed(text, "src-1")


@pytest.mark.parametrize(
    ("url", "network"),
    [
        ("http://localhost:4200/api", "host"),
        ("http://127.0.0.1:4200/api", "host"),
        ("http://[::1]:4200/api", "host"),
        ("https://api.prefect.cloud/api/x", "bridge"),
        ("http://10.127.0.1/api", "bridge"),
        ("http://localhost.example.com/api", "bridge"),
        ("http://prefect/api?at=http://localhost:4200", "bridge"),
        ("", "bridge"),
    ],
)
def test_only_a_server_on_the_runner_itself_gives_a_container_the_runners_network(
    url: str, network: str
) -> None:
    assert run.network(url) == network


@pytest.mark.parametrize(
    ("api", "expected"),
    [
        ("http://prefect.example.com/api", "http://prefect.example.com"),
        ("http://prefect.example.com:4200/api/", "http://prefect.example.com:4200"),
        (
            "https://api.prefect.cloud/api/accounts/a/workspaces/w",
            "https://app.prefect.cloud/account/a/workspace/w",
        ),
        ("", ""),
    ],
)
def test_a_deployment_links_to_the_ui(api: str, expected: str) -> None:
    assert ui(api) == expected


def arguments(*given: str) -> Namespace:
    return run.parse([*given])


def test_nothing_is_run_that_is_not_trusted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    executed: list[Any] = []
    monkeypatch.setattr("os.execvp", lambda *program: executed.append(program))
    monkeypatch.setenv("GITHUB_REPOSITORY", "Acme/Flows")
    monkeypatch.delenv("GITHUB_EVENT_PATH", raising=False)
    monkeypatch.setattr(records, "recorded", lambda *given: iter([]))
    monkeypatch.setattr(records, "of_environments", lambda *given: iter([]))
    for image in (f"{RELEASE}@{DIGEST}", f"{RELEASE}/preview@{DIGEST}"):
        assert run.main(["deploy", "production", "--image", image]) == 1
        said = capsys.readouterr()
        assert "### production: failed" in said.out
        assert "is refused" in said.err
    # A preview's credentials only run images of previews, not of releases.
    assert run.main(["deploy", "preview", "--preview", "true", f"--image={RELEASE}@{DIGEST}"]) == 1
    # One unproven image is enough to refuse, and so is a missing default image.
    built = json.dumps([DIGEST.removeprefix("sha256:")])
    for image in (f"{RELEASE}@{DIGEST} gpu={RELEASE}@{OTHER}", f"gpu={RELEASE}@{DIGEST}"):
        assert run.main(["deploy", "production", "--image", image, "--built", built]) == 1
    assert executed == []
    run.main(["deploy", "production", "--image", f"{RELEASE}@{DIGEST}", "--built", built])
    run.main(["deploy", "preview", "--preview=true", f"--image={RELEASE}/preview@{DIGEST}"])
    assert [program for program, _ in executed] == ["docker", "docker"]


def test_what_is_empty_is_not_handed_to_the_deployer() -> None:
    image = f"{RELEASE}@{DIGEST}"
    empty = ["--label=", "--work-pool=", "--commit=", "--dry-run=", "--deploys="]
    plain = ["--format", "markdown"]
    deploy = arguments("deploy", "staging", f"--image={image}", "--order=7", *empty)
    assert run.arguments(deploy) == ["deploy", "staging", *plain, "--order", "7", "--image", image]
    dry = arguments("deploy", "staging", f"--image={image}", "--order=7", "--dry-run=true")
    assert run.arguments(dry) == ["plan", "staging", *plain, "--image", image]
    more = arguments("plan", "staging", f"--image={image} gpu={image}", "--deploys=a gpu=b")
    expected = ["plan", "staging", *plain, "--image", "a", "--image", "gpu=b"]
    assert run.arguments(more) == expected
    back = arguments("rollback", "production", "--image=", "--to=3", "--verify=false")
    expected = ["rollback", "production", *plain, "--to", "3", "--no-verify"]
    assert run.arguments(back) == expected


def test_the_summary_begins_with_who_deploys_what_and_how_to_go_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(records, "recorded", lambda *given: iter([Recorded("image")]))
    text = run.head(settings(), "production", "1234567890", {"GITHUB_ACTOR": "ada"})
    assert text == (
        "[`1234567`](https://github.com/Acme/Flows/commit/1234567890), by ada; "
        "[changes since release 3](https://github.com/Acme/Flows/compare/abc...1234567890). "
        "To roll back: `gh workflow run rollback.yml -f environment=production -f release=3`.\n"
    )
    monkeypatch.setattr(records, "recorded", lambda *given: iter([]))
    assert run.head(settings(), "production", "", {}) == "An image that was given, by somebody.\n"


def test_a_job_logs_in_apart_from_others_of_its_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    plugins = tmp_path / "home" / ".docker" / "cli-plugins"
    plugins.mkdir(parents=True)
    environ = {"RUNNER_TEMP": str(tmp_path), "GITHUB_ENV": str(tmp_path / "env")}
    separate_logins(environ)
    separate_logins(environ)
    assert (tmp_path / "docker" / "cli-plugins").resolve() == plugins
    assert f"DOCKER_CONFIG={tmp_path}/docker\n" in (tmp_path / "env").read_text()


def test_the_settings_are_what_github_says(tmp_path: Path) -> None:
    event = tmp_path / "event.json"
    event.write_text(json.dumps(PRIVATE))
    made = read(
        {
            "GITHUB_REPOSITORY": "Acme/Flows",
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_REF": "refs/heads/main",
            "SETTINGS": '{"REGISTRY": "r.example.com"}',
        }
    )
    assert (made.public, made.on_main, made.release) == (False, True, "r.example.com/acme/flows")
    with pytest.raises(DeployerError, match="GITHUB_REPOSITORY is not set"):
        read({})


def test_uv_is_installed_by_its_hash(tmp_path: Path) -> None:
    venv, pip = install.uv_commands(tmp_path / "uv", "index.txt")
    assert venv[1:3] == ["-m", "venv"]
    assert "--require-hashes" in pip
    assert pip[-1].endswith("requirements-uv.txt")


def match(severity: str, name: str, *versions: str) -> dict[str, Any]:
    vulnerability = {"id": name, "severity": severity, "fix": {"versions": [*versions]}}
    return {"vulnerability": vulnerability, "artifact": {"name": "libc6", "version": "2.41"}}


def test_vulnerabilities_are_listed_and_stop_from_a_threshold_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "grype.json"
    found = [match("Low", "CVE-1"), match("High", "CVE-2"), match("High", "CVE-3", "2.42")]
    file.write_text(json.dumps({"matches": [*found, match("Unknown", "CVE-4"), found[0]]}))
    assert vulnerabilities.main([str(file)]) == 0
    text = capsys.readouterr().out
    assert text.startswith("### Known vulnerabilities: 2 high, 1 low, 1 unknown\n")
    # Among equal severities, those with a fix come first.
    assert text.index("| high | CVE-3 | libc6 2.41 | 2.42 |") < text.index("| high | CVE-2 |")
    assert "nothing is deployed" not in text
    assert vulnerabilities.main([str(file), "--threshold", "Critical"]) == 0
    assert vulnerabilities.main([str(file), "--threshold", "high"]) == 1
    assert "2 of them reach VULNERABILITY_THRESHOLD" in capsys.readouterr().out
    assert vulnerabilities.main([str(file), "--threshold", "bad"]) == 1
    file.write_text('{"error": 1}')
    assert vulnerabilities.main([str(file)]) == 1
    said = capsys.readouterr().err
    assert "'bad', which is no severity: use one of negligible" in said
    assert "is no report of Grype" in said


NOW = datetime(2026, 11, 25, tzinfo=UTC)


def version(number: int, days: int) -> dict[str, Any]:
    at = (NOW - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"id": number, "name": f"sha256:{number}", "created_at": at}


def test_only_old_images_that_no_release_names_are_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    young = [version(100 + number, number) for number in range(renew.KEPT)]
    old = [version(1, 300), version(2, 200), version(3, 100)]
    deleted: list[str] = []
    monkeypatch.setattr(github, "package", lambda name: f"packages/{name}")
    monkeypatch.setattr(github, "versions", lambda path: [*young, *old])
    monkeypatch.setattr(github, "api", lambda method, path: deleted.append(f"{method} {path}"))
    monkeypatch.setenv("GITHUB_REPOSITORY", "Acme/Flows")
    named = [Recorded(f"{RELEASE}@sha256:0"), Recorded("")]
    named[1] = records.Record("staging", 1, "", "", (f"{RELEASE}@sha256:2",))
    monkeypatch.setattr(records, "of_environments", lambda *given: iter(named))
    assert len(renew.retain(settings(), 150, NOW)) == 1
    assert deleted == ["DELETE packages/flows/versions/1"]

    def keep(method: str, path: str) -> None:
        if path.endswith("/1"):
            raise DeployerError(f"{reason} (HTTP 400)")

    monkeypatch.setattr(github, "api", keep)
    reason = "Publicly visible package versions with more than 5000 downloads cannot be deleted."
    assert renew.retain(settings(), 50, NOW) == [
        f"kept sha256:1 of 2026-01-29: {reason} (HTTP 400)",
        "deleted sha256:3 of 2026-08-17",
    ]
    reason = "Server Error"
    with pytest.raises(DeployerError, match="Server Error"):
        renew.retain(settings(), 50, NOW)
    monkeypatch.setattr(github, "api", lambda method, path: deleted.append(f"{method} {path}"))
    # The newest images stay, regardless of their age.
    deleted.clear()
    monkeypatch.setattr(github, "versions", lambda path: old)
    assert renew.retain(settings(), 1, NOW) == []

    def refuse(*given: object) -> Any:
        raise DeployerError("The Prefect server does not say what was released")

    monkeypatch.setattr(records, "of_environments", refuse)
    monkeypatch.setattr(github, "versions", lambda path: [*young, *old])
    with pytest.raises(DeployerError, match="does not say"):
        renew.retain(settings(), 1, NOW)
    assert deleted == []


def test_a_comment_calls_nobody_and_shows_short_digests() -> None:
    text = github.without_mentions(f"by @ada, {RELEASE}@{DIGEST}, jo@example.com")
    assert text == f"by @\u200bada, {RELEASE}@sha256:aaaaaaaaaaaa…, jo@example.com"
