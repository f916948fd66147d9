"""Every finding of the doctor, with real servers, registries, engines and certificates."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import prefect
import pytest
from deployer import doctor
from deployer import work_pool as work_pools
from deployer.doctor import image as doctor_image
from deployer.environment import Environment
from deployer.errors import Finding
from prefect.blocks.system import Secret
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_KEY,
    PREFECT_API_SSL_CERT_FILE,
    PREFECT_API_URL,
    PREFECT_CLOUD_API_URL,
    temporary_settings,
)
from pydantic import SecretStr

from tests.baking import ROOT, TEMPLATE_FOLDER
from tests.deployer.conftest import DeployerProject
from tests.deployer.test_servers import OLDEST
from tests.support.docker import Registry, docker, need_docker
from tests.support.listener import Listener, QuietHandler
from tests.support.processes import free_port
from tests.support.server import PrefectServer
from tests.support.waiting import eventually

NUMBERS = itertools.count(1)
CREDENTIALS = {"key": PREFECT_API_KEY, "auth": PREFECT_API_AUTH_STRING}


def examine(
    url: str | None,
    environment: Environment | None = None,
    image: str | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    settings: Mapping[Any, Any] | None = None,
) -> list[Finding]:
    """Run the doctor in this process, with this address and without other settings."""
    chosen = environment or Environment("project", "production", work_pool="a pool of nobody")
    chosen = replace(chosen, given_images={"": image} if image else {})
    with temporary_settings(
        {PREFECT_API_URL: url, **(settings or {})},
        restore_defaults={*CREDENTIALS.values(), PREFECT_CLOUD_API_URL, PREFECT_API_SSL_CERT_FILE},
    ):
        return asyncio.run(doctor.examine(chosen, environ or {}))


def only(findings: list[Finding], *, fatal: bool) -> Finding:
    """Assert that there is exactly one finding, with a reason and a fix, and return it."""
    assert len(findings) == 1, doctor.text(findings)
    assert findings[0].fatal == fatal
    assert findings[0].why
    assert findings[0].fix
    return findings[0]


def connection(url: str | None, **settings: Any) -> Finding:
    """Return the only finding about the connection to this address."""
    return only(examine(url, settings=settings.get("settings")), fatal=True)


class Pool:
    """A work pool with a unique name; the test acts as its worker."""

    def __init__(self, server: PrefectServer, type: str = "process", **more: Any) -> None:
        self.server, self.type = server, type
        self.name = f"a pool {next(NUMBERS)} 池"
        self.path = f"/work_pools/{self.name}".replace(" ", "%20").replace("池", "%E6%B1%A0")
        server.request("POST", "/work_pools/", {"name": self.name, "type": type, **more})

    def poll(self) -> None:
        """Poll for work, as a worker does."""
        self.server.request("POST", f"{self.path}/get_scheduled_flow_runs", {})
        queue = f"{self.path}/queues/default"
        # The server records the time after it has answered.
        eventually(lambda: self.server.request("GET", queue)["last_polled"])

    def environment(self, **more: Any) -> Environment:
        """Return an environment that uses the pool."""
        given = {"work_pool": self.name, "work_pool_type": self.type, **more}
        return Environment(**{"project": "project", "name": "production", **given})


@pytest.fixture
def pool(server: PrefectServer) -> Pool:
    """A process pool that a worker polls."""
    made = Pool(server)
    made.poll()
    return made


@contextmanager
def front(
    server: PrefectServer | None,
    answers: Mapping[str, tuple[int, str]] | None = None,
    ahead: float = 0,
    tls: ssl.SSLContext | None = None,
) -> Iterator[str]:
    """Run a proxy that replaces some paths' answers and shifts the server's clock.

    Yields:
        The address of the proxy's API.
    """

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            path = self.path.removeprefix("/api")
            status, text = (answers or {}).get(path, (404, "{}"))
            if path not in (answers or {}) and server:
                length = int(self.headers.get("content-length", 0))
                body = self.rfile.read(length) or None
                kept = {"content-type": "application/json"}
                request = urllib.request.Request(
                    server.api_url + path, body, kept, method=self.command
                )
                try:
                    with urllib.request.urlopen(request) as answer:
                        status, text = answer.status, answer.read().decode()
                except urllib.error.HTTPError as error:
                    status, text = error.code, error.read().decode()
            self.send_response(status)
            self.send_header("content-length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        do_POST = do_GET

        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string(int(time.time() + ahead))

    with Listener("127.0.0.1", Handler, tls) as listener:
        yield f"{listener.origin}/api"


# The server and the connection to it


def test_nothing_is_found_where_all_is_well(server: PrefectServer, pool: Pool) -> None:
    findings = examine(server.api_url, pool.environment())

    assert findings == []
    assert doctor.text(findings) == "No problem was found."


def test_the_command_prints_every_finding_and_fails_on_a_fatal_one(
    project: DeployerProject,
) -> None:
    done = project.deployer("doctor", "production", "--image", "registry.invalid/flows:latest")

    assert done.returncode == 1
    assert "error: There is no work pool 'docker-pool' on the server." in done.stdout
    assert "fix: python -m deployer setup production\n" in done.stdout
    assert "registry.invalid/flows:latest" in done.stdout
    assert done.stdout.index("error: ") < done.stdout.index("warning: ")
    assert "Traceback" not in done.stderr
    preview = project.deployer("doctor", "preview", "--label", "pr-7")
    assert "fix: python -m deployer setup preview --label pr-7\n" in preview.stdout


def test_no_address_is_a_finding_and_no_server_is_started() -> None:
    started = time.monotonic()
    found = connection(None)

    assert found.what == "PREFECT_API_URL is not set."
    assert "export PREFECT_API_URL=" in found.fix
    assert time.monotonic() - started < 5


def test_empty_variables_are_named_each(server: PrefectServer, pool: Pool) -> None:
    environ = {"PREFECT_API_KEY": "", "PREFECT_API_URL": server.api_url, "OTHER": ""}

    found = only(examine(server.api_url, pool.environment(), None, environ), fatal=False)

    assert found.what == "PREFECT_API_KEY is set, but empty."
    assert found.fix.startswith("unset PREFECT_API_KEY")


def test_a_port_that_nobody_listens_on_is_refused() -> None:
    url = f"http://127.0.0.1:{free_port()}/api"

    found = connection(url)

    assert url in found.what
    assert "refused" in found.what
    assert "prefect server start" in found.fix


def test_an_unknown_host_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    # A machine without a name server would wait for one.
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    found = connection("http://nosuchhost.invalid:4200/api")

    assert "DNS cannot resolve the host 'nosuchhost.invalid'" in found.what


def test_an_address_without_a_scheme_is_mended() -> None:
    found = connection("prefect.example:4200/api")

    assert "does not begin with http:// or https://" in found.what
    assert found.fix == "export PREFECT_API_URL=http://prefect.example:4200/api"


def test_an_impossible_port_is_a_finding_too() -> None:
    found = connection("http://127.0.0.1:99999/api")

    assert "99999" in found.what
    assert "port must be 0-65535" in found.what


def test_a_server_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "TIMEOUT", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = connection(f"http://127.0.0.1:{listener.getsockname()[1]}/api")

    assert "did not answer in time" in found.what


def test_a_missing_api_in_the_address_is_mended_with_the_right_one(server: PrefectServer) -> None:
    for wrong in (server.api_url.removesuffix("/api"), f"{server.api_url}/v1"):
        found = connection(wrong)

        assert f"PREFECT_API_URL is {wrong}, and there is no Prefect API" in found.what
        assert found.fix == f"export PREFECT_API_URL={server.api_url}"


def test_something_else_that_answers_is_not_taken_for_prefect() -> None:
    with front(None, {"/admin/version": (200, "<html>welcome</html>")}) as url:
        found = connection(url)

    assert "something else answers there" in found.what
    assert "ends in /api" in found.fix


def test_a_password_in_the_address_is_never_shown() -> None:
    found = connection(f"http://me:canary@127.0.0.1:{free_port()}/api")

    assert "canary" not in doctor.text([found])


def test_a_server_in_trouble_is_a_finding(server: PrefectServer, pool: Pool) -> None:
    trouble = (500, '{"exception_message": "no disk"}')
    with front(server, {"/admin/version": trouble}) as url:
        assert "answers 500 to GET /api/admin/version: no disk" in connection(url).what
    with front(server, {pool.path: trouble}) as url:
        found = only(examine(url, pool.environment()), fatal=True)
        assert "answers 500" in found.what
        assert found.why == "The rest was not checked."


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrusted certificate for 127.0.0.1, with its key."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test")])
    now = datetime.now(UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    """The TLS context of a server with that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_a_certificate_that_is_not_trusted_is_a_finding_and_its_mend_works(
    server: PrefectServer, pool: Pool, tls: ssl.SSLContext, certificate: Path
) -> None:
    with front(server, tls=tls) as url:
        found = connection(url)

        assert f"The certificate of {url} is not trusted" in found.what
        assert "PREFECT_API_SSL_CERT_FILE" in found.fix
        fixed = {PREFECT_API_SSL_CERT_FILE: str(certificate)}
        assert examine(url, pool.environment(), settings=fixed) == []


