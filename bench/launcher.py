"""Run one command and write its cost to a file: `python -I -S launcher.py FILE COMMAND...`.

The kernel starts a child's peak memory at that of the process that started it. So this process is
small: it imports nothing but these modules. The file gets the seconds from the command's start to
its end and the peak memory as the system counts it, as JSON. A SIGTERM goes to the command. A
SIGINT from the keyboard reaches the command without help.
"""

import json
import os
import signal
import sys
import time


def main(file: str, *command: str) -> int:
    """Run the command. Return its exit code, or 128 and the signal's number, as a shell does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Until its receiver is known, a SIGTERM waits.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    start = time.perf_counter()
    child = os.posix_spawnp(
        command[0], command, os.environ, setsigmask=[], setsigdef=[signal.SIGINT]
    )
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - start
    with open(file, "w") as cost:  # noqa: PTH123  # pathlib would add to this process's memory
        json.dump([seconds, usage.ru_maxrss], cost)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
