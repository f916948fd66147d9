"""The command `python -m tools.up`, and its steps one after the other."""
# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib import import_module

from deployer.errors import DeployerError
from deployer.images import options as image_options
from tools import image
from tools.up import processes
from tools.up.docker import push, remove_containers
from tools.up.local import HOME, HOST, Taken, answers, check_port, claimed, free_port, isolate
from tools.up.report import ask, report
from tools.up.terminal import say, waiting


class Up:
    """What was started, and how long each step took.

    Attributes:
        docker: the flows run in containers instead of processes.
        environment: where the catalog is deployed to.
        pool: the work pool's name.
        kind: the work pool's type.
        url: the server's address.
        began: when this was made.
        steps: name and seconds of what is done.
        programs: what has to go on running.
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
        self.environment = "local-docker" if docker else "local"
        self.pool, self.kind = self.environment, "docker" if docker else "process"
        self.url = f"http://{HOST}:{port}"
        self.began = datetime.now(UTC)
        self.steps: list[tuple[str, float]] = []
        self.programs: list[processes.Program] = []

    def everything(self) -> None:
        """Bring it all up, to the last smoke run."""
        if self.docker:
            say("image …")  # Docker shows its own progress
            built = image.build_all()
        with self.step("server"), waiting():
            self.server()
        options = ["--work-pool", self.pool]
        with self.step("work pool"):
            setup = [*options, "--work-pool-type", self.kind]
            self.deployer("setup", self.environment, *setup)
        if self.docker:
            with self.step("registry and push"), waiting():
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
            with waiting():
                worker.wait_until(self.is_polled)
        with self.step("smoke runs"):
            self.deployer("verify", self.environment, *options)

    def serving(self, there: str | None = None) -> None:
        """Serve the flows from this process, until Ctrl-C.

        Args:
            there: address of the server that runs already, or just starts; None starts one.
        """
        with self.step("server"), waiting():
            if there is None:
                self.server()
            else:
                end = time.monotonic() + processes.READY_WITHIN
                while not answers(f"{there}/api/ready") and time.monotonic() < end:
                    time.sleep(0.1)
        say(f"The UI is at {there or self.url}.")
        self.deployer("serve")

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Announce a step and measure it."""
        say(f"{name} …")
        start = time.monotonic()
        yield
        self.steps.append((name, time.monotonic() - start))

    def run(self, name: str, command: list[str]) -> processes.Program:
        """Start a program that ends with this one and writes to `.prefect/NAME.log`."""
        with processes.deferred_signals():
            program = processes.Program(command, HOME / f"{name}.log")
            self.stack.callback(program.stop)
        self.programs.append(program)
        return program

    def server(self) -> None:
        """Start the Prefect server."""
        # It takes seconds to start, and so does the import of Prefect here: both at once.
        threading.Thread(target=import_module, args=["deployer.deploy"], daemon=True).start()
        where = ["--host", HOST, "--port", self.url.rpartition(":")[2]]
        program = self.run("server", [sys.executable, "-m", "prefect", "server", "start", *where])
        program.wait_until(lambda: answers(f"{self.url}/api/ready"))

    def worker(self) -> processes.Program:
        """Start the worker, in the project's folder."""
        if self.docker:
            identity = ask(self.url, f"/work_pools/{self.pool}")["id"]
            self.stack.callback(remove_containers, f"io.prefect.work-pool-id={identity}")
        which = ["--pool", self.pool, "--type", self.kind]
        return self.run("worker", [sys.executable, "-m", "prefect", "worker", "start", *which])

    def is_polled(self) -> bool:
        """Tell whether the worker has asked for runs."""
        polled = ask(self.url, f"/work_pools/{self.pool}/queues/default")["last_polled"]
        return polled is not None and datetime.fromisoformat(polled) > self.began

    def deployer(self, *words: str) -> None:
        """Run a command of the deployer here, where the import of Prefect is paid once.

        Raises:
            DeployerError: it failed, and has said why.
        """
        from deployer.cli import INTERRUPTED, main

        code = main([*words])
        processes.catch_signals()  # asyncio leaves SIGTERM to the system
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        if code:
            raise DeployerError(f"`deployer {words[0]}` failed; logs are in {HOME}.")

    def check(self) -> None:
        """See to it that all programs run.

        Raises:
            DeployerError: one ended by itself.
        """
        for program in self.programs:
            program.check()


def main(argv: list[str] | None = None) -> int:
    """Bring everything up; return 0 if it came up, 1 if not, 130 if it was interrupted before."""
    parser = argparse.ArgumentParser(
        prog="up", description="Server, work pool, deployments and worker at once, until Ctrl-C."
    )
    parser.add_argument("--once", action="store_true", help="stop after the smoke runs")
    parser.add_argument("--docker", action="store_true", help="run the flows in containers")
    parser.add_argument(
        "--serve", action="store_true", help="serve the flows from this process, schedules on"
    )
    parser.add_argument("--port", type=int, help="of the server; a free one when not given")
    options = parser.parse_args(argv)
    processes.catch_signals()
    processes.end_with_parent()
    is_up = False
    try:
        with ExitStack() as stack:
            port = options.port or free_port()
            up = Up(stack, options.docker, port)
            isolate(up.url)
            try:
                stack.enter_context(claimed(up.url))
            except Taken as taken:
                if not options.serve:
                    raise
                isolate(taken.url)
                up.serving(taken.url)
                return 0
            check_port(port)
            # Registered last, so called first: once it is ending, it ends.
            try:
                if options.serve:
                    up.serving()
                    return 0
                up.everything()
                is_up = True
                say("")
                for part in report(up.url, up.began, up.steps):
                    say(part)
                if not options.once:
                    say(f"\nThe UI is at {up.url}. Ctrl-C ends everything.")
                while not options.once:
                    up.check()
                    time.sleep(0.5)
            except DeployerError:
                up.check()  # a program that ended is why
                raise
            finally:
                for number in processes.SIGNALS:
                    signal.signal(number, signal.SIG_IGN)
    except DeployerError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0 if is_up and not options.once else 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