def test_https_to_a_server_without_tls_is_mended(server: PrefectServer) -> None:
    found = connection(server.api_url.replace("http", "https"))

    assert "does not speak TLS" in found.what
    assert found.fix == f"export PREFECT_API_URL={server.api_url}"


def test_http_to_a_server_with_tls_is_mended(server: PrefectServer, tls: ssl.SSLContext) -> None:
    with front(server, tls=tls) as url:
        found = connection(url.replace("https", "http"))

        assert "does not speak HTTP" in found.what
        assert found.fix == f"if it speaks TLS: export PREFECT_API_URL={url}"


# Credentials


@pytest.fixture(scope="module")
def locked(
    project_python: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrefectServer]:
    """A server that requires an auth string."""
    auth = {"PREFECT_SERVER_API_AUTH_STRING": "me:canary", "PREFECT_API_AUTH_STRING": "me:canary"}
    home = tmp_path_factory.mktemp("locked")
    with PrefectServer(project_python, home, env=auth) as server:
        yield server


def test_the_right_auth_string_opens(locked: PrefectServer) -> None:
    pool = Pool(locked)
    pool.poll()

    assert examine(locked.api_url, pool.environment(), settings=given(auth="me:canary")) == []


@pytest.mark.parametrize(
    ("credentials", "what", "fix"),
    [
        ({}, "requires credentials (401), and none are set.", "export PREFECT_API_AUTH_STRING="),
        (
            {"auth": "me:wrong"},
            "refuses PREFECT_API_AUTH_STRING (401).",
            "export PREFECT_API_AUTH_STRING=",
        ),
        (
            {"auth": "me:canary\n"},
            "refuses PREFECT_API_AUTH_STRING (401): it begins or ends with a space or a new line.",
            "export PREFECT_API_AUTH_STRING=",
        ),
        (
            {"key": "pnu_canary"},
            "PREFECT_API_KEY is set, but it is only for Prefect Cloud",
            "unset PREFECT_API_KEY; export PREFECT_API_AUTH_STRING=",
        ),
    ],
)
def test_a_server_of_ones_own_says_which_credential_is_wrong(
    locked: PrefectServer, credentials: dict[str, str], what: str, fix: str
) -> None:
    found = connection(locked.api_url, settings=given(**credentials))

    assert what in found.what
    assert found.fix.startswith(fix)
    assert "canary" not in doctor.text([found])


