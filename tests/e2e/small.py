"""A small project in production after its first push: the start of most scenarios."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.baking import bake_into
from tests.support.act import Act, WorkflowRun
from tests.support.docker import PASSWORD, USERNAME, Registry, Worker, bridge_address, docker
from tests.support.proxy import Proxy
from tests.support.server import PrefectServer

POOL = "docker-pool"  # the default answer
PREVIEW_POOL = f"{POOL}-preview"
AUTH = "canary-user:canary-auth-string"
HEADER = ("X-Gateway", "canary-gateway-header")
SECRETS = {
    "GITHUB_TOKEN": "canary-github-token",
    "NETRC": "machine packages.invalid login somebody password canary-netrc-password",
    "PREFECT_API_AUTH_STRING": AUTH,
    "PREFECT_CLIENT_CUSTOM_HEADERS": json.dumps(dict([HEADER])),
}
FILE = "canary-of-a-file-that-stays-out"  # of the image
# Texts that must not appear in any log or record: secrets, plain and as encoded in requests.
NEVER_LOGGED = [
    "canary-github-token",
    PASSWORD,
    "canary-auth-string",
    "canary-netrc-password",
    HEADER[1],
    base64.b64encode(AUTH.encode()).decode(),
    base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode(),
]
JOBS = ["tests", "image", "scan", "attest", "production"]
BUILDING = {"scan", "attest"}  # jobs that run only if an image was built
SEARCHED = ["artifacts", "variables", "deployments", "flow_runs", "logs", "block_documents"]


def rows_of(server: PrefectServer, what: str) -> list[dict[str, Any]]:
    """Return up to 200 rows of one kind from the server."""
    return list(server.request("POST", f"/{what}/filter", {"limit": 200}))


def deployments(server: PrefectServer) -> dict[str, dict[str, Any]]:
    """Return the deployments by name, without the fields that a worker's polling changes."""
    rows = rows_of(server, "deployments")
    polled = {"last_polled", "status"}
    return {row["name"]: {k: v for k, v in row.items() if k not in polled} for row in rows}


def deployed_fields(rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the fields of production's deployments that a deploy sets."""
    fields = ("parameters", "job_variables", "paused", "version", "work_pool_name")
    return {
        name: [row[field] for field in fields] + [[each["active"] for each in row["schedules"]]]
        for name, row in rows.items()
        if "environment:production" in row["tags"]
    }


def explain(run: WorkflowRun) -> str:
    """Return details of a workflow run for an assertion message."""
    return f"jobs {run.jobs}\n{run.output[-6000:]}"


def make_small(repository: Act) -> None:
    """Keep only previews, production and one smoke run, and skip the project's tests."""
    repository.skip_tests()
    file = repository.project / "deployments" / "environments.toml"
    head, _, rest = file.read_text().partition("[staging]")
    before, _, after = head.partition('name_suffix = "-{label}"\n')
    preview = f'{before}work_queue = "queue-{{label}}"\nname_suffix = "-{{label}}"\n{after}'
    file.write_text(preview + rest[rest.index("[production]") :])
    (repository.project / "notes.txt").write_text(f"{FILE}\n")
    repository.replace("deployments/catalog.py", "        smoke={},\n", "")


@dataclass(frozen=True)
class Site:
    """A server behind a gateway, a worker, a registry, and a repository that was pushed once.

    Attributes:
        gateway: the proxy between the workflows and the server; it requires a header.
        origin: the repository; tests work in copies of it.
        before: the deployments before the first push.
        first: the run of the first push.
        image: the image that it deployed.
        initial: the deployed fields of production after it.
        logs: other log files, besides those of workflows, that must not contain secrets.
    """

    server: PrefectServer
    gateway: Proxy
    worker: Worker
    registry: Registry
    origin: Act
    before: dict[str, Any]
    first: WorkflowRun
    image: str
    initial: dict[str, Any]
    logs: list[Path]

    def deployed(self) -> dict[str, dict[str, Any]]:
        """Return the deployments by name."""
        return deployments(self.server)

    def hourly(self) -> dict[str, Any]:
        """Return the only deployment with a smoke run."""
        return self.deployed()["hourly"]

    def changes(self) -> list[str]:
        """Return all writes to the server, except of Variables (highest run id, deploy lock)."""
        return [each for each in self.gateway.writes if " /api/variables/" not in each]

    def tags(self) -> list[str]:
        """Return the tags of production's images."""
        return self.registry.tags(self.origin.package)

    def reset(self) -> None:
        """Restore production to its state after the first push, if a test changed it."""
        if deployed_fields(self.deployed()) != self.initial:
            # If a test rolled back, the environment is held, so resume it.
            self.deployer("deploy", "production", "--image", self.image, "--resume")

    def deployer(self, *arguments: str) -> str:
        """Run the deployer of the first push's image, as a person does by hand."""
        secrets = {key: value for key, value in SECRETS.items() if key.startswith("PREFECT_")}
        environment = {"PREFECT_API_URL": self.gateway.api_url, **secrets}
        given = [f"--env={key}={value}" for key, value in environment.items()]
        return docker("run", "--rm", *given, self.image, "python", "-m", "deployer", *arguments)

    def assert_no_leaked_secret(self, repository: Act) -> None:
        """Search all logs, all records of the server and all requests to GitHub for secrets."""
        logs = [*repository.folder.glob("run-*/log.jsonl"), *self.logs]
        texts = {str(path): path.read_text(errors="replace") for path in logs}
        texts["github"] = json.dumps([repository.github, repository.records_of("gh")])
        texts |= {what: json.dumps(rows_of(self.server, what)) for what in SEARCHED}
        texts["events"] = json.dumps(self.server.request("POST", "/events/filter", {}))
        found = [
            (word, where) for where, text in texts.items() for word in NEVER_LOGGED if word in text
        ]
        assert found == []


@contextmanager
def site(python: Path, template: Path, registry: Registry, folder: Path) -> Iterator[Site]:
    """Start everything and push once."""
    with ExitStack() as stack:
        auth = {"PREFECT_SERVER_API_AUTH_STRING": AUTH, "PREFECT_API_AUTH_STRING": AUTH}
        host = bridge_address()
        server = stack.enter_context(PrefectServer(python, folder / "server", host=host, env=auth))
        gateway = stack.enter_context(Proxy(server.api_url, host=host, header=HEADER))
        worker = stack.enter_context(Worker(server, POOL, folder / "worker"))
        origin = Act(
            bake_into(folder / "small projects", template).path,
            folder / "acting",
            name="Acme/Small-Flows",
            variables={"PREFECT_API_URL": gateway.api_url, **registry.variables},
            secrets={**SECRETS, **registry.secrets},
        )
        make_small(origin)
        before = deployments(server)
        first = origin.push()
        assert first.jobs == dict.fromkeys(JOBS, "success"), explain(first)
        after = deployments(server)
        image = after["hourly"]["job_variables"]["image"]
        initial, logs = deployed_fields(after), [server.log, worker.log]
        yield Site(server, gateway, worker, registry, origin, before, first, image, initial, logs)
