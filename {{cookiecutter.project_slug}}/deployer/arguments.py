"""The arguments of the command line, and what `--help` teaches."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NoReturn

from deployer import commands

FORMAT = "of the report (default text)"
EXAMPLES = {
    "check": "check",
    "environments": "environments --json",
    "setup": "setup production",
    "plan": "plan staging --image registry/flows@sha256:... --detailed-exitcode",
    "deploy": "deploy preview --name pr-7 --image registry/flows@sha256:...",
    "verify": "verify production --image registry/flows@sha256:...",
    "releases": "releases production --limit 5",
    "rollback": "rollback production --to 12",
    "destroy": "destroy preview --name pr-7",
    "doctor": "doctor production",
    "export": "export production --image registry/flows:1.2 > prefect.yaml",
    "serve": "serve",
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Exit with 1: argparse's own 2 would read as "the plan found changes"."""
        self.exit(commands.FAILED, f"error: {message}. See `{self.prog} --help`.\n")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line; `args.run` is the command's function."""
    whole = _Parser(
        prog="python -m deployer",
        description="Deploy the catalog (deployments/catalog.py) to a Prefect server.",
        epilog="Start with: check, setup ENV, plan ENV, deploy ENV. "
        "ENV is a table of deployments/environments.toml, the server that of PREFECT_API_URL. "
        "Exit codes: 0 fine, 1 failed, 2 differences (plan --detailed-exitcode), 130 interrupted.",
    )
    adder = whole.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        name, text = run.__name__, str(run.__doc__)
        example = f"example: python -m deployer {EXAMPLES[name]}"
        made = adder.add_parser(name, help=text, description=text, epilog=example)
        made.set_defaults(run=run)
        return made

    made = command(commands.check)
    made.add_argument("--format", choices=["text", "markdown"], default="text", help=FORMAT)
    made = command(commands.environments)
    made.add_argument("--json", action="store_true", help="as a JSON list, for workflows")

    made = _where(command(commands.setup))
    made = _wanted(_where(command(commands.plan)))
    made.add_argument(
        "--detailed-exitcode", action="store_true", help="exit with 2 where something differs"
    )
    made.add_argument(
        "--released",
        action="store_true",
        help="compare with the last release instead of the catalog: what was edited on the server",
    )
    made.add_argument("--format", choices=["text", "markdown", "json"], default="text", help=FORMAT)

    made = _acting(_wanted(_where(command(commands.deploy))))
    made.add_argument("--commit", help="commit of the source, for the record")
    made.add_argument(
        "--order", type=int, help="the pipeline's run id: older than the last one is refused"
    )
    made.add_argument("--adopt", action="store_true", help="take over deployments of the same name")
    made = _wanted(_where(command(commands.verify)))
    made.add_argument(
        "--timeout", type=float, default=600, help="seconds for the smoke runs (default 600)"
    )

    made = _where(command(commands.releases))
    made.add_argument("--limit", type=int, default=20, help="how many (default 20)")
    made.add_argument("--format", choices=["text", "json"], default="text", help=FORMAT)

    made = _acting(_where(command(commands.rollback)))
    made.add_argument("--to", type=int, help="the release; default the last verified one before")

    made = _where(command(commands.destroy))
    made.add_argument("--yes", action="store_true", help="needed but for one preview")
    made.add_argument(
        "--all-but", nargs="*", metavar="NAME", help="every preview there is but these"
    )
    made.add_argument(
        "--lock-timeout",
        type=float,
        default=600,
        help="seconds to wait for another deployer (default 600)",
    )
    made = _where(command(commands.doctor))
    made.add_argument("--image", help="reference of the image to look for")
    made = _where(command(commands.export))
    made.add_argument("--image", help="reference of the image that the runs use")
    _where(command(commands.serve), "local")
    return whole


def _where(parser: argparse.ArgumentParser, default: str | None = None) -> argparse.ArgumentParser:
    parser.add_argument(
        "environment",
        metavar="ENV",
        nargs="?" if default else None,
        default=default,
        help="a table of deployments/environments.toml"
        + (f" (default {default})" if default else ""),
    )
    parser.add_argument("--name", help="fills {name}: which preview, such as pr-7")
    parser.add_argument("--work-pool", help="another work pool than the environment's")
    parser.add_argument("--work-pool-type", help="its type, for `setup`")
    return parser


def _wanted(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("--image", help="reference of the image that the runs use")
    parser.add_argument("--only", help="glob on FLOW/NAME: leave everything else alone")
    parser.add_argument(
        "--job-variable",
        action="append",
        metavar="KEY=VALUE",
        help="one more job variable: JSON, or else text",
    )
    return parser


def _acting(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("--no-verify", action="store_true", help="do not wait for smoke runs")
    parser.add_argument(
        "--timeout", type=float, default=600, help="seconds for the smoke runs (default 600)"
    )
    parser.add_argument(
        "--lock-timeout",
        type=float,
        default=600,
        help="seconds to wait for another deployer (default 600)",
    )
    parser.add_argument(
        "--prune-limit",
        type=int,
        default=50,
        help="percent of the deployments it may delete (default 50)",
    )
    parser.add_argument("--run-url", help="address of the pipeline's run, for the record")
    parser.add_argument("--format", choices=["text", "markdown"], default="text", help=FORMAT)
    return parser