@pytest.mark.parametrize(
    ("credentials", "what", "fix"),
    [
        ({}, "Prefect Cloud requires PREFECT_API_KEY (401).", "export PREFECT_API_KEY="),
        (
            {"key": "pnu_canary"},
            "Prefect Cloud refuses the key in PREFECT_API_KEY (401).",
            "export PREFECT_API_KEY=",
        ),
        (
            {"key": "pnu_canary", "auth": "me:wrong"},
            "PREFECT_API_AUTH_STRING is set, and Prefect sends it instead of the key",
            "unset PREFECT_API_AUTH_STRING; export PREFECT_API_KEY=",
        ),
    ],
)
def test_prefect_cloud_says_which_credential_is_wrong(
    locked: PrefectServer, credentials: dict[str, str], what: str, fix: str
) -> None:
    # Prefect treats every address that starts with this setting as Prefect Cloud.
    cloud = {**given(**credentials), PREFECT_CLOUD_API_URL: locked.api_url}

    found = connection(f"{locked.api_url}/accounts/a/workspaces/w", settings=cloud)

    assert what in found.what
    assert found.fix.startswith(fix)
    assert "canary" not in doctor.text([found])


def test_a_cloud_address_without_a_workspace_is_a_finding(server: PrefectServer) -> None:
    url = f"{server.api_url}/accounts/a"

    found = connection(url, settings={PREFECT_CLOUD_API_URL: server.api_url})

    assert "there is no Prefect API" in found.what
    assert "prefect cloud workspace set" in found.fix


