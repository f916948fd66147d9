"""Checks that stop a deploy. An option of the command line overrides most of them."""

from __future__ import annotations

from collections import Counter

from deployer.api_errors import if_found
from deployer.environment import Environment, origins
from deployer.environment_state import Hold
from deployer.errors import DeployerError
from deployer.plan import Plan
from deployer.server import Live, Server
from deployer.spec import Spec

SHARE_FROM = 5  # owned deployments or resources; with fewer, deleting a large share is normal


def refuse_foreign(found: tuple[str, ...], adopt: bool) -> None:
    """Refuse to take over deployments and resources that are not ours.

    Args:
        found: a sentence about each that the plan would take over.
        adopt: whether `--adopt` was given.

    Raises:
        DeployerError: there are some, and `--adopt` was not given.
    """
    if found and not adopt:
        raise DeployerError(*found)


async def require_pools(server: Server, wanted: Plan) -> None:
    """Require the work pools of a recorded release, which may have been deleted since.

    Raises:
        DeployerError: one is missing.
    """
    pools = {change.after["work_pool"] for change in wanted.changes if change.after}
    for pool in sorted(pools):
        if await if_found(server.client.read_work_pool(pool)) is None:
            raise DeployerError(
                f"The release uses the work pool {pool!r}, which is no longer on the server: "
                "create it again, or choose another release with --to."
            )


def refuse_older(highest: int | None, order: int | None) -> None:
    """Refuse a pipeline run that is older than the newest one so far.

    Args:
        highest: the order of the newest run; None before the first.
        order: the order of this run; None for a deploy by hand.

    Raises:
        DeployerError: this run is older.
    """
    if order is not None and highest is not None and order < highest:
        raise DeployerError(
            f"Run {order} is older than run {highest}, which already ran here: nothing was "
            "changed. To deploy the newest commit, run the workflow on main; to go back, run "
            "rollback.yml, or `python -m deployer rollback`."
        )


def refuse_held(environment: Environment, hold: Hold | None, resume: bool) -> None:
    """Refuse to deploy while a rollback holds the environment.

    Raises:
        DeployerError: a rollback holds it, and `--resume` was not given.
    """
    if hold and not resume:
        raise DeployerError(
            f"{environment.name} {hold}. Nothing was changed. Once the fault is fixed, deploy with "
            "--resume, or run deploy.yml with resume=true."
        )


def refuse_another_plan(made: Plan, expected: str | None) -> None:
    """Refuse a plan that is not the one that was approved.

    Raises:
        DeployerError: the plan differs.
    """
    if expected and made.hash != expected:
        raise DeployerError(
            f"The plan {expected} was approved, but the plan is {made.hash} now: somebody changed "
            "the server or deployed meanwhile. Nothing was changed: review the new plan and "
            "approve it."
        )


def refuse_mass_deletion(wanted: Plan, limit: int) -> None:
    """Refuse to delete more than a share of the owned deployments, or of the resources.

    Renames of deployments do not count.

    Args:
        wanted: the plan.
        limit: percent.

    Raises:
        DeployerError: the plan would delete more.
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
    others = [each.action for each in wanted.resources if each.action != "create"]
    _refuse_share(others.count("delete"), len(others), "resources", limit)


def _refuse_share(gone: int, owned: int, what: str, limit: int) -> None:
    share = 100 * gone / owned if owned else 0
    if owned >= SHARE_FROM and share > limit:
        raise DeployerError(
            f"This would delete {gone} of {owned} {what}, more than the {limit} % of "
            "--prune-limit: if that is meant, deploy with --prune-limit 100."
        )


def _identity(spec: Spec | None) -> tuple[str, set[str]] | None:
    """Return what a rename does not change: the flow and the origins."""
    return (spec["flow"], origins(spec["tags"])) if spec else None


def refuse_duplicates(before: dict[str, Live], after: dict[str, Live]) -> None:
    """Refuse duplicate automations: Prefect's client sends one again if the response was lost.

    Duplicates that existed before are left to the operator.

    Raises:
        DeployerError: there are more automations of one name than before.
    """
    for key, live in after.items():
        for name in duplicates(before.get(key), live):
            raise DeployerError(
                f"The server created the automation {name!r} of {key} twice, because its "
                "first answer was lost: deploy again."
            )


def duplicates(before: Live | None, after: Live) -> list[str]:
    """Return the names of which a deployment has several automations, and more than before."""
    had = Counter(before.automations if before else ())
    return [each for each, count in Counter(after.automations).items() if count > max(1, had[each])]
