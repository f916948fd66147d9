"""Everything at once on this machine: `python -m deployer.up`, or `nox -s up`.

A Prefect server with SQLite, the work pool, the deployments and a worker, until Ctrl-C; with
`--once` until the smoke runs are through. Database and logs are in `.prefect`; nothing else stays.
"""
# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timezone
from importlib import import_module
from typing import Any

from deployer import image, processes
from deployer.build import build, call
from deployer.environment import ROOT, load
from deployer.errors import DeployerError

HOME = ROOT / ".prefect"
HOST = "127.0.0.1"
REGISTRY = "registry:2"  # used where there is no program called docker-registry


class Up:
    """What was started, and how long each step took.

    Attributes:
        docker: the flows run in containers instead of processes.
        pool: the work pool's name.
        url: the server's address.
        began: when this was made.
        steps: name and seconds of what is done.
        programs: what has to go on running, by name.
    """

    def __init__(self, stack: ExitStack, docker: bool, port: int) -> None:
        """Start nothing yet.

        Args:
            stack: ends what is started, last first.
            docker: run the flows in containers instead of processes.
            port: the server's.
        """
        self.stack = stack
        self.docker = docker
        self.pool = "local-docker" if docker else "local"
        self.url = f"http://{HOST}:{port}"
        self.began = datetime.now(timezone.utc)
        self.steps: list[tuple[str, float]] = []
        self.programs: dict[str, processes.Program] = {}

    def everything(self) -> None:
        """Bring it all up, to the last smoke run."""
        with self.step("server"):
            self.server()
        options = ["--work-pool", self.pool]
        with self.step("work pool"):
            kind = "docker" if self.docker else "process"
            self.deployer("setup", *options, "--work-pool-type", kind)
        if self.docker:
            with self.step("image"):
                name = f"{next(iter(load().values())).project}:{image.tag()}"
                build(name)
            with self.step("registry and push"):
                name = self.push(name)
                say(f"The image is {name}")
            options += ["--image", name]
            if sys.platform == "linux":
                # Elsewhere Docker Desktop provides host.docker.internal, which the worker uses.
                options += ["--job-variable", "network_mode=host"]
        with self.step("worker and deploy"):
            self.worker()
            self.deployer("deploy", *options, "--no-verify")
        with self.step("smoke runs"):
            self.deployer("verify", *options)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Announce a step and measure it."""
        say(f"{name} …")
        start = time.monotonic()
        yield
        self.steps.append((name, time.monotonic() - start))

    def run(self, name: str, command: list[str], ready: Callable[[], bool]) -> None:
        """Start a program that ends with this one and writes to `.prefect/NAME.log`."""
        program = processes.start(command, HOME / f"{name}.log", ready)
        self.stack.callback(processes.stop, program)
        self.programs[name] = program

    def server(self) -> None:
        """Start the Prefect server."""
        # It takes seconds to start, and so does the import of Prefect here: both at once.
        threading.Thread(target=import_module, args=["deployer.deploy"], daemon=True).start()
        where = ["--host", HOST, "--port", self.url.rpartition(":")[2]]
        command = [sys.executable, "-m", "prefect", "server", "start", *where]
        self.run("server", command, lambda: answers(f"{self.url}/api/ready"))

    def worker(self) -> None:
        """Start the worker, in the project's folder."""
        if self.docker:
            identity = self.ask(f"/work_pools/{self.pool}")["id"]
            self.stack.callback(remove_containers, f"io.prefect.work-pool-id={identity}")
        kind = "docker" if self.docker else "process"
        command = [sys.executable, "-m", "prefect", "worker", "start"]
        self.run("worker", [*command, "--pool", self.pool, "--type", kind], lambda: True)

    def push(self, name: str) -> str:
        """Push an image to a registry on this machine and return its name there, with its digest.

        Where no registry can be had, return the name as it is: the engine has the image already.
        """
        address = f"{HOST}:{free_port()}"
        if program := shutil.which("docker-registry"):
            settings = HOME / "registry.json"
            # On disk, because the layers of Prefect then are pushed only once.
            storage = {"filesystem": {"rootdirectory": str(HOME / "registry")}}
            content = {"version": 0.1, "storage": storage, "http": {"addr": address}}
            settings.write_text(json.dumps(content), encoding="utf-8")
            command = [program, "serve", str(settings)]
        elif call("docker", "images", "--quiet", REGISTRY):
            command = ["docker", "run", "--rm", "--publish", f"{address}:5000", REGISTRY]
        else:
            say(f"There is neither docker-registry nor {REGISTRY} here: deploying {name} by tag.")
            return name
        self.run("registry", command, lambda: answers(f"http://{address}/v2/"))
        there = f"{address}/{name}"
        call("docker", "tag", name, there)
        self.stack.callback(attempt, "docker", "rmi", there)
        call("docker", "push", "--quiet", there)
        found = call("docker", "inspect", "--format", "{{json .RepoDigests}}", there)
        digest: str = next(name for name in json.loads(found) if name.startswith(f"{address}/"))
        return digest

    def deployer(self, command: str, *options: str) -> None:
        """Run a command of the deployer here, where the import of Prefect is paid once.

        Raises:
            DeployerError: it failed, and has said why.
        """
        from deployer.cli import INTERRUPTED, main

        code = main([command, "local", *options])
        catch_signals()  # asyncio leaves SIGTERM to the system
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        if code:
            raise DeployerError(f"`deployer {command}` failed; logs are in {HOME}.")

    def ask(self, path: str, filters: dict[str, Any] | None = None) -> Any:
        """Read from the server.

        Raises:
            DeployerError: it does not answer.
        """
        body = None if filters is None else json.dumps(filters).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/api{path}", body, headers)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                return json.load(answer)
        except OSError as error:
            raise DeployerError(f"The server at {self.url} does not answer: {error}.") from None

    def report(self) -> str:
        """Return the deployments with their runs since the start, and the time each step took."""
        since = {"flow_runs": {"start_time": {"after_": self.began.isoformat()}}}
        runs = self.ask("/flow_runs/filter", since)
        flows = {flow["id"]: flow["name"] for flow in self.ask("/flows/filter", {})}
        deployments = self.ask("/deployments/filter", {"sort": "NAME_ASC"})
        rows = [("deployment", "run", "state", "seconds")]
        completed = 0
        for deployment in deployments:
            name = f"{flows[deployment['flow_id']]}/{deployment['name']}"
            # Subflow runs belong to no deployment, and what is still scheduled did not run.
            own = [run for run in runs if run["deployment_id"] == deployment["id"]]
            own = [run for run in own if run["state_type"] not in ("SCHEDULED", "PENDING")]
            completed += sum(run["state_type"] == "COMPLETED" for run in own)
            rows += [
                (name, run["name"], run["state_name"], f"{run['total_run_time']:.1f}")
                for run in own
            ] or [(name, "-", "-", "-")]
        took = [(name, f"{seconds:.1f}") for name, seconds in self.steps]
        total = sum(seconds for _, seconds in self.steps)
        steps = [("step", "seconds"), *took, ("in all", f"{total:.1f}")]
        summary = f"{len(deployments)} deployments, {completed} completed runs"
        return "\n".join([columns(rows), "", columns(steps), "", summary])


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def columns(rows: Sequence[tuple[str, ...]]) -> str:
    """Return rows as aligned columns, the first row underlined."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port


def answers(url: str) -> bool:
    """Tell whether an address answers."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except OSError:
        return False


