"""One function a command: it prints the report and returns the exit code.

Prefect is imported when a command needs it, so that `--help` and `environments` start at once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from deployer import environment
from deployer.context import act, checked, chosen_environment, declared, options, say, who
from deployer.errors import DeployerError

if TYPE_CHECKING:
    from deployer.outcome import Outcome
    from deployer.server import Server

FAILED, CHANGES = 1, 2


def check(args: argparse.Namespace) -> int:
    """Find everything that is wrong with catalog and environments, offline."""
    from deployer import check

    environments = environment.load()
    catalog = check.require()
    print(f"{len(catalog)} deployments and {len(environments)} environments are fine.")
    return 0


def environments(args: argparse.Namespace) -> int:
    """List the environments in the order of promotion."""
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
    from deployer import release, render, survey, target
    from deployer.plan import Plan

    chosen, catalog = (chosen_environment(args), None) if args.released else checked(args)

    async def work(server: Server) -> Plan | None:
        if catalog is None:
            released = await release.recent(server, chosen)
            if not released:
                return None
            settled, wanted = chosen, target.from_release(released[0])
        else:
            settled, wanted = await declared(server, args, chosen, catalog)
        return (await survey.survey(server, settled, wanted, args.only)).plan

    found = act(work)
    made = found or Plan(())
    if found is None and args.format != "json":
        print(f"Nothing was released in {chosen.name} yet, so nothing differs from it.")
    elif args.format == "json":
        print(render.as_json(made))
    elif args.format == "markdown":
        print(render.markdown(made, f"Plan for {args.environment}"))
    else:
        print(render.text(made, colour=sys.stdout.isatty()))
    return CHANGES if args.detailed_exitcode and not made.empty else 0


def deploy(args: argparse.Namespace) -> int:
    """Plan, apply, verify and record; or put back."""
    from deployer import deploy

    chosen, catalog = checked(args)

    async def work(server: Server) -> Any:
        settled, wanted = await declared(server, args, chosen, catalog)
        return await deploy.deploy(server, settled, wanted, options(args), say)

    return _report(args, act(work))


def _report(args: argparse.Namespace, outcome: Outcome) -> int:
    from deployer import render

    if args.format == "markdown":
        print(render.outcome_markdown(outcome, args.environment))
    else:
        print(render.outcome_text(outcome, args.environment, colour=sys.stdout.isatty()))
    return 0


def verify(args: argparse.Namespace) -> int:
    """Check that a worker polls and run the smoke runs."""
    from deployer import render, survey, verify

    chosen, catalog = checked(args)

    async def work(server: Server) -> Any:
        settled, wanted = await declared(server, args, chosen, catalog)
        look = await survey.survey(server, settled, wanted, args.only)
        return await verify.check(server, settled, look.smoke(wanted), args.timeout, say)

    print(render.runs_text(act(work)))
    return 0


def releases(args: argparse.Namespace) -> int:
    """List what was deployed, newest first."""
    from deployer import release, render

    chosen = chosen_environment(args)
    found = act(lambda server: release.recent(server, chosen, args.limit))
    print(render.releases(found, args.format))
    return 0


def rollback(args: argparse.Namespace) -> int:
    """Deploy a recorded release, without image or build."""
    from deployer import deploy, release, target

    chosen = chosen_environment(args)

    async def work(server: Server) -> Any:
        wanted = target.from_release(await release.find(server, chosen, args.to))
        return await deploy.deploy(server, chosen, wanted, options(args), say)

    return _report(args, act(work))


def destroy(args: argparse.Namespace) -> int:
    """Delete what this project owns in an environment."""
    from deployer import destroy

    if args.all_but is not None:
        return _sweep(args)
    chosen = chosen_environment(args)
    if not args.yes and args.name is None:
        raise DeployerError(
            f"This deletes every deployment of {chosen.project} in {chosen.name}, and its "
            "releases: if that is meant, add --yes."
        )
    timeout = args.lock_timeout
    print(*act(lambda server: destroy.destroy(server, chosen, who(), timeout, say)), sep="\n")
    return 0


def _sweep(args: argparse.Namespace) -> int:
    from deployer import destroy

    known = environment.load()

    async def work(server: Server) -> list[str]:
        gone = await destroy.left_over(server, known, args.environment, args.all_but)
        rest = (who(), args.lock_timeout, say)
        return [line for each in gone for line in await destroy.destroy(server, each, *rest)]

    print("\n".join(act(work)) or f"Nothing is left over in {args.environment}.")
    return 0


def doctor(args: argparse.Namespace) -> int:
    """Say what is wrong, why it matters and how to mend it."""
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
