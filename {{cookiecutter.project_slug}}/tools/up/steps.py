"""The steps of `up`, and the programs that they start."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib import import_module

from deployer.alive import alive
from deployer.errors import DeployerError
from deployer.image_references import options as image_options
from tools import image
from tools.build import is_engine_running
from tools.up import processes
from tools.up.docker import push, remove_containers
from tools.up.local import HOME, HOST, answers
from tools.up.report import ask
from tools.up.terminal import say


def import_prefect() -> None:
    """Import what the deployer needs, and the packages that add work pool types."""
    import_module("deployer.deploy")
    import_module("prefect.plugins").load_prefect_collections()


class Up:
    """Runs the steps, and holds the started programs and the time each step took.

    Attributes:
        docker: the flows run in containers instead of processes.
        environment: where the catalog is deployed to.
        pool: the work pool's name.
        kind: the work pool's type.
        url: the server's address.
        began: when this object was created.
        steps: name and seconds of each finished step.
        programs: the programs that have to keep running.
        server: the Prefect server, once it is started.
        imported: the thread that imports Prefect here meanwhile.
    """

    def __init__(self, stack: ExitStack, docker: bool, port: int) -> None:
        """Start nothing yet.

        Args:
            stack: ends the started programs, last first.
            docker: run the flows in containers instead of processes.
            port: the server's.
        """
        self.stack = stack
        self.docker = docker
        self.environment = "local-docker" if docker else "local"
        self.pool, self.kind = self.environment, "docker" if docker else "process"
        self.url = f"http://{HOST}:{port}"
        self.began = datetime.now(UTC)
        self.steps: list[tuple[str, float]] = []
        self.programs: list[processes.Program] = []
        self.server: processes.Program | None = None
        self.imported = threading.Thread(target=import_prefect, daemon=True)

    def everything(self) -> None:
        """Start everything, and wait for the last smoke run."""
        if self.docker:
            if is_engine_running():  # else `build_all` reports it, and no server is started
                self.start_server()
            with self.step("image", leave_terminal=True):  # Docker shows its own progress
                built = image.build_all()
        with self.step("server"):
            self.start_server()
            self.wait_for_server()
        options = ["--work-pool", self.pool]
        with self.step("work pool"):
            setup = [*options, "--work-pool-type", self.kind]
            self.deployer("setup", self.environment, *setup)
        if self.docker:
            with self.step("registry and push"):
                pushed = push(built, self.run, self.stack)
            for name, reference in pushed.items():
                say(f"The image {f'{name} ' if name else ''}is {reference}")
            options += image_options(pushed)
            if sys.platform == "linux":
                # Elsewhere Docker Desktop provides host.docker.internal, which the worker uses.
                options += ["--job-variable", "network_mode=host"]
        with self.step("worker and deploy"):
            worker = self.worker()
            self.deployer("deploy", self.environment, *options, "--no-verify")
            worker.wait_until(self.is_polled)
        with self.step("smoke runs"):
            self.deployer("verify", self.environment, *options)

    def serving(self, running: str | None = None) -> None:
        """Serve the flows from this process, until Ctrl-C.

        Args:
            running: address of a server that is running or starting; None starts one.
        """
        with self.step("server"):
            if running is None:
                self.start_server()
                self.wait_for_server()
            else:
                end = time.monotonic() + processes.READY_WITHIN
                while not answers(f"{running}/api/ready") and time.monotonic() < end:
                    time.sleep(0.1)
        say(f"The UI is at {running or self.url}.")
        with alive("flows"):
            self.deployer("serve")

    @contextmanager
    def step(self, name: str, *, leave_terminal: bool = False) -> Iterator[None]:
        """Announce a step, show progress while it lasts, and measure its time."""
        say(f"{name} …")
        start = time.monotonic()
        with alive(name, leave_terminal=leave_terminal):
            yield
        self.steps.append((name, time.monotonic() - start))

    def run(self, name: str, command: list[str]) -> processes.Program:
        """Start a program that ends with this one and writes to `.prefect/NAME.log`."""
        with processes.deferred_signals():
            program = processes.Program(command, HOME / f"{name}.log")
            self.stack.callback(processes.stop, program)
        self.programs.append(program)
        return program

    def start_server(self) -> None:
        """Start the Prefect server, unless it is started already."""
        if self.server:
            return
        where = ["--host", HOST, "--port", self.url.rpartition(":")[2]]
        command = [sys.executable, "-m", "prefect", "server", "start", *where]
        self.server = self.run("server", command)
        # The start takes seconds, and so does the import of Prefect here: do both at once.
        self.imported.start()

    def wait_for_server(self) -> None:
        """Wait until the server is ready, and Prefect is imported here."""
        if self.server:
            self.server.wait_until(lambda: answers(f"{self.url}/api/ready"))
        # Two threads that import Prefect at the same time can block each other: Python reports
        # "Failed to initialize plugins: deadlock detected".
        self.imported.join()

    def worker(self) -> processes.Program:
        """Start the worker, in the project's folder."""
        if self.docker:
            identity = ask(self.url, f"/work_pools/{self.pool}")["id"]
            self.stack.callback(remove_containers, f"io.prefect.work-pool-id={identity}")
        which = ["--pool", self.pool, "--type", self.kind]
        return self.run("worker", [sys.executable, "-m", "prefect", "worker", "start", *which])

    def is_polled(self) -> bool:
        """Tell whether the worker has polled for runs."""
        polled = ask(self.url, f"/work_pools/{self.pool}/queues/default")["last_polled"]
        return polled is not None and datetime.fromisoformat(polled) > self.began

    def deployer(self, *words: str) -> None:
        """Run a command of the deployer in this process, so that Prefect is imported only once.

        Raises:
            DeployerError: it failed, and has printed why.
        """
        from deployer.cli import main
        from deployer.cli.commands import INTERRUPTED

        code = main([*words])
        processes.catch_signals()  # Prefect's runner has replaced the handler of SIGTERM
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        if code:
            raise DeployerError(f"`deployer {words[0]}` failed; logs are in {HOME}.")

    def check(self) -> None:
        """Check that all programs are running.

        Raises:
            DeployerError: one ended by itself.
        """
        for program in self.programs:
            program.check()
