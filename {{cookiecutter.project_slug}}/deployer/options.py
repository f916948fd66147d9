"""How to deploy: what a person may choose on the command line, each with its default."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """How to deploy.

    Attributes:
        only: glob on `FLOW/NAME`; everything else stays as it is.
        who: who deploys, for the lock and the record.
        commit: of the source, for the record.
        order: the pipeline's run id; a lower one than the highest that came here is refused.
        run_url: of the pipeline's run, for the record.
        verify: whether to wait for a worker and the smoke runs.
        timeout: seconds for the smoke runs.
        lock_timeout: seconds to wait for another deployer.
        prune_limit: percent of the owned deployments that one deploy may delete.
        adopt: take over deployments of the same name that are not ours.
        expect_plan: hash of the plan that was approved; another plan is refused.
        hold: whether a rollback keeps the next deploy from coming until somebody resumes.
        resume: deploy although a rollback holds the environment, and end that.
    """

    only: str | None = None
    who: str = "somebody"
    commit: str | None = None
    order: int | None = None
    run_url: str | None = None
    verify: bool = True
    timeout: float = 600
    lock_timeout: float = 600
    prune_limit: int = 50
    adopt: bool = False
    expect_plan: str | None = None
    hold: bool = True
    resume: bool = False
