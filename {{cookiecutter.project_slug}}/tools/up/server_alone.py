"""`nox -s server`: only Prefect's server, with the same database as `up`."""
# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack, suppress

import psutil

from deployer.alive import alive
from tools.up import processes
from tools.up.local import HOST, AlreadyRunning, claimed


def listens(pid: int) -> bool:
    """Tell whether the process with this id, or a child of it, listens on a port."""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        for each in (process, *process.children(recursive=True)):
            if any(one.status == psutil.CONN_LISTEN for one in each.net_connections()):
                return True
    return False


def main() -> int:
    """Run `prefect server start` with the given options; return its exit code; 0 after Ctrl-C."""
    url = os.environ.get("PREFECT_API_URL") or f"http://{HOST}:4200/api"
    # On a terminal, Prefect would ask whether to store the server's address in the profile.
    prefect = [sys.executable, "-m", "prefect", "--no-prompt"]
    command = [*prefect, "server", "start", *sys.argv[1:]]
    processes.catch_signals()
    processes.end_with_parent()
    try:
        with claimed(url.removesuffix("/api")), ExitStack() as stack:
            with processes.deferred_signals():
                server = psutil.Popen(command)
                stack.callback(processes.stop, server)
            stack.callback(processes.ignore_signals)
            with alive("server"):
                while server.poll() is None and not listens(server.pid):
                    time.sleep(0.2)
            return server.wait()
    except KeyboardInterrupt:
        return 0
    except AlreadyRunning as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
