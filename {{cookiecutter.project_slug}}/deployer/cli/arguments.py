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


def _argument(help: str, **how: Any) -> dict[str, Any]:
    """Return how to add an argument; its help names its default, where it has one."""
    return {**how, "help": f"{help} (default {how['default']})" if "default" in how else help}


OPTIONS = {
    "--label": _argument("fills {label}: which preview, such as pr-7"),
    "--work-pool": _argument("another work pool than the environment's"),
    "--work-pool-type": _argument("its type, for `setup`"),
    "--image": _argument("reference of the image that the runs use"),
    "--only": _argument("glob on FLOW/NAME: leave everything else alone"),
    "--job-variable": _argument(
        "one more job variable: JSON, or else text", action="append", metavar="KEY=VALUE"
    ),
    "--json": _argument("as a JSON list, for workflows", action="store_true"),
    "--detailed-exitcode": _argument("exit with 2 where something differs", action="store_true"),
    "--released": _argument(
        "compare with the last release instead of the catalog: what was edited on the server",
        action="store_true",
    ),
    "--commit": _argument("commit of the source, for the record"),
    "--order": _argument("the pipeline's run id: older than the last one is refused", type=int),
    "--adopt": _argument("take over deployments of the same name", action="store_true"),
    "--no-verify": _argument("do not wait for smoke runs", action="store_false", dest="verify"),
    "--timeout": _argument("seconds for the smoke runs", type=float, default=600),
    "--lock-timeout": _argument("seconds to wait for another deployer", type=float, default=600),
    "--prune-limit": _argument("percent of the deployments it may delete", type=int, default=50),
    "--run-url": _argument("address of the pipeline's run, for the record"),
    "--limit": _argument("how many", type=_from_1, default=20),
    "--to": _argument("the release; default the last verified one before", type=_from_1),
    "--yes": _argument("needed but for one preview", action="store_true"),
    "--all-but": _argument("every preview there is but these", nargs="*", metavar="NAME"),
}
WHERE = ("--label", "--work-pool", "--work-pool-type")
WANTED = ("--image", "--only", "--job-variable")
ACTING = ("--no-verify", "--timeout", "--lock-timeout", "--prune-limit", "--run-url")
FORMATS = {
    commands.check: ("text", "markdown"),
    commands.plan: ("text", "markdown", "json"),
    commands.deploy: ("text", "markdown"),
    commands.rollback: ("text", "markdown"),
    commands.releases: ("text", "json"),
}
IMAGE = "--image registry/flows@sha256:..."
# What each command takes, and an example of it. Those with WHERE are told an environment.
COMMANDS: dict[Callable[[argparse.Namespace], int], tuple[tuple[str, ...], str]] = {
    commands.check: ((), ""),
    commands.environments: (("--json",), "--json"),
    commands.setup: (WHERE, "production"),
    commands.plan: (
        (*WHERE, *WANTED, "--detailed-exitcode", "--released"),
        f"staging {IMAGE} --detailed-exitcode",
    ),
    commands.deploy: (
        (*WHERE, *WANTED, *ACTING, "--commit", "--order", "--adopt"),
        f"preview --label pr-7 {IMAGE}",
    ),
    commands.verify: ((*WHERE, *WANTED, "--timeout"), f"production {IMAGE}"),
    commands.releases: ((*WHERE, "--limit"), "production --limit 5"),
    commands.rollback: ((*WHERE, *ACTING, "--to"), "production --to 12"),
    commands.destroy: ((*WHERE, "--yes", "--all-but", "--lock-timeout"), "preview --label pr-7"),
    commands.doctor: ((*WHERE, "--image"), "production"),
    commands.export: ((*WHERE, "--image"), "production --image registry/flows:1.2 > prefect.yaml"),
    commands.serve: (WHERE, ""),
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
    everything = argparse.ArgumentParser()
    for option, how in OPTIONS.items():
        everything.add_argument(option, **how)
    # What a command does not take is as if it was not given.
    whole.set_defaults(**vars(everything.parse_args([])), format="text")
    adder = whole.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for run, (options, example) in COMMANDS.items():
        text, example = (
            str(run.__doc__),
            f"example: python -m deployer {run.__name__} {example}".rstrip(),
        )
        made = adder.add_parser(run.__name__, help=text, description=text, epilog=example)
        made.set_defaults(run=run)
        if "--label" in options:
            local = {"nargs": "?", "default": "local"} if run is commands.serve else {}
            table = _argument("a table of deployments/environments.toml", metavar="ENV", **local)
            made.add_argument("environment", **table)
        for option in options:
            made.add_argument(option, **OPTIONS[option])
        if run in FORMATS:
            form = _argument("of the report", choices=FORMATS[run], default="text")
            made.add_argument("--format", **form)
    return whole
