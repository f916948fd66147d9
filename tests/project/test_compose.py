"""compose.yaml: the configuration of each profile, and a real start of the default one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.baking import Project, bake_into
from tests.support.docker import docker, need_docker, skip_or_fail
from tests.support.processes import free_port

SETTINGS = {"WORK_POOL": "docker-pool", "DOCKER_GID": "999"}
STRANGE = "p@ss/$w"
AUTH = "admin:p@ss"
OWN = {"server", "worker", "services", "migrate"}
Compose = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Project:
    return bake_into(tmp_path, template)


@pytest.fixture
def compose(project: Project, monkeypatch: pytest.MonkeyPatch) -> Compose:
    """`compose(*words, exit_code=0)` runs `docker compose` in the project."""
    try:
        docker("compose", "version")
    except (RuntimeError, FileNotFoundError):
        skip_or_fail("there is no `docker compose`: Debian has docker-compose since 13")
    # Variables of the shell would override .env.
    for name in list(os.environ):
        if name.startswith(("COMPOSE_", "POSTGRES_", "PREFECT_")) or name in SETTINGS:
            monkeypatch.delenv(name)

    def call(*words: str, exit_code: int | None = 0) -> subprocess.CompletedProcess[str]:
        return project.run("docker", "compose", *words, exit_code=exit_code, timeout=900)

    return call


def write(project: Project, **settings: str) -> None:
    """Write the project's .env."""
    lines = [f"{name}={value}\n" for name, value in settings.items()]
    (project.path / ".env").write_text("".join(lines))


def services(compose: Compose, *options: str) -> dict[str, Any]:
    """Return the services of Compose's resolved configuration."""
    document = json.loads(compose(*options, "config", "--format", "json").stdout)
    found: dict[str, Any] = document["services"]
    return found


@pytest.mark.parametrize("missing", sorted(SETTINGS))
def test_what_is_missing_is_named(project: Project, compose: Compose, missing: str) -> None:
    write(project, **{name: value for name, value in SETTINGS.items() if name != missing})

    refused = compose("config", exit_code=None)
    assert refused.returncode != 0
    assert f"variable {missing} is missing a value: Write " in refused.stderr


def test_by_default_there_are_a_server_on_sqlite_and_a_worker(
    project: Project, compose: Compose
) -> None:
    write(project, **SETTINGS)
    found = services(compose)

    assert found.keys() == {"server", "worker"}
    assert found["server"]["command"] == ["server", "start"]
    assert not any("DATABASE" in name for name in found["server"]["environment"])
    (volume,) = found["server"]["volumes"]
    assert (volume["type"], volume["target"]) == ("volume", "/work")


def test_a_password_for_postgresql_makes_it_several_processes(
    project: Project, compose: Compose
) -> None:
    write(project, **SETTINGS, COMPOSE_PROFILES="postgres", POSTGRES_PASSWORD=f"'{STRANGE}'")
    found = services(compose)

    assert found.keys() == OWN | {"postgres", "redis"}
    assert found["server"]["command"] == ["server", "start", "--no-services", "--workers", "2"]
    for name in ("server", "services", "migrate"):
        environment = found[name]["environment"]
        assert environment["PREFECT_SERVER_DATABASE_HOST"] == "postgres"
        # Compose prints each $ twice.
        assert environment["PREFECT_SERVER_DATABASE_PASSWORD"].replace("$$", "$") == STRANGE
        assert environment["PREFECT_SERVER_EVENTS_MESSAGING_BROKER"] == "prefect_redis.messaging"
    # The image's own health check is for a worker, so other services replace it.
    assert "postgres" in found["services"]["healthcheck"]["test"][-1]
    assert found["migrate"]["healthcheck"] == {"disable": True}


def test_every_service_is_kept_from_what_it_does_not_need(
    project: Project, compose: Compose
) -> None:
    write(project, **SETTINGS, POSTGRES_PASSWORD=STRANGE)
    found = services(compose, "--profile", "postgres")

    for name, service in found.items():
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service, name
        if name in OWN:
            assert service["read_only"], name
            assert service["cap_drop"] == ["ALL"], name
            assert "user" not in service, f"{name} does not run as the image's user"
    assert {
        name: service.get("ports") for name, service in found.items() if "ports" in service
    } == {
        "server": [
            {
                "host_ip": "127.0.0.1",
                "mode": "ingress",
                "protocol": "tcp",
                "published": "4200",
                "target": 4200,
            }
        ]
    }
    sockets = {
        name
        for name, service in found.items()
        if any(volume["source"] == "/var/run/docker.sock" for volume in service.get("volumes", []))
    }
    assert sockets == {"worker"}
    with_flows = {name for name, service in found.items() if "flows" in service["networks"]}
    assert with_flows == {"server", "worker"}


@pytest.fixture
def stack(project: Project, compose: Compose) -> Iterator[dict[str, str]]:
    """The settings in .env for the default profile. Everything it starts is removed at the end."""
    need_docker()
    name = f"stack-{uuid4().hex[:8]}"
    settings = {
        "COMPOSE_PROJECT_NAME": name,
        "WORKER_IMAGE": f"{name}-worker",
        "FLOW_NETWORK": f"{name}-flows",
        "SERVER_PORT": str(free_port()),
        "WORK_POOL": "docker-pool",
        "DOCKER_GID": str(Path("/var/run/docker.sock").stat().st_gid),
    }
    write(project, **settings)
    (project.path / "compose.env").write_text(
        f"PREFECT_SERVER_API_AUTH_STRING={AUTH}\nPREFECT_API_AUTH_STRING={AUTH}\n"
    )
    project.run("git", "init", "--quiet")
    assert project.run("git", "status", "--short", "--", ".env", "compose.env").stdout == ""
    try:
        yield settings
    finally:
        for container in docker("ps", "-aq", "--filter", f"network={name}-flows").split():
            docker("rm", "--force", "--volumes", container)
        compose("down", "--volumes", "--remove-orphans", "--rmi", "all")


def test_the_stack_comes_up_runs_a_flow_and_survives_going_down(
    project: Project, compose: Compose, stack: dict[str, str], tmp_path: Path
) -> None:
    env = {
        "PREFECT_HOME": str(tmp_path / "home"),
        "PREFECT_API_URL": f"http://127.0.0.1:{stack['SERVER_PORT']}/api",
        "PREFECT_API_AUTH_STRING": AUTH,
    }

    def deployer(*words: str) -> str:
        return project.run(sys.executable, "-m", *words, env=env, timeout=600).stdout

    compose("up", "--build", "--detach", "--wait", "server")
    deployer("deployer", "setup", "production")
    compose("up", "--detach", "--wait")
    image = deployer("tools.image").strip()
    network = f"network_mode={stack['FLOW_NETWORK']}"
    deployed = deployer(
        "deployer", "deploy", "production", "--image", image, "--job-variable", network
    )
    assert deployed.count("  Completed  ") == 2, deployed

    compose("down")
    compose("up", "--detach", "--wait", "server")

    options = ["--image", image, "--job-variable", network]
    plan = deployer("deployer", "plan", "production", *options)
    assert "0 to add, 0 to change, 0 to delete, 3 unchanged" in plan
    assert "verified" in deployer("deployer", "releases", "production")
