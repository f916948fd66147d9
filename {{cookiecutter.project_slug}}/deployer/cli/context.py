"""What the commands share: from arguments to an environment, a desired and a server."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from deployer.errors import DeployerError

if TYPE_CHECKING:
    from deployer.catalog import Deployment
    from deployer.desired import Desired
    from deployer.environment import Environment
    from deployer.options import Options
    from deployer.plan import Plan
    from deployer.server import Server


def say(message: str) -> None:
    """Tell about progress."""
    print(message, file=sys.stderr, flush=True)


def act(work: Callable[[Server], Awaitable[Any]]) -> Any:
    """Run a coroutine against the server; SIGTERM and Ctrl-C let it put things back first."""
    from deployer.server import connect

    async def run() -> Any:
        task = asyncio.current_task()
        if task and sys.platform != "win32":
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        async with connect() as server:
            return await work(server)

    return asyncio.run(run())


def chosen_environment(args: argparse.Namespace) -> Environment:
    """Return the environment that the arguments name, with what they override."""
    from deployer import environment

    chosen = environment.select(environment.load(), args.environment, args.label)
    variables = dict(chosen.job_variables)
    for pair in args.job_variable or ():
        name, _, value = pair.partition("=")
        if not name or "=" not in pair:
            raise DeployerError(
                f"--job-variable {pair!r} is not KEY=VALUE, as in network_mode=host."
            )
        try:
            variables[name] = json.loads(value)
        except ValueError:
            variables[name] = value
    pool, kind = args.work_pool or chosen.work_pool, args.work_pool_type
    if args.work_pool or kind:
        chosen = replace(chosen, work_pool=pool, work_pool_type=kind)
    return replace(chosen, job_variables=variables)


def checked(args: argparse.Namespace) -> tuple[Environment, list[Deployment]]:
    """Return environment and catalog once everything about them is fine; sends no request."""
    from deployer import load

    return chosen_environment(args), load.load()


async def declared(
    server: Server, args: argparse.Namespace, chosen: Environment, catalog: list[Deployment]
) -> tuple[Environment, Desired]:
    """Ask the server what kind of pool a checked catalog goes to, and return what it asks for."""
    from deployer import desired
    from deployer import work_pool as work_pools
    from deployer.api_errors import if_found

    pool = await if_found(server.client.read_work_pool(chosen.work_pool))
    kind = pool.type if pool else None
    wrong = [*work_pools.mismatch(chosen, pool)]
    if problems := wrong or [*work_pools.unsuited(chosen, kind, args.image)]:
        raise DeployerError(*map(str, problems))
    chosen = replace(chosen, work_pool_type=kind)
    return chosen, desired.from_catalog(catalog, chosen, args.image, args.commit)


def options(args: argparse.Namespace) -> Options:
    """Return how the arguments want to deploy."""
    from deployer.options import Options

    names = [each.name for each in fields(Options) if each.name != "who"]
    return Options(who=who(), **{name: getattr(args, name) for name in names})


def hidden(plan: Plan, chosen: Environment) -> Plan:
    """Return a plan without the values that `setup` gives the Secret blocks, where they are set."""
    from deployer.cli.mask import hide

    return hide(plan, [os.environ.get(name, "") for name in chosen.secrets.values()])


def who() -> str:
    """Return who deploys: the person who pushed, or who is logged in."""
    try:
        return os.environ.get("GITHUB_ACTOR") or getpass.getuser()
    except (KeyError, OSError):  # an image runs under users that have no name
        return f"user {os.getuid()}"
