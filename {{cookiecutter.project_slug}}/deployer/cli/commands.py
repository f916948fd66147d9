"""One function a command: it prints the report and returns the exit code.

Prefect is imported when a command needs it, so that `--help` starts at once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from deployer.cli.context import (
    act,
    checked,
    chosen_environment,
    declared,
    hidden,
    options,
    say,
    who,
)
from deployer.errors import DeployerError

if TYPE_CHECKING:
    from deployer.environment import Environment
    from deployer.result import Result
    from deployer.server import Server

FAILED, CHANGES = 1, 2


def check(args: argparse.Namespace) -> int:
    """Find everything that is wrong with catalog and environments, offline."""
    from deployer import environment, load

    environments = environment.load()
    catalog = load.load()
    print(f"{len(catalog)} deployments and {len(environments)} environments are fine.")
    return 0


def environments(args: argparse.Namespace) -> int:
    """List the environments in the order of promotion."""
    from deployer import environment

    names = list(environment.load())
    print(json.dumps(names) if args.json else "\n".join(names))
    return 0


def setup(args: argparse.Namespace) -> int:
    """Create or update work pool, work queue and secret blocks."""
    from deployer import setup

    chosen = chosen_environment(args)
    for sentence in act(lambda server: setup.setup(server, chosen, os.environ)):
        print(sentence)
    return 0


def plan(args: argparse.Namespace) -> int:
    """Show what a deploy would change."""
    from deployer import desired, guards, refresh, release
    from deployer.cli import render
    from deployer.plan import Plan

    chosen, catalog = (chosen_environment(args), None) if args.released else checked(args)

    async def work(server: Server) -> Plan | None:
        if catalog is None:
            released = await release.recent(server, chosen)
            if not released:
                return None
            settled, wanted = chosen, desired.from_release(released[0])
        else:
            settled, wanted = await declared(server, args, chosen, catalog)
        snapshot = await refresh.refresh(server, settled, wanted, args.only)
        guards.require_match(snapshot.plan, args.only)
        return snapshot.plan

    found = act(work)
    made = hidden(found or Plan(()), chosen)
    if found is None and args.format != "json":
        print(f"Nothing was released in {chosen.name} yet, so nothing differs from it.")
    else:
        print(render.plan(made, args.format, args.environment, sys.stdout.isatty()))
    return CHANGES if args.detailed_exitcode and not made.empty else 0


def deploy(args: argparse.Namespace) -> int:
    """Plan, apply, verify and record; or put back."""
    from deployer import deploy

    chosen, catalog = checked(args)

    async def work(server: Server) -> Any:
        settled, wanted = await declared(server, args, chosen, catalog)
        return await deploy.deploy(server, settled, wanted, options(args), say)

    return _report(args, chosen, act(work))


def _report(args: argparse.Namespace, chosen: Environment, result: Result) -> int:
    from deployer.cli import render

    result.plan = hidden(result.plan, chosen)
    print(render.result(result, args.format, args.environment, sys.stdout.isatty()))
    return 0


def verify(args: argparse.Namespace) -> int:
    """Check that a worker polls and run the smoke runs."""
    from deployer import guards, refresh, verify
    from deployer.cli import render

    chosen, catalog = checked(args)

    async def work(server: Server) -> Any:
        settled, wanted = await declared(server, args, chosen, catalog)
        snapshot = await refresh.refresh(server, settled, wanted, args.only)
        guards.require_match(snapshot.plan, args.only)
        return await verify.check(server, snapshot.smoke(wanted), args.timeout, say)

    print(render.runs_text(act(work)))
    return 0


def releases(args: argparse.Namespace) -> int:
    """List what was deployed, newest first."""
    from deployer import release
    from deployer.cli import render

    chosen = chosen_environment(args)
    found = act(lambda server: release.recent(server, chosen, args.limit))
    print(render.releases(found, args.format))
    return 0


def rollback(args: argparse.Namespace) -> int:
    """Deploy a recorded release, without image or build."""
    from deployer import deploy, desired, release

    chosen = chosen_environment(args)

    async def work(server: Server) -> Any:
        wanted = desired.from_release(await release.find(server, chosen, args.to))
        return await deploy.deploy(server, chosen, wanted, options(args), say)

    return _report(args, chosen, act(work))


def destroy(args: argparse.Namespace) -> int:
    """Delete what this project owns in an environment."""
    from deployer import destroy, environment

    rest = (who(), args.lock_timeout, say)
    if args.all_but is not None:
        known, name = environment.load(), args.environment
        gone = act(lambda server: destroy.sweep(server, known, name, args.all_but, *rest))
        print("\n".join(gone) or f"Nothing is left over in {name}.")
        return 0
    chosen = chosen_environment(args)
    if not args.yes and args.label is None:
        raise DeployerError(
            f"This deletes every deployment of {chosen.project} in {chosen.name}, and its "
            "releases: if that is meant, add --yes."
        )
    print(*act(lambda server: destroy.destroy(server, chosen, *rest)), sep="\n")
    return 0


def doctor(args: argparse.Namespace) -> int:
    """Say what is wrong, why it matters and how to fix it."""
    from deployer import doctor

    findings = asyncio.run(doctor.examine(chosen_environment(args), args.image, args.environ))
    print(doctor.text(findings))
    return FAILED if any(finding.fatal for finding in findings) else 0


def export(args: argparse.Namespace) -> int:
    """Print the catalog as a prefect.yaml."""
    from deployer import export

    print(export.to_yaml(*checked(args), args.image), end="")
    return 0


def serve(args: argparse.Namespace) -> int:
    """Serve the catalog from this process, for development."""
    from deployer import serve

    chosen, catalog = checked(args)
    act(lambda server: serve.refuse_deployed(server, chosen))
    serve.serve(chosen, catalog)
    return 0
