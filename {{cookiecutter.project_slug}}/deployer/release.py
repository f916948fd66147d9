"""Release records: one artifact on the server for each release, readable in the UI."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from deployer import __version__
from deployer.api_errors import if_found
from deployer.environment import Environment, ordered
from deployer.errors import DeployerError
from deployer.server import Server
from deployer.spec import Spec

RECORD = "<details><summary>Record</summary>"
FENCE = "\n\n```json\n"
PAGE = 10
SMALL_PAGE = 2  # for a search that ends at one of the first records, which may be large
VERIFIED = "verified"  # the smoke runs completed
UNVERIFIED = "not verified"  # the deploy did not wait for smoke runs
NOTHING = "nothing to verify"  # there are no smoke runs


@dataclass(frozen=True)
class Release:
    """A release of a project in an environment.

    Attributes:
        number: 1, 2, 3 …
        at: when it was recorded, by the server's clock (ISO 8601).
        who: the person or the pipeline.
        commit: commit of the source; None if it was not given.
        image: image of the deployments that name none, with digest; None for a working tree.
        order: the id of the pipeline run; None for a deploy by hand.
        run_url: URL of the pipeline run.
        verified: the result of the verification: VERIFIED, UNVERIFIED or NOTHING.
        summary: what changed.
        specs: the specs as declared, without operators' switches, by `FLOW/NAME`.
        smoke: the parameters of the smoke runs, by `FLOW/NAME`.
        again: the release that was rolled back to; None for a deploy.
        deployer: version of the deployer that wrote the record.
        resources: the declared specs of other resources, by `KIND/NAME`.
        images: the other images, by the names that entries give them; older records have none.
    """

    number: int
    at: str
    who: str
    commit: str | None
    image: str | None
    order: int | None
    run_url: str | None
    verified: str
    summary: str
    specs: dict[str, Spec]
    smoke: dict[str, dict[str, Any]]
    again: int | None = None
    deployer: str = __version__
    resources: dict[str, Spec] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)

    @property
    def content(self) -> int:
        """The number of the release that first deployed this: for a rollback, an earlier one."""
        return self.again or self.number


async def recent(server: Server, environment: Environment, limit: int = 1) -> list[Release]:
    """Return the latest releases, newest first.

    Raises:
        DeployerError: another version of the deployer wrote a record, or somebody changed it.
    """
    found: list[Release] = []
    async for row in _records(server, environment, min(PAGE, limit)):
        found.append(_parse(row))
        if len(found) == limit:
            break
    return found


async def repository(server: Server, environment: Environment) -> str | None:
    """Return the URL of the repository that deployed last; None if its record does not name it.

    Raises:
        DeployerError: another version of the deployer wrote the record, or somebody changed it.
    """
    query = {"artifacts": {"key": {"any_": _keys(environment)[:1]}}, "sort": "CREATED_DESC"}
    async for row in server.rows("/artifacts/filter", query, 1):
        run = _parse(row).run_url or ""
        return run.partition("/actions/runs/")[0] or None
    return None


def verdict(waited: bool, ran: bool) -> str:
    """Return the value of a release's `verified` field.

    Args:
        waited: whether the deploy waited for its smoke runs.
        ran: whether there were any.
    """
    return (VERIFIED if ran else NOTHING) if waited else UNVERIFIED


async def find(server: Server, environment: Environment, number: int | None) -> Release:
    """Return the release of this number; for None, the one that a rollback goes to.

    Raises:
        DeployerError: there is none.
    """
    if number is None:
        deployed, found = await _rollback_target(server, environment)
        if not deployed:
            raise DeployerError(f"There is no release in {environment.name} yet: deploy first.")
        missing = f"verified release before {deployed}"
    else:
        found, missing = None, f"release {number}"
        async for row in _numbered(server, environment, number):
            found = _parse(row)
            break
    if found is None:
        raise DeployerError(
            f"There is no {missing} in {environment.name}: `python -m deployer releases "
            f"{environment.table}` lists all."
        )
    return found


async def _rollback_target(
    server: Server, environment: Environment, enough: Collection[str] = (VERIFIED,)
) -> tuple[int, Release | None]:
    """Return the number of the deployed release, and the last verified release before it.

    After a rollback, the release that it went to counts as deployed, so a second rollback goes
    further back. If no earlier release was verified, return the last one that had nothing to
    verify. The search ends at the first earlier release whose `verified` is in `enough`.
    """
    deployed, second_choice = 0, None
    async for row in _records(server, environment, SMALL_PAGE):
        each = _parse(row)
        deployed = deployed or each.content
        if each.number < deployed and each.verified in enough:
            return deployed, each
        if each.number < deployed and each.verified == NOTHING:
            second_choice = second_choice or each
    return deployed, second_choice


async def record(server: Server, environment: Environment, release: Release, page: str) -> None:
    """Write a release record, and delete a duplicate that a retried request may have left.

    Args:
        server: where to write.
        environment: whose release it is.
        release: what was deployed.
        page: Markdown that the UI shows.
    """
    body = {
        "key": _keys(environment)[0],
        "type": "markdown",
        "description": _title(environment, release.number),
        "data": _data(page, release),
    }
    made = await server.request("POST", "/artifacts/", json=body)
    await withdraw(server, environment, release.number, kept=made["id"])


async def mark_verified(server: Server, environment: Environment, seen: Release) -> None:
    """Mark a release as verified after its deploy, because its smoke runs have completed now.

    Do nothing if it is not the newest release any more: it may not be what has run.
    """
    if await recent(server, environment) != [seen]:
        return
    async for row in _numbered(server, environment, seen.number):
        page, _, _ = row["data"].partition(f"\n{RECORD}")
        page = page.replace(f"| verified | {seen.verified} |", f"| verified | {VERIFIED} |")
        data = _data(page, replace(seen, verified=VERIFIED))
        await if_found(server.request("PATCH", f"/artifacts/{row['id']}", json={"data": data}))


async def withdraw(
    server: Server, environment: Environment, number: int, kept: str | None = None
) -> None:
    """Delete the records of the newest release except `kept`; all of them if its deploy failed."""
    found = []
    async for row in _records(server, environment, 1):
        if row["description"] != _title(environment, number):
            break
        found.append(row["id"])
    await _delete(server, [each for each in found if each != kept])


async def forget(server: Server, environment: Environment, numbers: Iterable[int]) -> None:
    """Delete the records of some releases, such as those that hold a secret.

    Raises:
        DeployerError: there is no such release, or it is the newest one.
    """
    newest = next(iter(await recent(server, environment)), None)
    for number in numbers:
        if newest and newest.number == number:
            raise DeployerError(
                f"Release {number} is the newest in {environment.name}, and the next plan needs "
                "its record: deploy something else first, then delete the record."
            )
        found = [each["id"] async for each in _numbered(server, environment, number)]
        if not found:
            raise DeployerError(f"There is no release {number} in {environment.name}.")
        await _delete(server, found)


async def prune(server: Server, environment: Environment, held: int | None) -> None:
    """Delete the oldest records, except those that a rollback may need.

    Args:
        server: where they are.
        environment: whose they are; it says how many of the newest are kept.
        held: number of the release that holds the environment.
    """
    query = {"artifacts": {"key": {"any_": _keys(environment)}}, "sort": "CREATED_DESC"}
    rows = server.rows("/artifacts/filter", query, PAGE, environment.keep_releases)
    old = {row["id"]: _parse(row) async for row in rows}
    if old:
        # If none of them was verified, a newer one that had nothing to verify is good enough.
        any_verified = any(each.verified == VERIFIED for each in old.values())
        enough = (VERIFIED,) if any_verified else (VERIFIED, NOTHING)
        _, target = await _rollback_target(server, environment, enough)
        kept = {held, target.number if target else None}
        await _delete(server, [id for id, each in old.items() if each.number not in kept])


async def delete_all(server: Server, environment: Environment) -> int:
    """Delete all records of an environment; return how many there were."""
    found = [row["id"] async for row in _records(server, environment, PAGE)]
    await _delete(server, found)
    return len(found)


async def _records(
    server: Server, environment: Environment, page: int
) -> AsyncIterator[dict[str, Any]]:
    """Yield the records, newest first, in small pages because each holds a whole release."""
    for key in _keys(environment):
        query = {"artifacts": {"key": {"any_": [key]}}, "sort": "CREATED_DESC"}
        async for row in server.rows("/artifacts/filter", query, page):
            yield row


async def _numbered(
    server: Server, environment: Environment, number: int
) -> AsyncIterator[dict[str, Any]]:
    """Yield the records of one release: a single one, unless somebody made more by hand."""
    async for row in _records(server, environment, PAGE):
        if row["description"] == _title(environment, number):
            yield row


async def _delete(server: Server, ids: list[str]) -> None:
    for each in ids:
        await if_found(server.request("DELETE", f"/artifacts/{each}"))


def _keys(environment: Environment) -> list[str]:
    return [f"release-{key}" for key in environment.keys]


def _title(environment: Environment, number: int) -> str:
    return f"Release {number} of {environment.project} in {environment.name}"


def _data(page: str, release: Release) -> str:
    """Append the record to the page, in one line: artifact metadata ends at 500 characters."""
    record = asdict(release)
    if not release.images:  # older deployers cannot read a record with this field
        del record["images"]
    content = json.dumps(record, ensure_ascii=False)
    return f"{page}\n{RECORD}{FENCE}{content}\n```\n</details>\n"


def _parse(row: dict[str, Any]) -> Release:
    writer = "?"
    try:
        record = json.loads(row["data"].split(FENCE, 1)[1].split("\n", 1)[0])
        writer = record.get("deployer", writer)
        if isinstance(record["verified"], bool):  # as older deployers wrote it
            record["verified"] = verdict(record["verified"], bool(record["smoke"]))
        for each in (*record["specs"].values(), *record.get("resources", {}).values()):
            if "tags" in each:  # older deployers did not write them in this order
                each["tags"] = ordered(each["tags"])
        return Release(**record)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        raise DeployerError(
            f"The release record {row['key']} ({row['id']}) cannot be read: somebody changed it, "
            f"or another version of the deployer wrote it ({writer}, and this is {__version__}). "
            "Use a newer one, such as that of main, or delete the record in the UI."
        ) from None