def test_a_proxy_that_forbids_is_named(server: PrefectServer) -> None:
    with front(server, {"/admin/version": (403, "{}")}) as url:
        assert "PREFECT_CLIENT_CUSTOM_HEADERS" in connection(url).fix


def given(**credentials: str) -> dict[Any, str]:
    """Return the Prefect settings for these credentials."""
    return {CREDENTIALS[name]: value for name, value in credentials.items()}


# Versions and clocks


@pytest.mark.parametrize(
    ("version", "fatal"), [("2.20.1", True), ("3.1.0", False), ("4.0.0", True)]
)
def test_a_server_of_another_version_is_a_finding(
    server: PrefectServer, pool: Pool, version: str, fatal: bool
) -> None:
    with front(server, {"/admin/version": (200, f'"{version}"')}) as url:
        found = only(examine(url, pool.environment()), fatal=fatal)

    assert found.what == f"Prefect is {prefect.__version__} here and {version} on the server."


def test_a_supported_server_and_a_build_from_source_are_fine(
    server: PrefectServer, pool: Pool
) -> None:
    major, minor, _ = prefect.__version__.split(".", 2)
    for version in (*OLDEST, f"{major}.{minor}.0", f"{major}.{int(minor) + 1}.0", "unknown"):
        with front(server, {"/admin/version": (200, f'"{version}"')}) as url:
            assert examine(url, pool.environment()) == []


@pytest.mark.parametrize(("ahead", "word"), [(120, "behind"), (-120, "ahead of")])
def test_a_clock_that_is_wrong_is_a_finding(
    server: PrefectServer, pool: Pool, ahead: int, word: str
) -> None:
    # A wrong clock also causes a finding about the workers' last poll, so select.
    with front(server, ahead=ahead) as url:
        findings = examine(url, pool.environment())

    (found,) = [each for each in findings if "clock" in each.what]
    assert re.fullmatch(rf"The clock here is 1[12]\d s {word} the server\.", found.what)
    assert not found.fatal


# Work pool, work queue, worker, secrets


def test_a_missing_pool_is_set_up_with_the_command_that_is_named(server: PrefectServer) -> None:
    environment = Environment("project", "production", work_pool="no pool")
    preview = Environment("project", "preview-pr-7", work_pool="no pool", label="pr-7")

    found = only(examine(server.api_url, environment), fatal=True)

    assert found.what == "There is no work pool 'no pool' on the server."
    assert found.fix == "python -m deployer setup production"
    assert examine(server.api_url, preview)[0].fix.endswith("setup preview --label pr-7")


def test_a_pool_of_another_type_is_a_finding(server: PrefectServer, pool: Pool) -> None:
    docker = pool.environment(work_pool_type="docker")

    found = only(examine(server.api_url, docker), fatal=True)

    assert found.what.endswith("is of type process, and not docker as declared.")


