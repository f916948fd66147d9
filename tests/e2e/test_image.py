"""The images: their content, how they are built, and how a worker runs them.

All tests share two cold builds of one project: one by BuildKit, one by docker-py, which Prefect's
own builder uses.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker as docker_py
import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

from tests.baking import Project, bake_into, run
from tests.support.docker import Registry, bridge_address, docker
from tests.support.image import Entry, differences, entries, places_of
from tests.support.index import PrivateIndex, make_wheel, requirement
from tests.support.runs import wait_for
from tests.support.server import PrefectServer
from tests.support.waiting import eventually

BASE = "python:3.14-slim-trixie"
PACKAGES = "opt/venv/lib/python3.14/site-packages"
LOCKED_DOWN = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")
SOCKET = Path("/var/run/docker.sock")
WITHIN = 300  # seconds to wait for a container or a log line
SLOW_FLOW = '''\
"""A flow that takes the given number of seconds."""

import time

from prefect import flow


@flow(log_prints=True)
def slow_flow(seconds: float = 0.0) -> None:
    """Wait."""
    print("the flow has begun")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.1)
'''
CATALOG = '''\
"""What is deployed."""

from deployer.catalog import Deployment
from flows.slow_flow import slow_flow

HARDENED = {
    "container_create_kwargs": {
        "user": "12345:12345",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "tmpfs": {"/work": ""},
    }
}
CATALOG = [
    Deployment(slow_flow, name="plain"),
    Deployment(slow_flow, name="hardened", job_variables=HARDENED),
]
'''


@dataclass
class Images:
    """The tags or ids of the built images.

    Attributes:
        flows: built by BuildKit, without a cache.
        again: built by docker-py, without a cache, on one processor.
        worker: the image of the target `worker`.
    """

    flows: str
    again: str
    worker: str


def deployer_image(project: Project, *options: str, exit_code: int = 0, **env: str) -> str:
    """Run `python -m tools.image` and return its output: the image's name, or the error."""
    command = [sys.executable, "-m", "tools.image", *options]
    done = project.run(*command, exit_code=exit_code, env=env, timeout=900)
    return (done.stderr if exit_code else done.stdout).strip()


def remove(*images: str) -> None:
    """Remove images that exist and that no other image is based on."""
    for image in images:
        with suppress(RuntimeError):
            docker("rmi", "--force", image)


