"""The jobs that Prefect's kubernetes worker creates for a project with the answer kubernetes.

Project, Prefect server and worker are real. A stand-in for the cluster only accepts the jobs; the
tests compare them with Kubernetes' own types, but nothing runs.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kubernetes_validate
import prefect_kubernetes
import pytest
import yaml

from tests.baking import ROOT, bake_into
from tests.deployer.conftest import DeployerProject
from tests.support.docker import skip_or_fail
from tests.support.kubernetes import Job, KubernetesApi, KubernetesWorker
from tests.support.server import PrefectServer
from tests.support.waiting import eventually

KUBERNETES = "1.37"
POOL = "cluster"
IMAGE = f"registry.example.com/flows@sha256:{'0123456789abcdef' * 4}"
TEMPLATE = "deployments/kubernetes-job-template.json"
# The worker requires these two fields in a pod. They belong to the job, where 1 is the default;
# Kubernetes ignores them in a pod.
STRAY = {"completions": 1, "parallelism": 1}
OVERRIDES = """\
[staging.job_variables]
memory_limit = "4Gi"
service_account_name = "reader"
automount_service_account_token = true
image_pull_secrets = [{ name = "registry" }]
finished_job_ttl = 60
termination_grace_seconds = 90
env = { GREETING = "hello" }
"""


@dataclass(frozen=True)
class Cluster:
    """A deployed project, and by name of each deployment the job of one run."""

    project: DeployerProject
    api: KubernetesApi
    jobs: dict[str, Job]


def ok(project: DeployerProject, *args: str) -> str:
    done = project.deployer(*args)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def project(
    template: Path, server: PrefectServer, tmp_path_factory: pytest.TempPathFactory
) -> DeployerProject:
    answers = {"project_slug": "in-kubernetes", "work_pool_name": POOL}
    folder = tmp_path_factory.mktemp("kubernetes")
    made = bake_into(folder, template, work_pool_type="kubernetes", **answers)
    return DeployerProject(made, server)


def by_run(api: KubernetesApi) -> dict[str, dict[str, Any]]:
    """Return the created jobs by flow run id."""
    return {job["metadata"]["labels"]["prefect.io/flow-run-id"]: job for job in api.jobs}


@pytest.fixture(scope="module")
def cluster(
    project: DeployerProject, server: PrefectServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    environments = project.project.read("deployments/environments.toml")
    project.write("deployments/environments.toml", environments + OVERRIDES)
    for environment in ("staging", "production"):
        ok(project, "setup", environment)
        ok(project, "deploy", environment, "--image", IMAGE, "--no-verify")
    wanted = {"deployments": {"tags": {"all_": ["project:in-kubernetes"]}}}
    names = {}
    for deployment in server.request("POST", "/deployments/filter", wanted):
        run = server.request("POST", f"/deployments/{deployment['id']}/create_flow_run", {})
        names[run["id"]] = deployment["name"]
    folder = tmp_path_factory.mktemp("cluster")
    with KubernetesApi(folder) as api, KubernetesWorker(api, server, POOL, folder):
        # There are more jobs at the hour, when a schedule starts runs.
        eventually(lambda: names.keys() <= by_run(api).keys(), about=lambda: api.jobs)
        ids = by_run(api)
        jobs = {name: ids[run] for run, name in names.items()}
        yield Cluster(project, api, jobs)


@pytest.fixture
def job(cluster: Cluster) -> Job:
    """A valid job that a test may change."""
    return without_strays(cluster.jobs["hourly"])


def pod(job: Job) -> dict[str, Any]:
    spec: dict[str, Any] = job["spec"]["template"]["spec"]
    return spec


def without_strays(job: Job) -> Job:
    copy = deepcopy(job)
    for name in STRAY:
        del pod(copy)[name]
    return copy


def validate(manifest: dict[str, Any]) -> None:
    """Validate a manifest against the API's schema, which allows no other fields."""
    assert kubernetes_validate.validate(manifest, KUBERNETES, strict=True) == KUBERNETES


def lost(sent: Any, kept: Any, path: str = "") -> list[str]:
    """Return the paths in `sent` that `kept` lacks, except for empty values, which Go omits."""
    if isinstance(sent, dict) and isinstance(kept, dict):
        parts = [(f"{path}.{name}", value, kept.get(name)) for name, value in sent.items()]
    elif isinstance(sent, list) and isinstance(kept, list) and len(sent) == len(kept):
        pairs = enumerate(zip(sent, kept, strict=True))
        parts = [(f"{path}[{i}]", one, other) for i, (one, other) in pairs]
    else:
        return [] if sent == kept or sent in ({}, []) else [path]
    return [each for where, one, other in parts for each in lost(one, other, where)]


def named(job: Job) -> Job:
    """Return a job with a fixed name, because `kubectl apply` refuses generated names."""
    metadata = {**job["metadata"], "name": f"{job['metadata']['generateName']}x7b2p"}
    del metadata["generateName"]
    return {**job, "metadata": metadata}


