"""The command `python -m tools.up`."""
# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import argparse
import sys
import time
from contextlib import ExitStack

from deployer import prefect_patches
from deployer.alive import alive
from deployer.errors import DeployerError
from tools.up import processes
from tools.up.local import AlreadyRunning, check_port, claimed, free_port, isolate
from tools.up.report import report
from tools.up.steps import Up
from tools.up.terminal import say


def main(argv: list[str] | None = None) -> int:
    """Start everything; return 0 if it started, 1 if not, 130 if it was interrupted before."""
    parser = argparse.ArgumentParser(
        prog="up", description="Server, work pool, deployments and worker at once, until Ctrl-C."
    )
    parser.add_argument("--once", action="store_true", help="stop after the smoke runs")
    parser.add_argument("--docker", action="store_true", help="run the flows in containers")
    parser.add_argument(
        "--serve", action="store_true", help="serve the flows from this process, schedules on"
    )
    parser.add_argument("--port", type=int, help="the server's port; by default a free one")
    options = parser.parse_args(argv)
    processes.catch_signals()
    processes.end_with_parent()
    is_up = False
    try:
        with ExitStack() as ending, ExitStack() as stack:
            port = options.port or free_port()
            up = Up(stack, options.docker, port)
            isolate(up.url, once=options.once)
            try:
                stack.enter_context(claimed(up.url))
            except AlreadyRunning as taken:
                if not options.serve:
                    raise
                isolate(taken.url)
                up.serving(taken.url)
                return 0
            check_port(port)
            # `finally` runs before the stacks are closed: from then on, signals are ignored.
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
                up.check()  # the reason may be that a program ended
                raise
            finally:
                processes.ignore_signals()
                ending.enter_context(alive("ending"))
    except DeployerError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0 if is_up and not options.once else 130
    return 0


if __name__ == "__main__":
    code = main()
    prefect_patches.skip_last_collection()
    sys.exit(code)