def test_a_pool_with_another_template_than_the_repository_is_a_finding(
    server: PrefectServer,
) -> None:
    path = "deployments/kubernetes-job-template.json"
    template = json.loads((ROOT / TEMPLATE_FOLDER / path).read_text())
    same = Pool(server, base_job_template=template)
    another = Pool(server)
    same.poll()
    another.poll()

    assert examine(server.api_url, same.environment(base_job_template=path)) == []
    found = only(examine(server.api_url, another.environment(base_job_template=path)), fatal=False)
    assert found.what == f"The work pool {another.name!r} has another template than {path}."
    assert found.fix == "python -m deployer setup production"


def test_a_paused_pool_is_a_finding(server: PrefectServer, pool: Pool) -> None:
    server.request("PATCH", pool.path, {"is_paused": True})

    found = only(examine(server.api_url, pool.environment()), fatal=True)

    assert found.what == f"The work pool {pool.name!r} is paused."
    assert found.fix == f"prefect work-pool resume '{pool.name}'"


def test_a_paused_queue_is_a_finding(server: PrefectServer, pool: Pool) -> None:
    server.request("PATCH", f"{pool.path}/queues/default", {"is_paused": True})

    found = only(examine(server.api_url, pool.environment()), fatal=True)

    assert "The work queue 'default'" in found.what
    assert found.fix == f"prefect work-queue resume 'default' --pool '{pool.name}'"


def test_a_missing_queue_is_a_finding(server: PrefectServer, pool: Pool) -> None:
    found = only(examine(server.api_url, pool.environment(work_queue="快")), fatal=False)

    assert found.what == f"There is no work queue '快' of the work pool {pool.name!r}."


def test_a_pool_that_no_worker_polls_is_a_finding(server: PrefectServer) -> None:
    pool = Pool(server)

    found = only(examine(server.api_url, pool.environment()), fatal=True)

    assert "No worker polls the work queue 'default'" in found.what
    assert found.what.endswith(f"{pool.name!r}.")
    assert found.fix == f"prefect worker start --pool '{pool.name}'"


def test_a_worker_that_stopped_polling_is_a_finding_that_says_when(
    server: PrefectServer, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work_pools, "FRESH", -3600)

    found = only(examine(server.api_url, pool.environment()), fatal=True)

    assert re.search(r"; the last poll was at 20\d\d-\d\d-\d\d \d\d:\d\d UTC\.$", found.what)


def test_a_push_pool_needs_no_worker(server: PrefectServer) -> None:
    pool = Pool(server, "cloud-run:push")

    findings = examine(server.api_url, pool.environment())

    assert not [each for each in findings if "worker" in each.what]


def test_a_declared_secret_that_is_not_on_the_server_is_a_finding(
    server: PrefectServer, pool: Pool
) -> None:
    name = f"there-{next(NUMBERS)}"
    with temporary_settings({PREFECT_API_URL: server.api_url}):
        Secret(value=SecretStr("canary")).save(name)
    environment = pool.environment(secrets={name: "THERE", "not-there": "API_TOKEN"})

    found = only(examine(server.api_url, environment), fatal=True)

    assert found.what == "There is no Secret block 'not-there' on the server."
    assert found.fix == "API_TOKEN=… python -m deployer setup production"


# Containers and images


def test_an_image_for_a_process_pool_is_a_finding(server: PrefectServer, pool: Pool) -> None:
    found = only(examine(server.api_url, pool.environment(), "flows:1"), fatal=True)

    assert "type process, which runs no images, and 'flows:1' was given" in found.what


def test_containers_with_a_loopback_address_and_without_an_image_are_findings(
    server: PrefectServer,
) -> None:
    pool = Pool(server, "docker")
    pool.poll()
    on_the_host = pool.environment(job_variables={"network_mode": "host"})

    loopback, image = examine(server.api_url, pool.environment())

    assert "in a container 127.0.0.1 is the container itself" in loopback.what
    assert image.what.endswith("is of type docker, whose runs need an image, and none was given.")
    assert not loopback.fatal
    assert only(examine(server.api_url, on_the_host), fatal=False) == image