@pytest.fixture
def read_by_kubectl(cluster: Cluster) -> Callable[..., Job]:
    """`read_by_kubectl(job)` returns the fields that kubectl's Go types keep, without a server."""
    if shutil.which("kubectl") is None:
        skip_or_fail("there is no kubectl on PATH")

    def read(job: Job) -> Job:
        # kubectl prints nothing without a change.
        change = ["set", "image", "prefect-job=another", "--local", "--output=json"]
        written: Job = json.loads(cluster.api.kubectl(*change, stdin=named(job)).stdout)
        pod(written)["containers"][0]["image"] = pod(job)["containers"][0]["image"]
        return written

    return read


def test_setup_creates_the_pool_with_the_template_and_a_second_one_changes_nothing(
    project: DeployerProject,
) -> None:
    environments = project.project.read("deployments/environments.toml")
    renamed = environments.replace(f'"{POOL}"', '"another cluster"')
    project.write("deployments/environments.toml", renamed)
    try:
        created = ok(project, "setup", "production")
        pool = project.server.request("GET", "/work_pools/another%20cluster")
        again = ok(project, "setup", "production")
    finally:
        project.write("deployments/environments.toml", environments)

    assert "work pool another cluster created (kubernetes)" in created
    assert pool["base_job_template"] == json.loads(project.project.read(TEMPLATE))
    assert "work pool another cluster is there (kubernetes)" in again
    assert project.server.request("GET", "/work_pools/another%20cluster") == pool


def test_every_deployment_of_the_catalog_becomes_a_job(cluster: Cluster) -> None:
    names = ["hourly", "nightly", "manual"]
    assert sorted(cluster.jobs) == sorted([*names, *(f"{name}-staging" for name in names)])


def test_the_version_that_the_readmes_name_is_the_newest_that_there_is_a_schema_of(
    project: DeployerProject,
) -> None:
    for text in (project.project.read("docs/kubernetes.md"), (ROOT / "README.md").read_text()):
        named = re.findall(r"Kubernetes\s(\d\.\d+)", text)
        assert named == [KUBERNETES]
    assert kubernetes_validate.latest_version() == f"{KUBERNETES}.0"


def test_the_api_schema_knows_every_field_of_every_job(cluster: Cluster) -> None:
    for job in cluster.jobs.values():
        validate(without_strays(job))


def test_the_fields_that_the_worker_wants_in_the_wrong_place_are_the_only_unknown_ones(
    cluster: Cluster,
) -> None:
    manifest = cluster.jobs["hourly"]
    assert {name: pod(manifest)[name] for name in STRAY} == STRAY

    with pytest.raises(kubernetes_validate.ValidationError) as caught:
        validate(manifest)
    assert "('completions', 'parallelism' were unexpected)" in caught.value.message

    configuration = prefect_kubernetes.worker.KubernetesWorkerJobConfiguration
    with pytest.raises(ValueError, match=r"missing required .*completions.*parallelism"):
        configuration(job_manifest=without_strays(manifest))


