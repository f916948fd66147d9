"""Deploy a project with the answer kubernetes; Docker runs its jobs with their restrictions.

Prefect server, registry, image and worker are real. A stand-in replaces the cluster: it starts each
job's container with `docker run`.
"""

from __future__ import annotations

import json
import sys
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.baking import Project, bake_into
from tests.support.docker import Registry, docker
from tests.support.kubernetes import Job, KubernetesApi, KubernetesWorker, run_in_docker
from tests.support.server import PrefectServer

POOL = "kubernetes-pool"  # the default for this answer
NAME = "restricted-flows"


@dataclass(frozen=True)
class Deployed:
    """The output of a deploy to production, and the jobs and containers of its smoke runs."""

    report: str
    jobs: list[Job]
    containers: list[str]


@pytest.fixture(scope="module")
def project(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project in a git repository, which the name of its image needs."""
    folder = tmp_path_factory.mktemp("kubernetes")
    made = bake_into(folder, template, work_pool_type="kubernetes", project_slug=NAME)
    made.run("git", "init", "--quiet")
    return made


@pytest.fixture(scope="module")
def image(project: Project, private_registry: Registry) -> str:
    """The project's pushed image, by its digest."""
    repository = f"{private_registry.address}/{NAME}"
    build = [sys.executable, "-m", "tools.image", "--repository", repository]
    name = project.run(*build, timeout=600).stdout.strip()
    private_registry.push(name)
    return f"{repository}@{private_registry.digest(NAME, name.rpartition(':')[2])}"


@pytest.fixture(scope="module")
def deployed(
    project: Project, image: str, server: PrefectServer, tmp_path_factory: pytest.TempPathFactory
) -> Deployed:
    """The project in production, with completed smoke runs."""
    folder = tmp_path_factory.mktemp("cluster")
    containers: list[str] = []
    deployer = [sys.executable, "-m", "deployer"]
    project.run(*deployer, "setup", "production", env=server.env)
    with (
        KubernetesApi(folder, lambda job: containers.append(run_in_docker(job))) as api,
        KubernetesWorker(api, server, POOL, folder),
    ):
        deploy = [*deployer, "deploy", "production", "--image", image]
        report = project.run(*deploy, env=server.env).stdout
    return Deployed(report, api.jobs, containers)


def test_the_smoke_runs_complete_non_root_read_only_and_within_the_limits_of_the_template(
    deployed: Deployed,
) -> None:
    assert deployed.report.count("  Completed  ") == 2
    assert "production is at release 1." in deployed.report
    assert len(deployed.containers) == 2
    for job in deployed.jobs:
        (asked,) = job["spec"]["template"]["spec"]["containers"]
        # Prefect's files are therefore in the image's own PREFECT_HOME, /work/.prefect.
        assert "PREFECT_HOME" not in {each["name"] for each in asked["env"]}
    for container in json.loads(docker("inspect", *deployed.containers)):
        host, config = container["HostConfig"], container["Config"]
        assert config["User"] == "10001:0"
        assert config["Entrypoint"] == ["dumb-init", "--"]
        assert host["ReadonlyRootfs"] is True
        assert host["CapDrop"] == ["ALL"]
        assert host["SecurityOpt"] == ["no-new-privileges"]
        assert host["Memory"] == 2 * 1024**3


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("touch /work/a /tmp/a", ""),
        ("touch /app/a", "Read-only file system"),
        ("chown 1 /work", "Operation not permitted"),
    ],
)
def test_a_job_writes_to_its_own_folders_alone(
    deployed: Deployed, command: str, error: str
) -> None:
    job = deepcopy(deployed.jobs[0])
    (container,) = job["spec"]["template"]["spec"]["containers"]
    container["args"] = ["sh", "-c", f"{command} 2>&1"]
    started = run_in_docker(job)
    assert docker("wait", started) == ("1" if error else "0")
    assert error in docker("logs", started)
