"""The options that several commands share: the type, help text and default of each.

Each field becomes an option: `lock_timeout` is `--lock-timeout`. Nothing here imports Prefect.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Annotated, Literal

from cyclopts import Parameter, Token
from cyclopts.validators import Number

NUMBERS = {int: "a whole number", float: "a number"}


def about(text: str) -> Parameter:
    """Return the parameter of an option that has this help text."""
    return Parameter(help=text)


def number(kind: type[float], tokens: Sequence[Token]) -> float:
    """Parse a number strictly: cyclopts itself would round 1.5 to 2."""
    try:
        return kind(tokens[0].value)
    except ValueError:
        raise ValueError(f"{tokens[0].value!r} is not {NUMBERS[kind]}.") from None


INTERNAL = Parameter(parse=False)  # a field that is not a command-line option
Whole = Annotated[int, Parameter(converter=number)]
FromOne = Annotated[int, Parameter(converter=number, validator=Number(gte=1))]
Seconds = Annotated[float, Parameter(converter=number, validator=Number(gte=0))]

Image = Annotated[
    tuple[str, ...],
    about("reference of the image for the runs; NAME=REFERENCE for one of [images]; repeatable"),
]
Timeout = Annotated[Seconds, about("seconds to wait for the smoke runs")]
LockTimeout = Annotated[Seconds, about("seconds to wait for another deployer")]
Adopt = Annotated[bool, about("take over what has the same name but is not this project's")]
REPORT = about("format of the report")
TextOrMarkdown = Annotated[Literal["text", "markdown"], REPORT]
TextOrJson = Annotated[Literal["text", "json"], REPORT]
AnyFormat = Annotated[Literal["text", "markdown", "json"], REPORT]


@Parameter(name="*")
@dataclass(frozen=True)
class Where:
    """The environment, and options that override its settings."""

    environment: Annotated[str, about("name of a table in deployments/environments.toml")]
    _: KW_ONLY
    label: Annotated[str | None, about("label of the preview, such as pr-7")] = None
    work_pool: Annotated[str | None, about("work pool to use instead of the declared one")] = None
    work_pool_type: Annotated[str | None, about("its type for `setup`, such as docker")] = None


@Parameter(name="*")
@dataclass(frozen=True)
class Wanted:
    """What to deploy."""

    image: Image = ()
    only: Annotated[str | None, about("only what matches this FLOW/NAME, such as 'etl/*'")] = None
    job_variable: Annotated[
        tuple[str, ...], about("extra job variable KEY=VALUE; VALUE is JSON or text; repeatable")
    ] = ()


@Parameter(name="*")
@dataclass(frozen=True)
class Applying:
    """How to apply a plan."""

    verify: Annotated[
        bool, Parameter(negative="--no-verify", help="wait for a worker and the smoke runs")
    ] = True
    timeout: Timeout = 600
    lock_timeout: LockTimeout = 600
    prune_limit: Annotated[Whole, about("percent of deployments, or resources, to delete")] = 50
    run_url: Annotated[str | None, about("URL of the pipeline run, for the release record")] = None


@dataclass(frozen=True)
class Options(Applying):
    """How to deploy.

    Attributes:
        only: pattern for `FLOW/NAME`; all other deployments stay as they are.
        who: who deploys, for the lock and the release record.
        hold: whether a rollback blocks further deploys until one is run with `--resume`.
    """

    commit: Annotated[str | None, about("commit of the source, for the release record")] = None
    order: Annotated[
        Whole | None, about("id of the pipeline run; refused after a run with a higher id")
    ] = None
    adopt: Adopt = False
    expect_plan: Annotated[
        str | None, about("hash of the plan that was approved; any other plan is refused")
    ] = None
    resume: Annotated[bool, about("deploy even if a rollback holds the environment")] = False
    only: Annotated[str | None, INTERNAL] = Wanted.only
    who: Annotated[str, INTERNAL] = "somebody"
    hold: Annotated[bool, INTERNAL] = True