WRONG: dict[str, Callable[[Job], object]] = {
    "a field that pods do not have": lambda job: pod(job).update(runAsNonRoot=True),
    "a field that containers do not have": lambda job: pod(job)["containers"][0].update(
        hostNetwork=True
    ),
    "a field with a letter too few": lambda job: pod(job)["containers"][0][
        "securityContext"
    ].update(allowPrivilegeEscalaton=False),
    "text for a number": lambda job: job["spec"].update(ttlSecondsAfterFinished="3600"),
    "text for a switch": lambda job: pod(job)["securityContext"].update(runAsNonRoot="true"),
    "an object for a list": lambda job: pod(job).update(volumes={"name": "work"}),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_the_api_schema_refuses(job: Job, wrong: str) -> None:
    WRONG[wrong](job)
    with pytest.raises(kubernetes_validate.ValidationError):
        validate(job)


def test_kubectl_reads_every_field_of_every_job(
    cluster: Cluster, read_by_kubectl: Callable[..., Job]
) -> None:
    strays = [f".spec.template.spec.{name}" for name in STRAY]
    for sent in cluster.jobs.values():
        read = read_by_kubectl(sent)
        assert sorted(lost(named(sent), read)) == strays


@pytest.mark.parametrize("wrong", [each for each in WRONG if each.startswith("a field")])
def test_kubectl_does_not_read(job: Job, read_by_kubectl: Callable[..., Job], wrong: str) -> None:
    WRONG[wrong](job)
    assert len(lost(named(job), read_by_kubectl(job))) == 1


@pytest.mark.parametrize("wrong", [each for each in WRONG if not each.startswith("a field")])
def test_kubectl_refuses(job: Job, read_by_kubectl: Callable[..., Job], wrong: str) -> None:
    WRONG[wrong](job)
    with pytest.raises(AssertionError, match="cannot unmarshal"):
        read_by_kubectl(job)


@pytest.mark.usefixtures("read_by_kubectl")
def test_kubectl_apply_takes_every_job_in_a_dry_run(cluster: Cluster) -> None:
    # It only needs API discovery: validation would need the complete OpenAPI of an API server.
    how = ["apply", "--dry-run=client", "--validate=false"]
    for job in cluster.jobs.values():
        created = cluster.api.kubectl(*how, stdin=named(job)).stdout
        assert re.fullmatch(r"job\.batch/\S+ created \(dry run\)\n", created)
    unknown = {**named(job), "kind": "Jop"}
    refused = cluster.api.kubectl(*how, stdin=unknown, exit_code=1).stderr
    assert 'no matches for kind "Jop"' in refused


def test_a_job_meets_the_restricted_pod_security_standard(cluster: Cluster) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted."""
    for job in cluster.jobs.values():
        spec = pod(job)
        (container,) = spec["containers"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == 10001
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert {kind for volume in spec["volumes"] for kind in volume} == {"name", "emptyDir"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()


def test_a_job_runs_the_image_by_its_digest_once_and_is_gone_after_an_hour(
    cluster: Cluster,
) -> None:
    for name in ("hourly", "nightly", "manual"):
        job = cluster.jobs[name]
        (container,) = pod(job)["containers"]
        assert container["image"] == IMAGE
        assert container["imagePullPolicy"] == "IfNotPresent"
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert container["resources"]["limits"].keys() == {"cpu", "memory"}
        # Only arguments: the image's entrypoint is the init that forwards signals.
        assert "command" not in container
        assert container["args"] == ["prefect", "flow-run", "execute"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        mounted = {each["mountPath"] for each in container["volumeMounts"]}
        assert mounted == {"/work", "/tmp"}  # noqa: S108 - as in the Dockerfile
        assert job["spec"]["backoffLimit"] == 0
        assert job["spec"]["ttlSecondsAfterFinished"] == 3600
        assert job["metadata"]["namespace"] == "prefect"
        assert pod(job)["restartPolicy"] == "Never"
        assert pod(job)["automountServiceAccountToken"] is False


def test_what_an_environment_says_in_its_job_variables_reaches_its_jobs_alone(
    cluster: Cluster,
) -> None:
    for name in ("hourly-staging", "nightly-staging", "manual-staging"):
        job = cluster.jobs[name]
        (container,) = pod(job)["containers"]
        assert container["resources"]["limits"] == {"cpu": "2", "memory": "4Gi"}
        assert {"name": "GREETING", "value": "hello"} in container["env"]
        assert pod(job)["serviceAccountName"] == "reader"
        assert pod(job)["automountServiceAccountToken"] is True
        assert pod(job)["imagePullSecrets"] == [{"name": "registry"}]
        assert pod(job)["terminationGracePeriodSeconds"] == 90
        assert job["spec"]["ttlSecondsAfterFinished"] == 60
    assert pod(cluster.jobs["hourly"])["imagePullSecrets"] == []


def test_the_template_is_prefects_own_with_other_defaults_and_more(
    project: DeployerProject,
) -> None:
    """If this fails after an update of prefect-kubernetes, apply its change to our template."""
    ours = json.loads(project.project.read(TEMPLATE))
    prefects = deepcopy(prefect_kubernetes.KubernetesWorker.get_default_base_job_template())
    assert lost(prefects["job_configuration"], ours["job_configuration"]) == []

    changed = lost(prefects["variables"], ours["variables"])
    assert [path for path in changed if not path.endswith(".default")] == []
    own = ours["variables"]["properties"].keys() - prefects["variables"]["properties"].keys()
    text = json.dumps(ours["job_configuration"])
    assert own == {
        "automount_service_account_token",
        "image_pull_secrets",
        "termination_grace_seconds",
    }
    assert [name for name in own if f'"{{{{ {name} }}}}"' not in text] == []


def test_a_change_of_prefects_template_would_be_seen() -> None:
    mine = {"a": 1, "list": [{"b": 2}], "more": 3}
    assert lost({"a": 1, "list": [{"b": 2}]}, mine) == []
    assert lost({"new": 1}, mine) == [".new"]
    assert lost({"list": [{"b": 3, "c": 4}]}, mine) == [".list[0].b", ".list[0].c"]


def test_the_workers_values_fit_the_template_and_the_project(project: DeployerProject) -> None:
    worker = yaml.safe_load(project.project.read("kubernetes-worker.yaml"))["worker"]
    template = json.loads(project.project.read(TEMPLATE))
    page = project.project.read("docs/kubernetes.md")

    assert worker["config"]["workPool"] == POOL
    # The chart only allows the worker to create jobs in its own namespace.
    namespace = template["variables"]["properties"]["namespace"]["default"]
    assert set(re.findall(r"--namespace (\S+)", page)) == {namespace}
    assert "--values kubernetes-worker.yaml" in page


def test_the_worker_itself_runs_restricted(project: DeployerProject) -> None:
    worker = yaml.safe_load(project.project.read("kubernetes-worker.yaml"))["worker"]
    container = {
        "name": "worker",
        "image": "prefecthq/prefect",
        "resources": worker["resources"],
        "securityContext": worker["containerSecurityContext"],
    }
    spec = {"containers": [container], "securityContext": worker["podSecurityContext"]}
    validate({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "worker"}, "spec": spec})
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
