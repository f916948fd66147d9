"""The command line: reports on stdout, progress and errors on stderr."""

from __future__ import annotations

import asyncio
import os
import sys

from deployer.cli.arguments import parser
from deployer.cli.commands import FAILED
from deployer.errors import DeployerError, failure

INTERRUPTED = 130


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 fine, 1 failed, 2 `plan --detailed-exitcode` found changes, 130 interrupted.
    """
    args = parser().parse_args(argv)
    args.environ = dict(os.environ)
    # An unset GitHub secret arrives as an empty variable, and Prefect crashes on some of those.
    for name, value in args.environ.items():
        if name.startswith("PREFECT_") and not value:
            del os.environ[name]
    try:
        return int(args.run(args))
    except DeployerError as error:
        for problem in error.problems:
            print(f"error: {problem}", file=sys.stderr)
        if args.format == "markdown":  # the summary of a job tells it too
            print(failure(getattr(args, "environment", "check"), error.problems))
        return FAILED
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("error: Interrupted.", file=sys.stderr)
        return INTERRUPTED
    except ValueError as error:
        if type(error).__name__ != "ValidationError":
            raise
        # Prefect reads its settings when it is imported, and pydantic refuses some of them.
        _, setting, problem, *_ = [*str(error).splitlines(), "", ""]
        problem = problem.split(" [")[0].strip()
        print(f"error: The Prefect setting {setting}: {problem}.", file=sys.stderr)
        return FAILED
