"""One function per command: it prints the report and returns the exit code, if that is not 0.

The signature of a function is the command's options, and the docstring is its help. A command
imports Prefect only when it needs it, so that `--help` starts at once.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from deployer import __version__, alive, unchanged
from deployer.cli.context import (
    act,
    checked,
    chosen_environment,
    desired_state,
    identify_deploy,
    who,
)
from deployer.cli.terminal import say, show
from deployer.errors import DeployerError, counted
from deployer.options import (
    INTERNAL,
    Adopt,
    AnyFormat,
    Applying,
    FromOne,
    Image,
    LockTimeout,
    Options,
    TextOrJson,
    TextOrMarkdown,
    Timeout,
    Wanted,
    Where,
    about,
)

if TYPE_CHECKING:
    from deployer.desired import Desired
    from deployer.environment import Environment
    from deployer.environment_state import EnvironmentState
    from deployer.plan import Plan
    from deployer.refresh import Snapshot
    from deployer.release import Release
    from deployer.result import Result
    from deployer.server import Live, Server
    from deployer.verify import SmokeRun

FAILED, CHANGES, INTERRUPTED = 1, 2, 130


def check(*, format: TextOrMarkdown = "text") -> None:
    """Find everything that is wrong with the catalog and the environments, without a server.

    Example: python -m deployer check
    """
    from deployer import environment, load, resources
    from deployer.check import import_time
    from deployer.check.catalog import warnings

    environments = environment.load()
    with import_time.importing() as receiver:
        catalog = load.load()
        import_time.require_same(catalog, receiver)
    entries = load.resources()
    for name, each in environments.items():
        chosen = environment.select(environments, name, "x" if each.wants_label else None)
        resources.declared(entries, chosen)
    for warning in warnings(catalog):
        say(f"warning: {warning}")
    found = counted(len(catalog), "deployment"), counted(len(environments), "environment")
    show(f"{' and '.join(found)} are fine.")


def environments(
    *, as_json: Annotated[bool, Parameter(name="--json", help="print a JSON list")] = False
) -> None:
    """List the environments, in the order in which a release is promoted.

    Example: python -m deployer environments
    """
    from deployer import environment

    names = list(environment.load())
    show(json.dumps(names) if as_json else "\n".join(names))


def setup(where: Where) -> None:
    """Create or update the work pools, the work queue and the Secret blocks.

    Example: python -m deployer setup production
    """
    from deployer import setup, work_pool

    chosen, catalog = checked(where, shared=True)
    others = work_pool.others(chosen, catalog)
    show("\n".join(act(lambda server: setup.setup(server, chosen, os.environ, others))))


def plan(
    where: Where,
    *,
    wanted: Wanted = Wanted(),
    detailed_exitcode: Annotated[bool, about("exit with 2 if anything differs")] = False,
    released: Annotated[
        bool, about("compare the server with the last release, to find edits made there")
    ] = False,
    adopt: Adopt = False,
    format: AnyFormat = "text",
) -> int:
    """Show what a deploy would change.

    Example: python -m deployer plan staging --image registry/flows@sha256:... --detailed-exitcode
    """
    from deployer import desired, refresh, release
    from deployer import plan as plans
    from deployer.cli import render

    chosen, catalog = (chosen_environment(where), None) if released else checked(where, wanted)

    async def work(server: Server) -> Snapshot | None:
        if catalog is None:
            latest = await release.recent(server, chosen)
            if not latest:
                return None
            resolved, specs = chosen, desired.from_release(latest[0])
        else:
            resolved, specs = await desired_state(server, chosen, catalog)
        found = await refresh.refresh(server, resolved, specs, wanted.only)
        if adopt and found.foreign:
            return await refresh.refresh(server, resolved, specs, wanted.only, found.foreign)
        return found

    found = act(work)
    made = found.plan if found else plans.Plan(())
    if found is None and format != "json":
        show(f"Nothing was released in {chosen.name} yet, so nothing differs from it.")
    else:
        hold = found.state.hold if found else None
        report = render.plan(made, format, where.environment, hold)
        if released and format == "markdown" and found and not made.empty:
            from deployer import importing

            report += render.acceptance(*importing.acceptance(made, chosen, found.latest))
        show(report)
    return CHANGES if detailed_exitcode and not made.empty else 0


def deploy(
    where: Where,
    *,
    wanted: Wanted = Wanted(),
    options: Options = Options(),
    format: TextOrMarkdown = "text",
) -> int:
    """Plan, apply, verify and record a release; if a step fails, restore the previous state.

    Example: python -m deployer deploy preview --label pr-7 --image registry/flows@sha256:...
    """
    deploy_hash = identify_deploy(where, wanted)
    # Only if it is needed: `recording_connections` adds an audit hook, which Python cannot remove.
    watch: AbstractContextManager[list[str]]
    watch = unchanged.recording_connections() if deploy_hash else nullcontext([])
    with watch as connected:
        chosen, catalog = checked(where, wanted)
    how = replace(options, only=wanted.only, who=who())

    async def want(server: Server) -> tuple[Environment, Desired]:
        return await desired_state(server, chosen, catalog, how.commit)

    return _deploy(want, how, where.environment, format, None if connected else deploy_hash)


def _deploy(
    want: Callable[[Server], Awaitable[tuple[Environment, Desired]]],
    options: Options,
    name: str,
    format: str,
    deploy_hash: str | None = None,
) -> int:
    """Show the plan, apply it, and show the result; Markdown is one report at the end.

    With `deploy_hash`, note for the next push that nothing differs any more, if that is so.
    """
    from deployer import deploy
    from deployer.api_errors import explain
    from deployer.cli import render
    from deployer.note_unchanged import note_if_unchanged

    plans: list[Plan] = []

    def present(plan: Plan) -> None:
        plans.append(plan)
        if format == "text":
            show(render.text(plan))

    async def work(server: Server) -> Result:
        done = await deploy.deploy(server, *await want(server), options, say, present)
        if deploy_hash:
            try:
                await note_if_unchanged(server, want, deploy_hash, options.order)
            except asyncio.CancelledError:
                say(deploy.DONE)
                done.interrupted = True
            except Exception as error:  # the deploy itself is done
                say(f"The next push will pull the image to find what differs: {explain(error)}")
        return done

    try:
        result = act(work)
    except DeployerError as error:
        if plans:
            error.details = render.markdown(plans[-1], f"Plan for {name}")
        raise
    show(render.result(result, format, name))
    return INTERRUPTED if result.interrupted else 0


def verify(where: Where, *, wanted: Wanted = Wanted(), timeout: Timeout = Options.timeout) -> None:
    """Check that a worker polls, run the smoke runs, and mark an unverified release as verified.

    Example: python -m deployer verify production --image registry/flows@sha256:...
    """
    from deployer import refresh, release, verify
    from deployer.cli import render

    chosen, catalog = checked(where, wanted)

    async def work(server: Server) -> list[SmokeRun]:
        resolved, specs = await desired_state(server, chosen, catalog)
        snapshot = await refresh.refresh(server, resolved, specs, wanted.only)
        what = chosen.setup, snapshot.deployed, snapshot.smoke(specs)
        runs, _ = await verify.check(server, *what, timeout, say)
        if runs and not wanted.only and (unverified := snapshot.unverified_release(specs)):
            await release.mark_verified(server, resolved, unverified)
        return runs

    show(render.runs(act(work)))


def releases(
    where: Where,
    *,
    limit: Annotated[FromOne, about("how many to list")] = 20,
    forget: Annotated[
        tuple[FromOne, ...],
        about("first delete the record of the release with this number; may be repeated"),
    ] = (),
    format: TextOrJson = "text",
) -> None:
    """List the releases, newest first.

    Example: python -m deployer releases production --limit 5
    """
    from deployer import environment_state, release
    from deployer.cli import render

    chosen = chosen_environment(where)

    async def work(server: Server) -> tuple[list[Release], EnvironmentState]:
        if forget:
            await release.forget(server, chosen, forget)
        state, _ = await environment_state.read(server, chosen)
        return await release.recent(server, chosen, limit), state

    found, state = act(work)
    show(render.releases(found, format, where.environment, state.hold))


def rollback(
    where: Where,
    *,
    to: Annotated[
        FromOne | None, about("release number [default: the last verified one before the current]")
    ] = None,
    hold: Annotated[
        bool, Parameter(negative="--no-hold", help="refuse deploys until one is run with --resume")
    ] = Options.hold,
    options: Applying = Applying(),
    format: TextOrMarkdown = "text",
) -> int:
    """Deploy a recorded release again; no image is built or pushed.

    Example: python -m deployer rollback production --to 12
    """
    from deployer import desired, load, release

    chosen = chosen_environment(where)
    how = Options(**vars(options), who=who(), hold=hold)

    async def want(server: Server) -> tuple[Environment, Desired]:
        specs = desired.from_release(await release.find(server, chosen, to))
        if specs.image is None:
            # In a thread: in an event loop, a module that loads a block would get a coroutine.
            await asyncio.to_thread(load.require_entrypoints, specs.specs)
        return chosen, specs

    return _deploy(want, how, where.environment, format)


def destroy(
    where: Where,
    *,
    yes: Annotated[bool, about("confirm the deletion; not needed for a single preview")] = False,
    all_but: Annotated[
        list[str] | None,
        Parameter(consume_multiple=True, help="destroy all previews but those with these labels"),
    ] = None,
    lock_timeout: LockTimeout = Options.lock_timeout,
) -> None:
    """Delete everything that this project owns in an environment.

    Example: python -m deployer destroy preview --label pr-7
    """
    from deployer import destroy, environment

    rest = (who(), lock_timeout, say)
    if all_but is not None:
        known, name = environment.load(), where.environment
        deleted = act(lambda server: destroy.sweep(server, known, name, all_but, *rest))
        show("\n".join(deleted) or f"Nothing is left over in {name}.")
        return
    chosen = chosen_environment(where)
    if not yes and where.label is None:
        raise DeployerError(
            f"This deletes every deployment of {chosen.project} in {chosen.name}, and its "
            "releases: to confirm, add --yes."
        )
    show("\n".join(act(lambda server: destroy.destroy(server, chosen, *rest))))


def doctor(
    where: Where,
    *,
    image: Image = Wanted.image,
    environ: Annotated[Mapping[str, str], INTERNAL],
) -> int:
    """Check the server, work pool, workers and image: what is wrong, why it matters, how to fix it.

    Example: python -m deployer doctor production
    """
    from deployer import doctor

    findings = asyncio.run(doctor.examine(chosen_environment(where, Wanted(image)), environ))
    show(doctor.text(findings))
    return FAILED if any(finding.fatal for finding in findings) else 0


def export(where: Where, *, image: Image = Wanted.image) -> None:
    """Print the catalog as a prefect.yaml.

    Example: python -m deployer export production --image registry/flows:1.2 > prefect.yaml
    """
    from deployer import export

    show(export.to_yaml(*checked(where, Wanted(image))).removesuffix("\n"))


def import_(
    where: Where = Where("production"),
    *,
    from_: Annotated[
        str | None, Parameter(name="--from", help="a prefect.yaml [default: read the server]")
    ] = None,
    tag: Annotated[str | None, about("only deployments with this tag")] = None,
    name: Annotated[str, about("only what matches this FLOW/NAME, such as 'etl/*'")] = "*",
    output: Annotated[Path | None, about("file to write [default: print it]")] = None,
    force: Annotated[bool, about("overwrite the file if it exists")] = False,
) -> None:
    """Write a catalog from existing deployments; ENVIRONMENT is production by default.

    Reports each field that the catalog cannot express on one line: what, why, and what to do.

    Example: python -m deployer import production --tag etl --output deployments/catalog.py --force
    """
    from deployer import importing, release

    async def work(server: Server) -> tuple[dict[str, Live], list[Release]]:
        return await server.tagged(tag), await release.recent(server, chosen)

    chosen = chosen_environment(where)
    recorded: list[Release] = []
    if output and output.exists() and not force:
        raise DeployerError(f"{output} exists already: to overwrite it, add --force.")
    if from_:
        found = importing.from_yaml(from_)
    else:
        live, recorded = act(work)
        found = importing.from_server(live)
    text, notes = importing.catalog(found, chosen, name, tag, next(iter(recorded), None))
    for note in notes:
        say(note)
    if output is None:
        return show(text.removesuffix("\n"))
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DeployerError(f"{output} cannot be written: {error.strerror}.") from None


def serve() -> None:
    """Serve the catalog from this process until Ctrl-C, for development, with its schedules on.

    The names get the suffix -serve, so that the deployed deployments do not change.

    Example: python -m deployer serve
    """
    from deployer import environment, load, serve

    catalog = load.load()
    act(lambda server: server.now())  # if no server answers, Prefect would print a traceback
    alive.end()
    serve.serve(environment.serving(), catalog)


app = App(
    name="python -m deployer",
    help="Deploy the catalog (deployments/catalog.py) to a Prefect server.\n\n"
    "Start with: check, setup ENVIRONMENT, plan ENVIRONMENT, deploy ENVIRONMENT.\n\n"
    "ENVIRONMENT is a table in deployments/environments.toml; PREFECT_API_URL is the address of "
    "the server. Exit codes: 0 success, 1 failure, 2 differences (plan --detailed-exitcode), "
    "130 interrupted.",
    help_format="plaintext",
    version=__version__,
    default_parameter=Parameter(negative="", show_default=lambda value: value or None),
    print_error=False,
    exit_on_error=False,
    suppress_keyboard_interrupt=False,
)
COMMANDS: tuple[Callable[..., int | None], ...] = (
    *(check, environments, setup, plan, deploy, verify),
    *(releases, rollback, destroy, doctor, export, import_, serve),
)
for position, command in enumerate(COMMANDS):
    app.command(command, name=command.__name__.rstrip("_"), sort_key=position)