@pytest.fixture(scope="module")
def project(
    docker_engine: None, template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Project:
    """A committed project with a slow flow, and with secrets in files that git ignores."""
    project = bake_into(tmp_path_factory.mktemp("image"), template, work_pool_type="docker")
    (project.path / "flows/slow_flow.py").write_text(SLOW_FLOW)
    (project.path / "deployments/catalog.py").write_text(CATALOG)
    # Uncomment the resource limits of production.
    file = project.path / "deployments/environments.toml"
    head, line, rest = file.read_text().partition("# [production.job_variables]")
    assert line
    file.write_text(head + re.sub("^# ", "", line + rest, flags=re.MULTILINE))
    secrets = (".env", ".prefect/profiles.toml", "flows/.env", "deployments/.prefect/key")
    for where in secrets:
        (project.path / where).parent.mkdir(exist_ok=True)
        (project.path / where).write_text("PREFECT_API_KEY=canary-file")
    project.run("git", "init", "--quiet")
    project.run("git", "remote", "add", "origin", "https://canary-git@example.com/flows.git")
    project.run("git", "add", "--all")
    project.run("git", "commit", "--quiet", "--message=canary-message")
    assert project.run("git", "ls-files", *secrets).stdout == ""
    return project


@pytest.fixture(scope="module")
def images(project: Project) -> Iterator[Images]:
    """The project's images, built without a cache by both builders at the same time."""
    canaries = {"PREFECT_API_KEY": "canary-variable", "GITHUB_TOKEN": "canary-variable"}
    flows = f"flows-{os.getpid()}:buildkit"
    again = f"flows-{os.getpid()}:docker-py"
    client = docker_py.from_env(timeout=900)

    def by_docker_py() -> list[str]:
        _, log = client.images.build(
            path=str(project.path),
            tag=again,
            nocache=True,
            forcerm=True,
            container_limits={"cpusetcpus": "0"},
        )
        return re.findall(r"---> ([0-9a-f]{12})", "".join(line.get("stream", "") for line in log))

    with ThreadPoolExecutor() as pool:
        other = pool.submit(by_docker_py)
        command = ["docker", "build", "--no-cache", f"--tag={flows}", "."]
        project.run(*command, env=canaries, timeout=900)
        worker = deployer_image(project, "--target=worker", exit_code=0, **canaries)
        steps = other.result()
    yield Images(flows, again, worker)
    remove(flows, again, worker)
    # Remove untagged build stages; docker-py only returns their ids.
    for step in reversed(steps):
        with suppress(RuntimeError):
            if docker("image", "inspect", "--format={{.RepoTags}}", step) == "[]":
                docker("rmi", step)


@pytest.fixture(scope="module")
def base() -> dict[str, Entry]:
    """The files of the base image."""
    return entries(BASE)


@pytest.fixture(scope="module")
def flows(images: Images) -> dict[str, Entry]:
    """The files of the flows' image."""
    return entries(images.flows)


@pytest.fixture(scope="module")
def worker_files(images: Images) -> dict[str, Entry]:
    """The files of the worker's image."""
    return entries(images.worker)


def derive(image: str, dockerfile: str, folder: Path, **files: str) -> str:
    """Build an image based on another, with files in the build context, and return its id."""
    (folder / "Dockerfile").write_text(f"FROM {image}\nUSER 0\n{dockerfile}\n")
    for name, text in files.items():
        (folder / name).write_text(text)
    return docker("build", "--quiet", str(folder))


def config(image: str) -> dict[str, Any]:
    """Return the image's container configuration."""
    (found,) = json.loads(docker("image", "inspect", image))
    settings: dict[str, Any] = found["Config"]
    return settings


def packages(held: dict[str, Entry], where: str = PACKAGES) -> set[str]:
    """Return `name-version` of the Python packages in a folder of an image."""
    found = (re.fullmatch(rf"{where}/([^/]+)\.dist-info", path) for path in held)
    return {normal(match[1]) for match in found if match}


def normal(name: str) -> str:
    """Return a normalised `name-version`: lower case, with dashes in the name."""
    return re.sub(r"[-_.]+(?=[A-Za-z])", "-", name).lower()


def locked(project: Project, path: str) -> set[str]:
    """Return `name-version` of the packages that a requirements file installs in the image."""
    environment = {**default_environment(), "python_version": "3.14", "sys_platform": "linux"}
    environment |= {"python_full_version": "3.14.0", "platform_python_implementation": "CPython"}
    lines = re.findall(r"^([a-z].*?) \\$", project.read(path), flags=re.MULTILINE)
    wanted = [Requirement(line) for line in lines]
    assert len(wanted) > 50
    return {
        normal(f"{each.name}-{next(iter(each.specifier)).version}")
        for each in wanted
        if not each.marker or each.marker.evaluate(dict[str, Any](environment))
    }


# The content of the images


def test_cold_builds_by_two_builders_on_one_and_on_all_processors_differ_in_no_file(
    images: Images, flows: dict[str, Entry], tmp_path: Path
) -> None:
    assert differences(flows, entries(images.again)) == []
    assert config(images.flows)["Env"] == config(images.again)["Env"]

    # The comparison notices one more byte in a .pyc file, and a changed permission.
    module = "app/flows/basic_flow.py"
    pyc = next(path for path in flows if path.startswith(f"{PACKAGES}/anyio/__pycache__/"))
    other = derive(images.flows, f"RUN printf x >>/{pyc} && chmod 600 /{module}", tmp_path)
    assert differences(flows, entries(other)) == sorted([pyc, module])
    remove(other)


def test_the_image_adds_nothing_to_its_base_but_packages_bytecode_and_the_code(
    base: dict[str, Entry], flows: dict[str, Entry], worker_files: dict[str, Entry]
) -> None:
    for held in (flows, worker_files):
        assert [path for path in base if held.get(path) != base[path]] == []
        added = held.keys() - base.keys()
        ours = re.compile(
            r"work|app(/(flows|deployments|deployer)(/.+)?)?|opt/venv(/.+)?"
            r"|usr/local/lib/python3\.14/(?!site-packages).*__pycache__(/[^/]+\.cpython-314\.pyc)?"
        )
        assert sorted(path for path in added if not ours.fullmatch(path)) == []
        assert sorted(path for path in added if path.endswith("/uv") or "/.cache" in path) == []
    assert [path for path in worker_files if path.startswith("app")] == []


def test_there_is_no_compiler(flows: dict[str, Entry], worker_files: dict[str, Entry]) -> None:
    compiler = re.compile(
        r".*/bin/([a-z0-9_]+-)*(gcc|g\+\+|cc|c\+\+|clang|ld|as|make|rustc)(-\d+)?"
    )
    assert compiler.fullmatch("usr/bin/x86_64-linux-gnu-gcc-14")
    for held in (flows, worker_files):
        assert [path for path in held if compiler.fullmatch(path)] == []


def test_everything_is_compiled(flows: dict[str, Entry]) -> None:
    sources = re.compile(
        rf"((?:{PACKAGES}|usr/local/lib/python3\.14(?!/site-packages))(?:/.*)?)/([^/]+)\.py"
    )
    found = [match for match in map(sources.fullmatch, flows) if match]
    assert len(found) > 3000
    compiled = (f"{match[1]}/__pycache__/{match[2]}.cpython-314.pyc" for match in found)
    assert [path for path in compiled if path not in flows] == []


def test_each_image_has_the_very_packages_of_its_own_locked_file(
    project: Project, flows: dict[str, Entry], worker_files: dict[str, Entry]
) -> None:
    assert packages(flows) == locked(project, "requirements.txt")
    assert packages(worker_files) == locked(project, "requirements-worker.txt")
    names = {name.rpartition("-")[0] for name in packages(worker_files) - packages(flows)}
    assert {"prefect-docker", "prefect-redis"} <= names
    assert not {"pytest", "ruff", "mypy", "pre-commit"} & names


def test_how_containers_are_started(project: Project, images: Images) -> None:
    flows, worker = config(images.flows), config(images.worker)
    for each in (flows, worker):
        assert re.fullmatch(r"[1-9]\d*:0", each["User"])
        assert each["Entrypoint"][:2] == ["dumb-init", "--"]
        assert {"HOME=/work", "PREFECT_HOME=/work/.prefect"} <= set(each["Env"])
        # No label that differs from build to build, or the same content would get a new digest.
        assert set(each["Labels"]) == {
            "org.opencontainers.image.title",
            "org.opencontainers.image.base.name",
        }
        assert each["Labels"]["org.opencontainers.image.base.name"] == f"docker.io/library/{BASE}"
    assert set(re.findall(r"^FROM (\S+:\S+)", project.read("Dockerfile"), re.MULTILINE)) == {BASE}
    assert flows["Entrypoint"] == ["dumb-init", "--"]
    assert "Healthcheck" not in flows
    assert worker["Healthcheck"]["Test"][0] == "CMD"


def test_no_secret_that_lay_about_is_in_a_layer_or_in_the_history(
    images: Images, tmp_path: Path
) -> None:
    assert places_of("canary-", images.flows) == []
    assert places_of("canary-", images.worker) == []

    removed = derive(BASE, "COPY key /tmp/key\nRUN rm /tmp/key", tmp_path, key="canary-file")
    assert any("layer" in place or "blobs" in place for place in places_of("canary-", removed))
    argument = derive(BASE, "ARG TOKEN=canary-argument\nRUN true", tmp_path)
    assert "history" in places_of("canary-", argument)
    remove(removed, argument)


# Running the images


@pytest.mark.parametrize("user", [None, "12345:12345"])
def test_the_image_runs_locked_down_under_any_user(images: Images, user: str | None) -> None:
    options = [*LOCKED_DOWN, *([f"--user={user}"] if user else [])]
    check = ["python", "-m", "deployer", "check"]
    answer = docker("run", "--rm", *options, "--tmpfs=/work", images.flows, *check)
    assert "2 deployments and 5 environments are fine" in answer

    write = "touch $HOME/file && mkdir -p $PREFECT_HOME && id -u"
    assert docker("run", "--rm", *options, "--tmpfs=/work", images.flows, "sh", "-c", write)
    assert docker("run", "--rm", *options[3:], images.flows, "sh", "-c", write)
    with pytest.raises(RuntimeError, match="Read-only file system"):
        docker("run", "--rm", *options, images.flows, "touch", "/work/file")
    with pytest.raises(RuntimeError, match="Permission denied"):
        docker("run", "--rm", *options[3:], images.flows, "touch", "/app/flows/file")


def test_signals_reach_the_whole_process_group(images: Images) -> None:
    child = (
        "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, {15}); "
        "print('ready', flush=True); print('child', signal.sigwait({15}))"
    )
    script = f"trap 'wait; exit 7' TERM; python -uc \"{child}\" & wait"
    command = ["docker", "run", "--rm", images.flows, "sh", "-c"]
    with subprocess.Popen([*command, script], stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout
        assert client.stdout.readline() == "ready\n"
        client.terminate()  # the client forwards the signal to the container
        assert client.stdout.readline() == "child 15\n"
    assert client.returncode == 7


@pytest.fixture(scope="module")
def pool(project: Project, images: Images, server: PrefectServer) -> dict[str, Any]:
    """The work pool that `setup` created, with the catalog deployed to it."""
    for command in (["setup"], ["deploy", "--image", images.flows, "--no-verify"]):
        words = [command[0], "production", *command[1:]]
        project.run(sys.executable, "-m", "deployer", *words, env=server.env)
    pool: dict[str, Any] = server.request("GET", "/work_pools/docker-pool")
    return pool


def health(container: str, wanted: str) -> None:
    """Wait until a container has this health status."""
    show = ("inspect", "--format={{.State.Health.Status}}", container)
    eventually(lambda: docker(*show) == wanted, WITHIN, about=lambda: docker("logs", container))


@pytest.fixture(scope="module")
def worker_container(images: Images, server: PrefectServer, pool: dict[str, Any]) -> Iterator[str]:
    """The worker in a container of its image, polling for work each second."""
    variables = {"PREFECT_API_URL": server.api_url, "PREFECT_WORKER_QUERY_SECONDS": "1"}
    container = docker(
        "run",
        "--detach",
        *(f"--env={name}={value}" for name, value in variables.items()),
        f"--volume={SOCKET}:{SOCKET}",
        f"--group-add={SOCKET.stat().st_gid}",
        *("--health-interval=1s", "--health-retries=2", "--health-timeout=5s"),
        *(*LOCKED_DOWN, "--tmpfs=/work"),
        *(images.worker, "--pool=docker-pool", "--type=docker"),
    )
    yield container
    docker("rm", "--force", container)
    for left in docker("ps", "--all", "--quiet", f"--filter=ancestor={images.flows}").split():
        docker("rm", "--force", left)


@dataclass
class Run:
    """One flow run on the server."""

    server: PrefectServer
    id: str

    def read(self) -> dict[str, Any]:
        """Return its current row on the server."""
        found: dict[str, Any] = self.server.request("GET", f"/flow_runs/{self.id}")
        return found

    def reaches(self, *states: str) -> dict[str, Any]:
        """Wait until its state has one of these types, and return the state."""

        def is_there(run: dict[str, Any]) -> bool:
            there = run["state"]["type"] in states
            assert there or run["state"]["type"] not in ("CRASHED", "FAILED"), run["state"]
            return there

        return dict(wait_for(self.server, self.id, is_there, 600)["state"])

    @property
    def container(self) -> str:
        """The id of its container."""
        return str(self.read()["infrastructure_pid"]).rpartition(":")[2]

    def wait_for_log(self, text: str) -> None:
        """Wait until the server has this log line, which arrives late."""
        filters = {"logs": {"flow_run_id": {"any_": [self.id]}}}

        def lines() -> list[str]:
            found = self.server.request("POST", "/logs/filter", filters)
            return [line["message"] for line in found]

        eventually(lambda: text in lines(), WITHIN, about=lines)

    def wait_until_removed(self) -> None:
        """Wait until its container no longer exists."""
        there = ("ps", "--all", "--quiet", "--no-trunc")
        eventually(lambda: self.container not in docker(*there).split(), WITHIN)


@pytest.fixture(scope="module")
def runs(server: PrefectServer, worker_container: str) -> dict[str, Run]:
    """Three flow runs, started at the same time, because each takes a while to start."""
    health(worker_container, "healthy")
    started = {}
    for name, deployment, seconds in (
        ("through", "hardened", 0),
        ("cancelled", "plain", 3600),
        ("terminated", "plain", 3600),
    ):
        found = server.request("GET", f"/deployments/name/slow-flow/{deployment}")
        where = f"/deployments/{found['id']}/create_flow_run"
        body: dict[str, Any] = {"parameters": {"seconds": seconds}}
        if name == "terminated":
            # The worker reads the exit code after the end, when Docker may have removed the rest.
            body["job_variables"] = {"auto_remove": False}
        run = server.request("POST", where, body)
        started[name] = Run(server, run["id"])
    return started


def test_setup_changes_two_defaults_of_prefects_docker_pool_and_no_more(
    pool: dict[str, Any],
) -> None:
    from prefect_docker.worker import DockerWorker

    expected = DockerWorker.get_default_base_job_template()
    properties = expected["variables"]["properties"]
    assert properties["image_pull_policy"]["default"] is None
    properties["image_pull_policy"]["default"] = "IfNotPresent"
    assert properties["auto_remove"]["default"] is False
    properties["auto_remove"]["default"] = True
    assert pool["base_job_template"] == expected


def test_a_worker_in_its_own_image_runs_a_locked_down_flow_and_its_logs_arrive(
    runs: dict[str, Run],
) -> None:
    run = runs["through"]
    run.reaches("COMPLETED")
    run.wait_for_log("the flow has begun")
    run.wait_for_log("Finished in state Completed()")
    run.wait_until_removed()


def test_a_run_that_is_cancelled_in_the_ui_stops(runs: dict[str, Run]) -> None:
    run = runs["cancelled"]
    run.reaches("RUNNING")
    # A run is running a moment before its flow begins, and a flow that never began logs nothing.
    run.wait_for_log("the flow has begun")
    limits = docker(
        "inspect", "--format={{.HostConfig.Memory}} {{.HostConfig.NanoCpus}}", run.container
    )
    assert limits == f"{2 * 1024**3} {2 * 10**9}"

    cancelling = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
    run.server.request("POST", f"/flow_runs/{run.id}/set_state", cancelling)

    run.wait_for_log("Flow run was cancelled.")  # long before the flow would end by itself
    # The state follows later: another interpreter first looks for the flow's own hooks.
    assert run.reaches("CANCELLED")["name"] == "Cancelled"
    run.wait_until_removed()


def test_a_container_that_is_asked_to_end_leaves_a_crashed_run(runs: dict[str, Run]) -> None:
    run = runs["terminated"]
    run.reaches("RUNNING")
    run.wait_for_log("the flow has begun")
    # Longer than the default, so that exit code 143 proves that nothing had to be killed.
    docker("stop", "--time=60", run.container)

    state = run.reaches("CRASHED")

    assert "143" in state["message"]
    assert "SIGTERM" in state["message"]


def test_a_worker_is_unhealthy_when_it_does_not_answer(
    runs: dict[str, Run], worker_container: str
) -> None:
    health(worker_container, "healthy")
    docker("exec", worker_container, "sh", "-c", "kill -STOP -1")
    health(worker_container, "unhealthy")
    docker("exec", worker_container, "sh", "-c", "kill -CONT -1")
    health(worker_container, "healthy")


# Building the images


def test_only_what_goes_into_an_image_is_in_its_name(
    bake: Callable[..., Project], docker_engine: None
) -> None:
    project = bake()
    project.run("git", "init", "--quiet")

    def names() -> list[str]:
        return [deployer_image(project, "--name-only", *t) for t in ([], ["--target=worker"])]

    flows, worker = names()
    assert re.fullmatch(r"my-prefect-flows:worker-[0-9a-f]{40}", worker)
    for path, changes in (
        ("requirements-worker.txt", [False, True]),
        ("flows/new_flow.py", [True, False]),
        ("requirements.txt", [True, True]),
    ):
        with (project.path / path).open("a") as file:
            file.write("# changed\n")
        flows_then, worker_then = names()
        assert [flows_then != flows, worker_then != worker] == changes, path
        flows, worker = flows_then, worker_then


def test_what_git_ignores_is_not_let_into_an_image(default_project: Project) -> None:
    ignored = default_project.read(".gitignore").split()
    kept_out = default_project.read(".dockerignore").splitlines()
    assert ignored
    assert [each for each in ignored if f"**/{each.rstrip('/')}" not in kept_out] == []


@pytest.fixture
def mirror(registry: Registry) -> Iterator[tuple[str, str]]:
    """A mirror in the registry, with a base image under a tag that only the mirror has."""
    place, tag = f"{registry.address}/mirrored/library", f"python:only-in-a-mirror-{os.getpid()}"
    docker("tag", BASE, f"{place}/{tag}")
    docker("push", f"{place}/{tag}", timeout=300)
    docker("rmi", f"{place}/{tag}")
    yield place, tag
    remove(tag)


def make_stages_only(project: Project, tag: str) -> None:
    """Reduce the Dockerfile to its FROM lines, with another base image."""
    stages = re.findall(r"^FROM .+$", project.read("Dockerfile"), flags=re.MULTILINE)
    (project.path / "Dockerfile").write_text("\n".join(stages).replace(BASE, tag) + "\n")
    project.run("git", "init", "--quiet")


def test_a_mirror_stands_in_for_docker_hub(
    bake: Callable[..., Project], mirror: tuple[str, str]
) -> None:
    project = bake()
    place, tag = mirror
    make_stages_only(project, tag)

    assert tag in deployer_image(project, exit_code=1, BASE_MIRROR="")
    error = deployer_image(project, exit_code=1, BASE_MIRROR=f"{place}/elsewhere")
    assert f"Set BASE_MIRROR to the prefix that {tag} has in the mirror" in error
    name = deployer_image(project, BASE_MIRROR=f"{place}/")
    assert config(name)["Cmd"] == config(BASE)["Cmd"]
    remove(name)


def test_the_pipelines_build_is_told_where_the_mirror_is(bake: Callable[..., Project]) -> None:
    project = bake()
    project.run("git", "init", "--quiet")
    contexts = f"{BASE}=docker-image://mirror.example.com/library/{BASE}"
    for mirror, expected in (("mirror.example.com/library", contexts), ("", "")):
        assert build_contexts(project, mirror) == expected


def build_contexts(project: Project, mirror: str) -> str:
    """Return the build contexts that the pipeline sets for base images in a mirror."""
    command = [sys.executable, "-m", "tools.pipeline", "find", "--package", "none"]
    settings = json.dumps({"BASE_MIRROR": mirror})
    env = {"SETTINGS": settings, "GITHUB_REPOSITORY": "acme/flows", "GITHUB_EVENT_PATH": ""}
    lines = project.run(*command, env=env).stdout.splitlines()
    return dict(line.split("=", 1) for line in lines)["contexts"]


def test_a_builder_of_the_pipeline_takes_the_base_from_the_mirror(
    bake: Callable[..., Project], mirror: tuple[str, str]
) -> None:
    engine = docker("version", "--format={{.Server.Version}}")
    if int(engine.partition(".")[0]) < 23:
        pytest.skip(f"the engine is {engine}, and build contexts came with 23")
    project = bake()
    place, tag = mirror
    make_stages_only(project, tag)
    project.run("git", "init", "--quiet")
    contexts = build_contexts(project, place)
    image = docker("build", "--quiet", f"--build-context={contexts}", str(project.path))
    assert config(image)["Cmd"] == config(BASE)["Cmd"]
    remove(image)


def test_a_password_for_a_package_index_gets_into_the_build_and_nowhere_else(
    bake: Callable[..., Project], images: Images, tmp_path: Path
) -> None:
    project = bake()
    project.run("git", "init", "--quiet")
    wheel = make_wheel(tmp_path, "acme_weather")
    host = bridge_address()
    text = project.read("requirements.txt")
    (init,) = re.findall(r"^dumb-init(?:.+\\\n)+.+\n", text, re.MULTILINE)
    (command,) = re.findall(r"^sed -i .+ Dockerfile$", project.read("docs/flows.md"), re.MULTILINE)
    with PrivateIndex(host, wheel, "someone", "canary-password") as index:
        # The format in which `poetry export` writes a package source of pyproject.toml.
        options = f"--extra-index-url {index.url}\n--trusted-host {host}\n\n"
        text = options + requirement(wheel) + init
        (project.path / "requirements.txt").write_text(text)
        netrc = tmp_path / "netrc"
        netrc.write_text(f"machine {host} login someone password canary-password\n")

        project.run("bash", "-c", command)
        assert project.read("Dockerfile").count("RUN --mount=type=secret,id=netrc,") == 2
        project.run("hadolint", "Dockerfile")
        deployer_image(project, exit_code=1, NETRC=str(tmp_path / "nowhere"))
        assert index.refused
        assert not index.served
        name = deployer_image(project, NETRC=str(netrc))
        assert index.served
        # The build stage, from the cache: a password could remain there too.
        stage = docker("build", "--quiet", "--target=build", str(project.path))

    answer = docker("run", "--rm", name, "python", "-c", "import acme_weather")
    assert answer == "acme_weather was imported"
    for image in (name, stage):
        assert places_of("canary-password", image) == []
        assert places_of("acme_weather was imported", image)
    assert "canary-password" not in docker("buildx", "du", "--verbose")
    remove(name, stage)


def dry_run_for_arm(requirements: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Resolve a locked file for arm64, only from wheels."""
    command = ["uv", "pip", "install", "--dry-run", "--only-binary=:all:", "--require-hashes"]
    command += ["--python-platform=aarch64-manylinux_2_28", "--python-version=3.14"]
    command += [f"--target={requirements.parent / 'target'}", *options]
    return run(*command, "-r", requirements, folder=requirements.parent, exit_code=None)


@pytest.mark.parametrize("path", ["requirements.txt", "requirements-worker.txt"])
def test_every_locked_package_has_a_wheel_for_arm64(
    default_project: Project, tmp_path: Path, path: str
) -> None:
    done = dry_run_for_arm(Path(shutil.copy(default_project.path / path, tmp_path)))
    assert done.returncode == 0, done.stderr
    assert "Would install 1" in done.stderr

    wheel = make_wheel(tmp_path, "planted", "cp314-cp314-manylinux_2_17_x86_64")
    (tmp_path / "planted.txt").write_text(requirement(wheel))
    offline = ("--no-index", f"--find-links={tmp_path}")
    planted = dry_run_for_arm(tmp_path / "planted.txt", *offline)
    assert planted.returncode
    assert "aarch64" in planted.stderr
    wheel.rename(tmp_path / wheel.name.replace("x86_64", "aarch64"))
    assert dry_run_for_arm(tmp_path / "planted.txt", *offline).returncode == 0
