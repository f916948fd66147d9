"""A stand-in for a cluster: it accepts any job from a worker or kubectl, without validation."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.support.docker import Worker, docker
from tests.support.listener import Listener, QuietHandler

Job = dict[str, Any]

# API discovery: clients read the available kinds and their paths before they write.
BATCH = {"groupVersion": "batch/v1", "version": "v1"}
JOBS = {
    "name": "jobs",
    "singularName": "job",
    "kind": "Job",
    "namespaced": True,
    "verbs": ["create", "get", "patch"],
}
DISCOVERY: Mapping[str, Any] = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": []},
    "/apis": {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [{"name": "batch", "versions": [BATCH], "preferredVersion": BATCH}],
    },
    "/apis/batch/v1": {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": "batch/v1",
        "resources": [JOBS],
    },
}
NOT_FOUND = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound"}


class KubernetesApi(Listener):
    """The part of the Kubernetes API that creates jobs, on loopback.

    Attributes:
        jobs: the posted jobs, unchanged.
        env: variables with which a worker and kubectl find this API.
    """

    def __init__(self, folder: Path, on_job: Callable[[Job], object] | None = None) -> None:
        """Prepare the API. It writes a kubeconfig to the folder and calls `on_job` for each job."""
        api = self
        self.jobs: list[Job] = []
        self._on_job = on_job

        class Handler(QuietHandler):
            def do_GET(self) -> None:
                found = DISCOVERY.get(self.path.split("?")[0])
                self.answer(200 if found else 404, found or {**NOT_FOUND, "code": 404})

            def do_POST(self) -> None:
                job = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.answer(201, api._take(job))

            def answer(self, code: int, content: Any) -> None:
                body = json.dumps(content).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        super().__init__("127.0.0.1", Handler)
        folder.mkdir(parents=True, exist_ok=True)
        kubeconfig = folder / "kubeconfig.json"
        kubeconfig.write_text(json.dumps(self._kubeconfig()))
        # kubectl caches the API discovery in HOME.
        self.env = {"KUBECONFIG": str(kubeconfig), "HOME": str(folder)}

    def kubectl(
        self, *arguments: str, stdin: Job, exit_code: int = 0
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl with a manifest on its stdin."""
        done = subprocess.run(
            ["kubectl", *arguments, "--filename=-"],
            env={**os.environ, **self.env},
            input=json.dumps(stdin),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == exit_code, done.stdout + done.stderr
        return done

    def _take(self, job: Job) -> Job:
        self.jobs.append(job)
        if self._on_job is not None:
            self._on_job(job)
        name = f"{job['metadata']['generateName']}{len(self.jobs)}"
        return {**job, "metadata": {**job["metadata"], "name": name}}

    def _kubeconfig(self) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "stand-in",
            "clusters": [{"name": "stand-in", "cluster": {"server": self.origin}}],
            "contexts": [{"name": "stand-in", "context": {"cluster": "stand-in", "user": "a"}}],
            "users": [{"name": "a", "user": {}}],
        }


class KubernetesWorker(Worker):
    """`prefect worker start --type kubernetes`, which creates jobs in a `KubernetesApi`."""

    def __init__(self, api: KubernetesApi, *arguments: Any) -> None:
        """Prepare a worker; the arguments are those of `Worker`."""
        super().__init__(*arguments, type="kubernetes")
        self.api = api

    def environment(self) -> dict[str, str]:
        """Return the clients' environment without local folders, which no cluster has.

        A worker passes its settings on to its flow runs.
        """
        folders = ("PREFECT_HOME", "PREFECT_PROFILES_PATH")
        given = {key: value for key, value in super().environment().items() if key not in folders}
        observing = {"PREFECT_INTEGRATIONS_KUBERNETES_OBSERVER_ENABLED": "false"}
        return given | self.api.env | observing


def run_in_docker(job: Job) -> str:
    """Start a job's container like a node, with only the permissions that the job grants.

    Returns:
        The container's id. The container is removed with the registry of its image.
    """
    spec = job["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    user, limits = spec["securityContext"], container["resources"]["limits"]
    rights = container["securityContext"]
    flags = [
        f"--user={user['runAsUser']}:{user['runAsGroup']}",
        f"--cpus={limits['cpu']}",
        f"--memory={limits['memory'].removesuffix('i')}",
        f"--read-only={json.dumps(rights['readOnlyRootFilesystem'])}",
        *(f"--cap-drop={name}" for name in rights["capabilities"]["drop"]),
        *(f"--env={each['name']}={each['value']}" for each in container["env"]),
        # An emptyDir: nodes make it writable for all users.
        *(f"--tmpfs={each['mountPath']}:mode=0777,exec" for each in container["volumeMounts"]),
    ]
    if not rights["allowPrivilegeEscalation"]:
        flags.append("--security-opt=no-new-privileges")
    return docker("run", "--detach", *flags, container["image"], *container["args"])
