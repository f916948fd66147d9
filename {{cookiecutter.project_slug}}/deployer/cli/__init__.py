"""The command line: reports on stdout, progress and errors on stderr."""

from __future__ import annotations

import asyncio
import os
import sys

from cyclopts import CycloptsError, MissingArgumentError, UnusedCliTokensError

from deployer.cli import terminal
from deployer.cli.commands import FAILED, INTERRUPTED, app
from deployer.errors import DeployerError, failure, reason


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the arguments after `python -m deployer`; None for those of this process.

    Returns:
        0 success, 1 failure or wrong usage, 2 `plan --detailed-exitcode` found changes,
        130 interrupted.
    """
    words = sys.argv[1:] if argv is None else argv
    given = dict(os.environ)
    # An unset GitHub secret arrives as an empty variable, and Prefect crashes on some of those.
    for name, value in given.items():
        if name.startswith("PREFECT_") and not value:
            del os.environ[name]
    app.console = terminal.console()
    try:
        if not words:
            raise CycloptsError("No command is given.")
        command, bound, internal = app.parse_args(words)
        environ = {"environ": given} if "environ" in internal else {}
        return command(*bound.args, **bound.kwargs, **environ) or 0
    except CycloptsError as error:
        program = " ".join((*app.name, *(error.command_chain or ())))
        terminal.fail(f"{_sentence(error)} See `{program} --help`.")
        return FAILED
    except DeployerError as error:
        for problem in error.problems:
            terminal.fail(problem)
        if bound.arguments.get("format") == "markdown":  # the job summary shows the failure too
            where = bound.arguments.get("where")
            report = failure(where.environment if where else "check", error.problems)
            terminal.show("\n".join(filter(None, [report, error.details])))
        return FAILED
    except (KeyboardInterrupt, asyncio.CancelledError):
        terminal.fail("Interrupted.")
        return INTERRUPTED
    except ValueError as error:
        if type(error).__name__ != "ValidationError":
            raise
        # Prefect reads its settings when it is imported; pydantic refuses invalid ones.
        terminal.fail(f"The Prefect setting {reason(error)}.")
        return FAILED


def _sentence(error: CycloptsError) -> str:
    """Return a usage error as a sentence, reworded if cyclopts puts it in technical terms."""
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        return f"Unexpected argument {error.unused_tokens[0]!r}."
    if isinstance(error, MissingArgumentError) and error.argument:
        name = error.argument.name
        return f"No value for {name.lstrip('-').upper() if error.argument.required else name}."
    return str(error)
