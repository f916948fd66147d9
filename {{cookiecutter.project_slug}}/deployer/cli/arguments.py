"""The arguments of the command line, and what `--help` teaches."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NoReturn

from deployer.cli import commands


def _from_1(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1")
    return int(text)


OPTIONS: dict[str, dict[str, Any]] = {
    "--name": {"help": "fills {name}: which preview, such as pr-7"},
    "--work-pool": {"help": "another work pool than the environment's"},
    "--work-pool-type": {"help": "its type, for `setup`"},
    "--image": {"help": "reference of the image that the runs use"},
    "--only": {"help": "glob on FLOW/NAME: leave everything else alone"},
    "--job-variable": {
        "help": "one more job variable: JSON, or else text",
        "action": "append",
        "metavar": "KEY=VALUE",
    },
    "--json": {"help": "as a JSON list, for workflows", "action": "store_true"},
    "--detailed-exitcode": {"help": "exit with 2 where something differs", "action": "store_true"},
    "--released": {
        "help": "compare with the last release instead of the catalog: what was edited on the "
        "server",
        "action": "store_true",
    },
    "--commit": {"help": "commit of the source, for the record"},
    "--order": {"help": "the pipeline's run id: older than the last one is refused", "type": int},
    "--adopt": {"help": "take over deployments of the same name", "action": "store_true"},
    "--no-verify": {"help": "do not wait for smoke runs", "action": "store_true"},
    "--timeout": {"help": "seconds for the smoke runs", "type": float, "default": 600},
    "--lock-timeout": {
        "help": "seconds to wait for another deployer",
        "type": float,
        "default": 600,
    },
    "--prune-limit": {
        "help": "percent of the deployments it may delete",
        "type": int,
        "default": 50,
    },
    "--run-url": {"help": "address of the pipeline's run, for the record"},
    "--limit": {"help": "how many", "type": _from_1, "default": 20},
    "--to": {"help": "the release; default the last verified one before", "type": _from_1},
    "--yes": {"help": "needed but for one preview", "action": "store_true"},
    "--all-but": {"help": "every preview there is but these", "nargs": "*", "metavar": "NAME"},
}
WHERE = ("--name", "--work-pool", "--work-pool-type")
WANTED = ("--image", "--only", "--job-variable")
ACTING = ("--no-verify", "--timeout", "--lock-timeout", "--prune-limit", "--run-url")
FORMATS = {
    commands.check: ("text", "markdown"),
    commands.plan: ("text", "markdown", "json"),
    commands.deploy: ("text", "markdown"),
    commands.rollback: ("text", "markdown"),
    commands.releases: ("text", "json"),
}
# What each command takes, and an example of it. Those with WHERE are told an environment.
COMMANDS: dict[Callable[[argparse.Namespace], int], tuple[tuple[str, ...], str]] = {
    commands.check: ((), "check"),
    commands.environments: (("--json",), "environments --json"),
    commands.setup: (WHERE, "setup production"),
    commands.plan: (
        (*WHERE, *WANTED, "--detailed-exitcode", "--released"),
        "plan staging --image registry/flows@sha256:... --detailed-exitcode",
    ),
    commands.deploy: (
        (*WHERE, *WANTED, *ACTING, "--commit", "--order", "--adopt"),
        "deploy preview --name pr-7 --image registry/flows@sha256:...",
    ),
    commands.verify: (
        (*WHERE, *WANTED, "--timeout"),
        "verify production --image registry/flows@sha256:...",
    ),
    commands.releases: ((*WHERE, "--limit"), "releases production --limit 5"),
    commands.rollback: ((*WHERE, *ACTING, "--to"), "rollback production --to 12"),
    commands.destroy: (
        (*WHERE, "--yes", "--all-but", "--lock-timeout"),
        "destroy preview --name pr-7",
    ),
    commands.doctor: ((*WHERE, "--image"), "doctor production"),
    commands.export: (
        (*WHERE, "--image"),
        "export production --image registry/flows:1.2 > prefect.yaml",
    ),
    commands.serve: (WHERE, "serve"),
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
    for run, (options, example) in COMMANDS.items():
        text, example = str(run.__doc__), f"example: python -m deployer {example}"
        made = adder.add_parser(run.__name__, help=text, description=text, epilog=example)
        made.set_defaults(run=run)
        if "--name" in options:
            local: dict[str, Any] = {"nargs": "?", "default": "local"}
            _add(
                made,
                "environment",
                metavar="ENV",
                help="a table of deployments/environments.toml",
                **(local if run is commands.serve else {}),
            )
        for option in options:
            _add(made, option, **OPTIONS[option])
        if run in FORMATS:
            _add(made, "--format", choices=FORMATS[run], default="text", help="of the report")
    return whole


def _add(parser: argparse.ArgumentParser, name: str, **how: Any) -> None:
    """Add an argument whose help names its default, where it has one."""
    default = f" (default {how['default']})" if "default" in how else ""
    parser.add_argument(name, **{**how, "help": how["help"] + default})
