"""What a deploy refuses to do unless somebody says that it is meant."""

from __future__ import annotations

from collections import Counter

from deployer.api_errors import if_found
from deployer.environment import Environment, origins
from deployer.environment_state import Hold
from deployer.errors import DeployerError
from deployer.plan import Plan
from deployer.server import Live, Server
from deployer.spec import Spec

BRAKE_FROM = 5  # owned deployments below which deleting many of them is nothing unusual


def refuse_foreign(found: tuple[str, ...], adopt: bool) -> None:
    """Refuse to take over deployments that are not ours.

    Args:
        found: a sentence about each that has the name of a new one.
        adopt: whether somebody said `--adopt`.

    Raises:
        DeployerError: there are some, and nobody said so.
    """
    if found and not adopt:
        raise DeployerError(*found)


async def require_pools(server: Server, wanted: Plan) -> None:
    """Look for the work pools of a recorded release, which may have been deleted since.

    Raises:
        DeployerError: one was.
    """
    pools = {change.after["work_pool"] for change in wanted.changes if change.after}
    for pool in sorted(pools):
        if await if_found(server.client.read_work_pool(pool)) is None:
            raise DeployerError(
                f"The release uses the work pool {pool!r}, which is not on the server any more: "
                "create it again, or choose another release with --to."
            )


def refuse_older(highest: int | None, order: int | None) -> None:
    """Refuse a pipeline's run that is older than the newest one that came here.

    Args:
        highest: the order of the newest one; None before the first.
        order: of this run; None for a deploy by hand.

    Raises:
        DeployerError: it is older.
    """
    if order is not None and highest is not None and order < highest:
        raise DeployerError(
            f"Run {order} is older than run {highest}, which was here already: nothing was "
            "changed. To deploy the newest commit, run the workflow on main; to go back, run "
            "rollback.yml, or `python -m deployer rollback`."
        )


def refuse_held(environment: Environment, hold: Hold | None, resume: bool) -> None:
    """Refuse to deploy over a rollback that holds.

    Raises:
        DeployerError: it holds, and nobody said `--resume`.
    """
    if hold and not resume:
        raise DeployerError(
            f"{environment.name} {hold}. Nothing was changed. Once the fault is fixed, deploy with "
            "--resume, or run deploy.yml by hand."
        )


def refuse_another_plan(made: Plan, expected: str | None) -> None:
    """Refuse a plan that is not the one that was approved.

    Raises:
        DeployerError: it is another one.
    """
    if expected and made.hash != expected:
        raise DeployerError(
            f"The plan {expected} was approved, and by now it is {made.hash}: somebody changed the "
            "server or deployed meanwhile. Nothing was changed: look at the plan again, and "
            "approve that."
        )


def refuse_mass_deletion(wanted: Plan, limit: int) -> None:
    """Refuse to delete more than a share of the owned deployments, or of the resources.

    Renames of deployments do not count.

    Args:
        wanted: the plan.
        limit: percent.

    Raises:
        DeployerError: it would.
    """
    gone = wanted.of("delete")
    owned = len(wanted.of("update", "unchanged", "delete"))
    new = [_identity(change.after) for change in wanted.of("create")]
    renamed = 0
    for change in gone:
        if _identity(change.before) in new:
            new.remove(_identity(change.before))
            renamed += 1
    _refuse_share(len(gone) - renamed, owned, "deployments", limit)
    beside = [each.action for each in wanted.resources if each.action != "create"]
    _refuse_share(beside.count("delete"), len(beside), "resources", limit)


def _refuse_share(gone: int, owned: int, what: str, limit: int) -> None:
    share = 100 * gone / owned if owned else 0
    if owned >= BRAKE_FROM and share > limit:
        raise DeployerError(
            f"This would delete {gone} of {owned} {what}, more than the {limit} % of "
            "--prune-limit: if that is meant, deploy with --prune-limit 100."
        )


def _identity(spec: Spec | None) -> tuple[str, set[str]] | None:
    """Return what a rename keeps: the flow, and whose it is."""
    return (spec["flow"], origins(spec["tags"])) if spec else None


def require_single(before: dict[str, Live], after: dict[str, Live]) -> None:
    """Refuse automations that a lost answer left twice: Prefect's client sent them again.

    What there was two of before is an operator's business.

    Raises:
        DeployerError: there are more of a name than before.
    """
    for key, live in after.items():
        had = Counter(before[key].automations) if key in before else Counter[str]()
        for name, count in Counter(live.automations).items():
            if count > max(1, had[name]):
                raise DeployerError(f"The server created the automation {name!r} of {key} twice.")
