"""What the commands share: from arguments to an environment, a target and a server."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from deployer import environment
from deployer.environment import Environment
from deployer.errors import DeployerError

if TYPE_CHECKING:
    from deployer.catalog import Deployment
    from deployer.deploy import Options
    from deployer.server import Server
    from deployer.target import Target


def say(message: str) -> None:
    """Tell about progress."""
    print(message, file=sys.stderr, flush=True)


def act(work: Callable[[Server], Awaitable[Any]]) -> Any:
    """Run a coroutine against the server; SIGTERM and Ctrl-C let it put things back first."""
    from deployer.server import connect

    async def run() -> Any:
        task = asyncio.current_task()
        if task and hasattr(signal, "SIGTERM") and sys.platform != "win32":
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        async with connect() as server:
            return await work(server)

    return asyncio.run(run())


def chosen_environment(args: argparse.Namespace) -> Environment:
    """Return the environment that the arguments name, with what they override."""
    chosen = environment.select(environment.load(), args.environment, args.name)
    variables = dict(chosen.job_variables)
    for pair in getattr(args, "job_variable", None) or ():
        name, _, value = pair.partition("=")
        if not name or "=" not in pair:
            raise DeployerError(
                f"--job-variable {pair!r} is not KEY=VALUE, as in network_mode=host."
            )
        try:
            variables[name] = json.loads(value)
        except ValueError:
            variables[name] = value
    kind = getattr(args, "work_pool_type", None)
    if args.work_pool:
        chosen = replace(chosen, work_pool=args.work_pool, work_pool_type=kind)
    elif kind:
        chosen = replace(chosen, work_pool_type=kind)
    return replace(chosen, job_variables=variables)


def checked(args: argparse.Namespace) -> tuple[Environment, list[Deployment]]:
    """Return environment and catalog once everything about them is fine; sends no request."""
    from deployer.check import catalog as checking

    return chosen_environment(args), checking.require()


async def declared(
    server: Server, args: argparse.Namespace, chosen: Environment, catalog: list[Deployment]
) -> tuple[Environment, Target]:
    """Ask the server what kind of pool a checked catalog goes to, and return what it asks for."""
    from prefect.exceptions import ObjectNotFound

    from deployer import target

    try:
        pool = await server.client.read_work_pool(chosen.work_pool)
    except ObjectNotFound:
        raise DeployerError(
            f"There is no work pool {chosen.work_pool!r} on the server: "
            f"run `python -m deployer setup {args.environment}`."
        ) from None
    if chosen.work_pool_type and pool.type != chosen.work_pool_type:
        raise DeployerError(
            f"The work pool {pool.name!r} is of type {pool.type}, but {environment.FILE} says "
            f"{chosen.work_pool_type}: correct one of them."
        )
    if pool.type == "process" and args.image:
        raise DeployerError(
            f"The work pool {pool.name!r} is of type process, which runs no images: "
            "leave --image out."
        )
    if pool.type != "process" and not args.image:
        raise DeployerError(
            f"The work pool {pool.name!r} is of type {pool.type}, whose runs need an image: "
            "add --image REFERENCE; `nox -s image` builds one."
        )
    chosen = replace(chosen, work_pool_type=pool.type)
    commit = getattr(args, "commit", None)
    return chosen, target.from_catalog(catalog, chosen, args.image, commit)


def options(args: argparse.Namespace) -> Options:
    """Return how the arguments want to deploy."""
    from deployer.deploy import Options

    return Options(
        only=getattr(args, "only", None),
        who=who(),
        commit=getattr(args, "commit", None),
        order=getattr(args, "order", None),
        run_url=args.run_url,
        verify=not args.no_verify,
        timeout=args.timeout,
        lock_timeout=args.lock_timeout,
        prune_limit=args.prune_limit,
        adopt=getattr(args, "adopt", False),
    )


def secret_values(chosen: Environment) -> list[str]:
    """Return the values that `setup` gives the Secret blocks, as far as they are set here."""
    return [value for name in chosen.secrets.values() if (value := os.environ.get(name))]


def who() -> str:
    """Return who deploys: the person who pushed, or who is logged in."""
    try:
        return os.environ.get("GITHUB_ACTOR") or getpass.getuser()
    except (KeyError, OSError):  # an image runs under users that have no name
        return f"user {os.getuid()}"