def test_the_image_is_looked_at_though_the_server_is_away(
    no_docker: None,
) -> None:
    environment = Environment("project", "production", work_pool="p", work_pool_type="docker")

    server, image = examine(f"http://127.0.0.1:{free_port()}/api", environment, "flows:1.0")

    assert "refused" in server.what
    assert image.what == "flows:1.0 could not be checked: there is no `docker` command here."


@pytest.fixture
def no_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PATH without docker."""
    monkeypatch.setenv("PATH", str(tmp_path))


def look(image: str, policy: str | None = None) -> list[Finding]:
    """Examine an image for a work pool with this pull policy."""
    environment = Environment("project", "production", work_pool="pool")
    return [*doctor_image.examine(image, environment, policy)]


@pytest.mark.usefixtures("no_docker")
@pytest.mark.parametrize(
    ("image", "policy", "what"),
    [
        ("flows:latest", "IfNotPresent", "image_pull_policy is IfNotPresent"),
        ("host:5000/flows", "IfNotPresent", "image_pull_policy is IfNotPresent"),
        ("flows:main", None, "image_pull_policy is IfNotPresent, the default"),
        ("flows:production", "Never", "image_pull_policy is Never"),
        ("flows@sha256:" + "ab" * 32, "Always", "image_pull_policy is Always, and flows@sha256"),
    ],
)
def test_a_pull_policy_that_does_not_suit_the_tag_is_a_finding(
    image: str, policy: str | None, what: str
) -> None:
    _, found = look(image, policy)

    assert what in found.what
    assert "[production.job_variables]" in found.fix
    assert not found.fatal


@pytest.mark.usefixtures("no_docker")
@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("flows:latest", None),
        ("host:5000/flows", None),
        ("flows:main", "Always"),
        ("flows:src-" + "ab" * 20, "IfNotPresent"),
        ("flows:v1.2.3", "IfNotPresent"),
        ("flows:1.0-slim", None),
        ("flows@sha256:" + "ab" * 32, "IfNotPresent"),
        ("flows:latest@sha256:" + "ab" * 32, None),
    ],
)
def test_a_pull_policy_that_suits_the_tag_is_fine(image: str, policy: str | None) -> None:
    assert [each.what for each in look(image, policy) if "policy" in each.what] == []


@pytest.mark.usefixtures("no_docker")
def test_a_tag_is_mended_with_the_digest_in_its_place() -> None:
    preview = Environment("project", "preview-pr-7", work_pool="pool", label="pr-7")

    _, found = doctor_image.examine("host:5000/flows:main", preview, None)

    assert "(--image host:5000/flows@sha256:…)" in found.fix
    assert "[preview.job_variables] of deployments/environments.toml" in found.fix


def test_the_pull_policy_is_the_environments_or_else_the_pools(server: PrefectServer) -> None:
    policy = {"type": "string", "default": "IfNotPresent"}
    template = {
        "job_configuration": {"image_pull_policy": "{{ image_pull_policy }}"},
        "variables": {"type": "object", "properties": {"image_pull_policy": policy}},
    }
    pool = Pool(server, "docker", base_job_template=template)

    def found(**more: Any) -> list[str]:
        environment = pool.environment(**more)
        findings = examine(server.api_url, environment, "nosuch.invalid/flows:latest")
        return [each.what for each in findings if "image_pull_policy" in each.what]

    assert len(found()) == 1
    assert found(job_variables={"image_pull_policy": "Always"}) == []


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry with images for this engine's platform, for another one, and for both."""
    need_docker()
    folder = tmp_path_factory.mktemp("image")
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    with Registry(tmp_path_factory.mktemp("registry")) as registry:
        for name, platform in (("mine", engine()), ("other", other()), ("unpushed", engine())):
            reference = f"{registry.address}/{name}:1.0"
            docker("build", "--quiet", "--platform", platform, "--tag", reference, str(folder))
            if name != "unpushed":
                docker("push", "--quiet", reference)
        both = [f"{registry.address}/{name}:1.0" for name in ("mine", "other")]
        docker("buildx", "imagetools", "create", "--tag", f"{registry.address}/both:1.0", *both)
        yield registry


def engine() -> str:
    """Return the engine's platform."""
    return docker("version", "--format", "{{.Server.Os}}/{{.Server.Arch}}")


