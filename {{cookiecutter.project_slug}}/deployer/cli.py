"""The command line: reports on stdout, progress and errors on stderr."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NoReturn

from deployer import environment
from deployer.errors import DeployerError, failure

if TYPE_CHECKING:
    from deployer.deploy import Outcome
    from deployer.server import Server
    from deployer.target import Target

FAILED, CHANGES, INTERRUPTED = 1, 2, 130


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Exit with 1: argparse's own 2 would read as "the plan found changes"."""
        self.exit(FAILED, f"error: {message}. See `{self.prog} --help`.\n")


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 fine, 1 failed, 2 `plan --detailed-exitcode` found changes, 130 interrupted.
    """
    args = _parser().parse_args(argv)
    args.environ = dict(os.environ)
    # An unset GitHub secret arrives as an empty variable, and Prefect crashes on some of those.
    for name in [name for name, value in os.environ.items() if name.startswith("PREFECT_")]:
        if not os.environ[name]:
            del os.environ[name]
    try:
        return int(args.run(args))
    except DeployerError as error:
        for problem in error.problems:
            print(f"error: {problem}", file=sys.stderr)
        if getattr(args, "format", None) == "markdown":  # the summary of a job tells it too
            print(failure(args.environment, error.problems))
        return FAILED
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("error: Interrupted.", file=sys.stderr)
        return INTERRUPTED
    except ValueError as error:
        if type(error).__name__ != "ValidationError":
            raise
        # Prefect reads its settings when it is imported, and pydantic refuses some of them.
        _, setting, problem, *_ = [*str(error).splitlines(), "", ""]
        print(
            f"error: The Prefect setting {setting}: {problem.split(' [')[0].strip()}.",
            file=sys.stderr,
        )
        return FAILED


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _act(work: Callable[[Server], Awaitable[Any]]) -> Any:
    """Run a coroutine against the server; SIGTERM and Ctrl-C let it put things back first."""
    from deployer.server import connect

    async def run() -> Any:
        task = asyncio.current_task()
        if task and hasattr(signal, "SIGTERM") and sys.platform != "win32":
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        async with connect() as server:
            return await work(server)

    return asyncio.run(run())


def _environment(args: argparse.Namespace) -> environment.Environment:
    from dataclasses import replace

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


async def _target(
    server: Server, args: argparse.Namespace
) -> tuple[environment.Environment, Target]:
    """Check the catalog, then ask the server what kind of pool it goes to."""
    from dataclasses import replace

    from prefect.exceptions import ObjectNotFound

    from deployer import check, target

    chosen = _environment(args)
    catalog = check.require()
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


def _check(args: argparse.Namespace) -> int:
    from deployer import check

    environments = environment.load()
    catalog = check.require()
    print(f"{len(catalog)} deployments and {len(environments)} environments are fine.")
    return 0


def _environments(args: argparse.Namespace) -> int:
    names = list(environment.load())
    print(json.dumps(names) if args.json else "\n".join(names))
    return 0


def _setup(args: argparse.Namespace) -> int:
    from deployer import setup

    chosen = _environment(args)
    for sentence in _act(lambda server: setup.setup(server, chosen, os.environ)):
        print(sentence)
    return 0


def _plan(args: argparse.Namespace) -> int:
    from deployer import release, render, survey, target

    async def work(server: Server) -> Any:
        if args.released:
            chosen = _environment(args)
            wanted = target.from_release(await release.latest(server, chosen))
        else:
            chosen, wanted = await _target(server, args)
        return await survey.survey(server, chosen, wanted, args.only)

    made = _act(work).plan
    if args.format == "json":
        print(render.as_json(made))
    elif args.format == "markdown":
        print(render.markdown(made, f"Plan for {args.environment}"))
    else:
        print(render.text(made, colour=sys.stdout.isatty()))
    return CHANGES if args.detailed_exitcode and not made.empty else 0


def _deploy(args: argparse.Namespace) -> int:
    from deployer import deploy

    async def work(server: Server) -> Any:
        chosen, target = await _target(server, args)
        return await deploy.deploy(server, chosen, target, _options(args), _say)

    return _report(args, _act(work))


def _options(args: argparse.Namespace) -> Any:
    from deployer.deploy import Options

    return Options(
        only=getattr(args, "only", None),
        who=_who(),
        commit=getattr(args, "commit", None),
        order=getattr(args, "order", None),
        run_url=args.run_url,
        verify=not args.no_verify,
        timeout=args.timeout,
        lock_timeout=args.lock_timeout,
        prune_limit=args.prune_limit,
        adopt=getattr(args, "adopt", False),
    )


def _who() -> str:
    try:
        return os.environ.get("GITHUB_ACTOR") or getpass.getuser()
    except (KeyError, OSError):  # an image runs under users that have no name
        return f"user {os.getuid()}"


def _report(args: argparse.Namespace, outcome: Outcome) -> int:
    from deployer import render

    if args.format == "markdown":
        print(render.outcome_markdown(outcome, args.environment))
    else:
        print(render.outcome_text(outcome, args.environment, colour=sys.stdout.isatty()))
    return 0


def _verify(args: argparse.Namespace) -> int:
    from deployer import render, survey, verify

    async def work(server: Server) -> Any:
        chosen, target = await _target(server, args)
        live = (await survey.survey(server, chosen, target)).live
        smoke = {key: (live[key], target.smoke[key]) for key in target.smoke if key in live}
        return await verify.check(server, chosen, smoke, args.timeout, _say)

    print(render.runs_text(_act(work)))
    return 0


def _releases(args: argparse.Namespace) -> int:
    from deployer import release, render

    chosen = _environment(args)
    found = _act(lambda server: release.recent(server, chosen, args.limit))
    print(render.releases(found, args.format))
    return 0


def _rollback(args: argparse.Namespace) -> int:
    from deployer import deploy, release, target

    chosen = _environment(args)

    async def work(server: Server) -> Any:
        wanted = target.from_release(await release.find(server, chosen, args.to))
        return await deploy.deploy(server, chosen, wanted, _options(args), _say)

    return _report(args, _act(work))


def _destroy(args: argparse.Namespace) -> int:
    from deployer import destroy

    if args.all_but is not None:
        return _sweep(args)
    chosen = _environment(args)
    if not args.yes and args.name is None:
        raise DeployerError(
            f"This deletes every deployment of {chosen.project} in {chosen.name}, and its "
            "releases: if that is meant, add --yes."
        )
    for sentence in _act(
        lambda server: destroy.destroy(server, chosen, _who(), args.lock_timeout, _say)
    ):
        print(sentence)
    return 0


def _sweep(args: argparse.Namespace) -> int:
    from deployer import destroy

    known = environment.load()
    keep = {environment.select(known, args.environment, each).name for each in args.all_but}
    chosen = environment.select(known, args.environment, "x")  # a name that every label fits

    async def work(server: Server) -> list[str]:
        labels = await destroy.labels(server, chosen)
        gone = [environment.select(known, args.environment, each) for each in labels]
        done = []
        for each in [each for each in gone if each.name not in keep]:
            done += await destroy.destroy(server, each, _who(), args.lock_timeout, _say)
        return done

    print("\n".join(_act(work)) or f"Nothing is left over in {args.environment}.")
    return 0


def _doctor(args: argparse.Namespace) -> int:
    from deployer import doctor

    findings = asyncio.run(doctor.examine(_environment(args), args.image, args.environ))
    print(doctor.text(findings))
    return FAILED if any(finding.fatal for finding in findings) else 0


def _export(args: argparse.Namespace) -> int:
    from deployer import check, export

    print(export.to_yaml(_environment(args), check.require(), args.image), end="")
    return 0


def _serve(args: argparse.Namespace) -> int:
    from deployer import check, serve

    chosen, catalog = _environment(args), check.require()
    _act(lambda server: serve.refuse_deployed(server, chosen))
    serve.serve(chosen, catalog)
    return 0


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


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m deployer",
        description="Deploy the catalog (deployments/catalog.py) to a Prefect server.",
        epilog="Start with: check, setup ENV, plan ENV, deploy ENV. "
        "ENV is a table of deployments/environments.toml, the server that of PREFECT_API_URL. "
        "Exit codes: 0 fine, 1 failed, 2 differences (plan --detailed-exitcode), 130 interrupted.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        name = run.__name__.strip("_")
        example = f"example: python -m deployer {EXAMPLES[name]}"
        made = commands.add_parser(name, help=text, description=text, epilog=example)
        made.set_defaults(run=run)
        return made

    command(_check, "find everything that is wrong with catalog and environments, offline")
    made = command(_environments, "list the environments in the order of promotion")
    made.add_argument("--json", action="store_true", help="as a JSON list, for workflows")

    made = _where(command(_setup, "create or update work pool, work queue and secret blocks"))
    made = _wanted(_where(command(_plan, "show what a deploy would change")))
    made.add_argument(
        "--detailed-exitcode", action="store_true", help="exit with 2 where something differs"
    )
    made.add_argument(
        "--released",
        action="store_true",
        help="compare with the last release instead of the catalog: what was edited on the server",
    )
    made.add_argument("--format", choices=["text", "markdown", "json"], default="text", help=FORMAT)

    made = _acting(_wanted(_where(command(_deploy, "plan, apply, verify and record; or put back"))))
    made.add_argument("--commit", help="commit of the source, for the record")
    made.add_argument(
        "--order", type=int, help="the pipeline's run id: older than the last one is refused"
    )
    made.add_argument("--adopt", action="store_true", help="take over deployments of the same name")
    made = _wanted(_where(command(_verify, "check that a worker polls and run the smoke runs")))
    made.add_argument(
        "--timeout", type=float, default=600, help="seconds for the smoke runs (default 600)"
    )

    made = _where(command(_releases, "list what was deployed, newest first"))
    made.add_argument("--limit", type=int, default=20, help="how many (default 20)")
    made.add_argument("--format", choices=["text", "json"], default="text", help=FORMAT)

    made = _acting(_where(command(_rollback, "deploy a recorded release, without image or build")))
    made.add_argument("--to", type=int, help="the release; default the last verified one before")

    made = _where(command(_destroy, "delete what this project owns in an environment"))
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
    made = _where(command(_doctor, "say what is wrong, why it matters and how to mend it"))
    made.add_argument("--image", help="reference of the image to look for")
    made = _where(command(_export, "print the catalog as a prefect.yaml"))
    made.add_argument("--image", help="reference of the image that the runs use")
    _where(command(_serve, "serve the catalog from this process, for development"), "local")
    return parser


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
