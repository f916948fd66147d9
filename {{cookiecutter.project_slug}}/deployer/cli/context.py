"""Shared by the commands: turn options into an environment and its specs, connect to the server."""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from deployer import credentials, unchanged
from deployer.errors import DeployerError
from deployer.image_references import DEFAULT, parse
from deployer.options import Wanted, Where
from deployer.rules import job_variable_problems

if TYPE_CHECKING:
    from deployer.catalog import Deployment
    from deployer.desired import Desired
    from deployer.environment import Environment
    from deployer.server import Server

T = TypeVar("T")


def act(work: Callable[[Server], Awaitable[T]]) -> T:
    """Run a coroutine with a connection; a signal cancels it, so that it can put things back."""
    from deployer.server import connect

    async def run() -> T:
        with _cancelled_by_signals():
            async with connect() as server:
                return await work(server)

    return asyncio.run(run())


@contextmanager
def _cancelled_by_signals() -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and a closed terminal cancel the current task, as often as they come.

    asyncio's own handler of Ctrl-C ends everything the second time, a restore too.
    """
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    if not task or sys.platform == "win32":
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = {each: signal.getsignal(each) for each in numbers}
    before = {each: old for each, old in handlers.items() if old is not signal.SIG_IGN}  # nohup
    for each in before:
        loop.add_signal_handler(each, task.cancel)
    try:
        yield
    finally:
        # A loop that is closed leaves the default handler, which would end `up` before its cleanup.
        for each, old in before.items():
            loop.remove_signal_handler(each)
            signal.signal(each, old)


def chosen_environment(
    where: Where, wanted: Wanted = Wanted(), *, shared: bool = False
) -> Environment:
    """Return the environment that the options name, with the settings that they override.

    Args:
        where: the options that name it.
        wanted: the options that override its settings.
        shared: whether a missing label is accepted: then only what all previews share is used.
    """
    from deployer import environment

    chosen = environment.select(environment.load(), where.environment, where.label, shared=shared)
    credentials.add_secrets(os.environ.get(name, "") for name in chosen.secrets.values())
    images = parse(wanted.image)
    others = images.keys() - {DEFAULT}
    known = environment.images() if others else []
    for name in others:
        if problem := environment.image_problem(name, known):
            raise DeployerError(f"--image {name}=…: {problem}")
    variables: dict[str, Any] = {}
    for pair in wanted.job_variable:
        name, _, value = pair.partition("=")
        if not name or "=" not in pair:
            raise DeployerError(
                f"--job-variable {pair!r} is not KEY=VALUE, as in network_mode=host."
            )
        try:
            variables[name] = json.loads(value)
        except ValueError:
            variables[name] = value
    if problems := [*job_variable_problems(variables)]:
        raise DeployerError(*(f"--job-variable: {problem}" for problem in problems))
    pool, kind = where.work_pool or chosen.work_pool, where.work_pool_type
    if where.work_pool or kind:
        given = where.work_pool is not None
        chosen = replace(chosen, work_pool=pool, work_pool_type=kind, given_pool=given)
    return replace(chosen, given_variables=variables, given_images=images)


def checked(
    where: Where, wanted: Wanted = Wanted(), *, shared: bool = False
) -> tuple[Environment, list[Deployment]]:
    """Return the environment and the catalog after checking both. Sends no request."""
    from deployer import load

    chosen, catalog = chosen_environment(where, wanted, shared=shared), load.load()
    if missing := [*_missing_images(chosen, catalog)]:
        raise DeployerError(*missing)
    return chosen, catalog


def _missing_images(chosen: Environment, catalog: list[Deployment]) -> Iterator[str]:
    """Yield a sentence for each image that an entry names and --image, if used, does not give."""
    running = {entry.options["image"]: entry for entry in catalog if entry.options.get("image")}
    for name in running.keys() - chosen.given_images.keys() if chosen.given_images else ():
        yield (
            f"{running[name].key} runs the image {name!r}, which was not given: add --image "
            f"{name}=REFERENCE; `nox -s image -- --target {name}` builds it."
        )


async def desired_state(
    server: Server,
    chosen: Environment,
    catalog: list[Deployment],
    commit: str | None = None,
) -> tuple[Environment, Desired]:
    """Read the work pools of a checked catalog from the server, and check that they fit.

    Returns:
        The environment with the type of its work pool, and the desired state.

    Raises:
        DeployerError: a work pool is missing, has another type than declared, does not suit the
            image, or does not have a job variable that an entry sets.
    """
    from deployer import desired, load
    from deployer import work_pool as work_pools
    from deployer.api_errors import if_found

    image = chosen.image(None)
    names = dict.fromkeys([chosen.work_pool, *work_pools.others(chosen, catalog)])
    found = {name: await if_found(server.client.read_work_pool(name)) for name in names}
    wrong = [each for pair in found.items() for each in work_pools.mismatch(chosen, *pair)]
    pools = [pool for pool in found.values() if pool]
    wrong = wrong or [e for each in pools for e in work_pools.unsuited(each.name, each.type, image)]
    if wrong:
        raise DeployerError(*map(str, wrong))
    chosen = replace(chosen, work_pool_type=pools[0].type)
    specs = desired.from_catalog(catalog, chosen, commit, load.resources())
    for pool in pools:  # the deploy writes the declared template before the deployments
        own = specs.resources.get(f"work-pool/{pool.name}", {})
        pool.base_job_template = own.get("base_job_template", pool.base_job_template)
    if problems := [*work_pools.unknown_variables(specs.specs, pools)]:
        raise DeployerError(*problems)
    return chosen, specs


def identify_deploy(where: Where, wanted: Wanted) -> str | None:
    """Return a hash that identifies this deploy, if it deploys the image that it runs in.

    Whoever runs an image, such as the pipeline, sets DEPLOYER_IMAGE to its reference.
    """
    own = os.environ.get("DEPLOYER_IMAGE")
    other_options = where.label or where.work_pool_type or wanted.only or wanted.job_variable
    if own is None or other_options:
        return None
    images = parse(wanted.image)
    if own != images.get(DEFAULT):
        return None
    server = os.environ.get("PREFECT_API_URL", "")
    return unchanged.deploy_hash(images, where.environment, where.work_pool, server)


def who() -> str:
    """Return who deploys: the person who pushed, or the user who is logged in."""
    try:
        return os.environ.get("GITHUB_ACTOR") or getpass.getuser()
    except (KeyError, OSError):  # in a container the user may have no name
        return f"user {os.getuid()}"