def other() -> str:
    """Return another platform than the engine's."""
    return "linux/amd64" if engine() == "linux/arm64" else "linux/arm64"


def test_an_image_in_its_registry_for_this_platform_is_fine(registry: Registry) -> None:
    assert look(f"{registry.address}/mine:1.0") == []
    assert look(f"{registry.address}/both:1.0") == []
    assert look(f"{registry.address}/mine@{registry.digest('mine', '1.0')}") == []


def test_an_image_for_another_platform_is_a_finding(registry: Registry) -> None:
    found = only(look(f"{registry.address}/other:1.0"), fatal=False)

    assert f"is for {other()}, and the Docker engine here is {engine()}" in found.what
    assert "exec format error" in found.why


def test_an_image_that_is_nowhere_is_a_finding(registry: Registry) -> None:
    for nowhere in (f"{registry.address}/none:1.0", f"{registry.address}/mine@sha256:" + "0" * 64):
        found = only(look(nowhere), fatal=True)
        assert found.what.startswith(f"There is no image {nowhere}, neither in its registry")


def test_an_image_that_was_not_pushed_is_a_finding(registry: Registry) -> None:
    reference = f"{registry.address}/unpushed:1.0"

    found = only(look(reference), fatal=False)

    assert found.what == f"{reference} is on this machine, but not in its registry."
    assert found.fix == f"docker push {reference}"


def test_a_registry_that_is_away_is_not_taken_for_a_missing_image() -> None:
    need_docker()
    address = f"127.0.0.1:{free_port()}"

    found = only(look(f"{address}/flows:1.0"), fatal=False)

    assert "could not be checked in its registry" in found.what
    assert "connection refused" in found.what


def test_an_image_made_here_for_here_is_fine(registry: Registry) -> None:
    name = f"deployer-doctor-{os.getpid()}:1.0"
    docker("tag", f"{registry.address}/mine:1.0", name)
    try:
        assert look(name) == []
    finally:
        docker("rmi", name)


def test_the_registry_is_looked_at_without_an_engine(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{free_port()}")

    assert only(look(f"{registry.address}/none:1.0"), fatal=True)
    assert (
        "No Docker engine answers" in only(look(f"{registry.address}/mine:1.0"), fatal=False).what
    )


@pytest.fixture
def ghcr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Put a `docker` first on PATH that prints buildx's errors about ghcr.io."""

    def answers(logged_in: bool) -> None:
        refusal = (
            "ERROR: failed to authorize: failed to fetch anonymous token: unexpected status from "
            "GET request to https://ghcr.io/token?scope=repository%3Ame%2Fflows%3Apull: "
            "403 Forbidden"
        )
        anonymous = "$DOCKER_CONFIG" if logged_in else "always"
        script = f"""#!/bin/sh
case "$1 $2" in
  "version --format") echo linux/amd64 ;;
  "buildx imagetools")
    if [ -n "{anonymous}" ]; then echo "{refusal}" >&2; exit 1; fi
    echo '{{"architecture": "amd64", "os": "linux"}}' ;;
  *) exit 1 ;;
esac
"""
        (tmp_path / "docker").write_text(script)
        (tmp_path / "docker").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.delenv("DOCKER_CONFIG", raising=False)

    return answers


def test_a_package_on_ghcr_that_only_we_can_read_is_a_finding(
    ghcr: Callable[[bool], None],
) -> None:
    ghcr(True)

    found = only(look("ghcr.io/me/flows:1.0"), fatal=False)

    what = "ghcr.io/me/flows:1.0 is private, like the packages of a private repository."
    assert found.what == what
    assert "docker login ghcr.io where the worker runs" in found.fix


def test_a_package_on_ghcr_that_we_cannot_read_is_a_finding(ghcr: Callable[[bool], None]) -> None:
    ghcr(False)

    found = only(look("ghcr.io/me/flows:1.0"), fatal=False)

    assert "403 Forbidden" in found.what
    assert found.fix == "docker login ghcr.io, here and where the worker runs"