def attempt(*command: str) -> None:
    """Run a command that cleans up; what is gone already is no failure."""
    with suppress(DeployerError):
        call(*command)


def remove_containers(label: str) -> None:
    """Remove the containers that bear a label, running or not."""
    with suppress(DeployerError):
        found = call("docker", "ps", "--all", "--quiet", "--filter", f"label={label}")
        if found:
            attempt("docker", "rm", "--force", "--volumes", *found.split())


def catch_signals() -> None:
    """Turn SIGTERM into what Ctrl-C is to Python, an exception that lets everything be ended."""
    for number in processes.SIGNALS:
        signal.signal(number, signal.default_int_handler)


def isolate(url: str) -> None:
    """Point this process and its children at this server; their home is the project's own.

    Any other PREFECT_ variable is meant for another server, and might name its database or keys.
    """
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        del os.environ[name]
    os.environ.update(
        PREFECT_HOME=str(HOME),
        PREFECT_API_URL=f"{url}/api",
        PREFECT_SERVER_ANALYTICS_ENABLED="false",
        PREFECT_WORKER_QUERY_SECONDS="1",
        DO_NOT_TRACK="1",
    )
    os.chdir(ROOT)
    HOME.mkdir(exist_ok=True)


def main(argv: list[str] | None = None) -> int:
    """Bring everything up; return 0 if it came up, 1 if not, 130 if it was interrupted before."""
    parser = argparse.ArgumentParser(
        prog="up", description="Server, work pool, deployments and worker at once, until Ctrl-C."
    )
    parser.add_argument("--once", action="store_true", help="stop after the smoke runs")
    parser.add_argument("--docker", action="store_true", help="run the flows in containers")
    parser.add_argument("--port", type=int, help="of the server; a free one when not given")
    options = parser.parse_args(argv)
    catch_signals()
    processes.end_with_parent()
    is_up = False
    try:
        with ExitStack() as stack:
            up = Up(stack, options.docker, options.port or free_port())
            isolate(up.url)
            # Registered last, so called first: once it is ending, it ends.
            try:
                up.everything()
                is_up = True
                say(f"\n{up.report()}")
                if not options.once:
                    say(f"\nThe UI is at {up.url}. Ctrl-C ends everything.")
                    stay(up)
            finally:
                for number in processes.SIGNALS:
                    signal.signal(number, signal.SIG_IGN)
    except DeployerError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0 if is_up and not options.once else 130
    return 0


def stay(up: Up) -> None:
    """Wait until a signal comes.

    Raises:
        DeployerError: a program ended by itself.
    """
    while True:
        for name, program in up.programs.items():
            if program.poll() is not None:
                raise DeployerError(f"The {name} ended: its log is {HOME / name}.log.")
        time.sleep(0.5)


if __name__ == "__main__":
    sys.exit(main())
