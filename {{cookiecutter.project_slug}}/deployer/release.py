"""What was deployed: one artifact a release on the server, readable in the UI."""

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
FEW = 2  # records of large projects that are read at once where one is looked for
VERIFIED = "verified"  # smoke runs completed
UNVERIFIED = "not verified"  # nobody waited for them
NOTHING = "nothing to verify"  # there are none


@dataclass(frozen=True)
class Release:
    """A release of a project in an environment.

    Attributes:
        number: 1, 2, 3 …
        at: when it was recorded, by the server's clock (ISO 8601).
        who: the person or the pipeline.
        commit: of the source; None where nobody said.
        image: of the deployments that name none, with digest; None for a working tree.
        order: the pipeline's run id; None for a deploy by hand.
        run_url: of the pipeline's run.
        verified: whether it was seen to run: one of the words VERIFIED, UNVERIFIED, NOTHING.
        summary: what changed.
        specs: what was declared, by `FLOW/NAME`; operators' switches are not in it.
        smoke: the parameters of the smoke runs, by `FLOW/NAME`.
        again: the release that was rolled back to; None for a deploy.
        deployer: version of the deployer that wrote the record.
        resources: what was declared beside deployments, by `KIND/NAME`.
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
        """The number under which this was deployed first: a rollback repeats an earlier one."""
        return self.again or self.number


async def recent(server: Server, environment: Environment, limit: int = 1) -> list[Release]:
    """Return the latest releases, newest first.

    Raises:
        DeployerError: a record was made by another deployer or changed by hand.
    """
    found: list[Release] = []
    async for row in _records(server, environment, min(PAGE, limit)):
        found.append(_parse(row))
        if len(found) == limit:
            break
    return found


async def repository(server: Server, environment: Environment) -> str | None:
    """Return the address of the repository that deployed last; None where no record says it.

    Raises:
        DeployerError: the record was made by another deployer or changed by hand.
    """
    where = {"artifacts": {"key": {"any_": _keys(environment)[:1]}}, "sort": "CREATED_DESC"}
    async for row in server.rows("/artifacts/filter", where, 1):
        run = _parse(row).run_url or ""
        return run.partition("/actions/runs/")[0] or None
    return None


def verdict(waited: bool, ran: bool) -> str:
    """Return the word for a release.

    Args:
        waited: whether the smoke runs were waited for.
        ran: whether there were any.
    """
    return (VERIFIED if ran else NOTHING) if waited else UNVERIFIED


async def find(server: Server, environment: Environment, number: int | None) -> Release:
    """Return one release, or the one to go back to from what is deployed.

    Raises:
        DeployerError: there is none.
    """
    if number is None:
        before, found = await _earlier(server, environment)
        missing = f"verified release before {before or 'the first'}"
    else:
        found, missing = None, f"release {number}"
        async for row in _of(server, environment, number):
            found = _parse(row)
            break
    if found is None:
        raise DeployerError(
            f"There is no {missing} in {environment.name}: `python -m deployer releases "
            f"{environment.table}` lists all."
        )
    return found


async def _earlier(
    server: Server, environment: Environment, enough: Collection[str] = (VERIFIED,)
) -> tuple[int, Release | None]:
    """Return which release is deployed, and the last verified one before it.

    What is deployed after a rollback is the release that was rolled back to, so that a second
    rollback goes one further back and not to what the first one left. Where none was verified, it
    is the last one that had nothing to verify. Nothing older is read than a release with a word
    that is `enough`.
    """
    before, second = 0, None
    async for row in _records(server, environment, FEW):
        each = _parse(row)
        before = before or each.content
        if each.number < before and each.verified in enough:
            return before, each
        if each.number < before and each.verified == NOTHING:
            second = second or each
    return before, second


async def record(server: Server, environment: Environment, release: Release, page: str) -> None:
    """Write a release to the server, once: the answer to a first try may have been lost.

    Args:
        server: where to.
        environment: whose release it is.
        release: what was deployed.
        page: Markdown, what a person reads of it in the UI.
    """
    body = {
        "key": _keys(environment)[0],
        "type": "markdown",
        "description": _title(environment, release.number),
        "data": _data(page, release),
    }
    made = await server.request("POST", "/artifacts/", json=body)
    await withdraw(server, environment, release.number, kept=made["id"])


async def confirm(server: Server, environment: Environment, seen: Release) -> None:
    """Record that a release was seen to run, some time after nobody waited for it.

    Nothing is recorded where somebody has deployed meanwhile: who knows which one ran.
    """
    if await recent(server, environment) != [seen]:
        return
    async for row in _of(server, environment, seen.number):
        page, _, _ = row["data"].partition(f"\n{RECORD}")
        page = page.replace(f"| verified | {seen.verified} |", f"| verified | {VERIFIED} |")
        data = _data(page, replace(seen, verified=VERIFIED))
        await if_found(server.request("PATCH", f"/artifacts/{row['id']}", json={"data": data}))


async def withdraw(
    server: Server, environment: Environment, number: int, kept: str | None = None
) -> None:
    """Delete the records of one release but one: all, where the deploy did not come to its end."""
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
                f"Release {number} is what {environment.name} is compared with, so it cannot be "
                "forgotten: deploy what shall be there instead, then forget it."
            )
        found = [each["id"] async for each in _of(server, environment, number)]
        if not found:
            raise DeployerError(f"There is no release {number} in {environment.name}.")
        await _delete(server, found)


async def prune(server: Server, environment: Environment, held: int | None) -> None:
    """Delete the oldest records but those that somebody may go back to.

    Args:
        server: where they are.
        environment: whose, and how many are kept; the newest one is what is deployed.
        held: number of the release that holds the environment.
    """
    where = {"artifacts": {"key": {"any_": _keys(environment)}}, "sort": "CREATED_DESC"}
    rows = server.rows("/artifacts/filter", where, PAGE, environment.keep_releases)
    old = {row["id"]: _parse(row) async for row in rows}
    if old:
        # Where none of them was verified, any newer one that had nothing to verify will do.
        any_verified = any(each.verified == VERIFIED for each in old.values())
        enough = (VERIFIED,) if any_verified else (VERIFIED, NOTHING)
        _, back = await _earlier(server, environment, enough)
        kept = {held, back.number if back else None}
        await _delete(server, [id for id, each in old.items() if each.number not in kept])


async def delete_all(server: Server, environment: Environment) -> int:
    """Delete all records of an environment; return how many there were."""
    found = [row["id"] async for row in _records(server, environment, PAGE)]
    await _delete(server, found)
    return len(found)


async def _records(
    server: Server, environment: Environment, page: int
) -> AsyncIterator[dict[str, Any]]:
    """Yield the records, newest first, a few at once: each holds all of its release."""
    for key in _keys(environment):
        where = {"artifacts": {"key": {"any_": [key]}}, "sort": "CREATED_DESC"}
        async for row in server.rows("/artifacts/filter", where, page):
            yield row


async def _of(
    server: Server, environment: Environment, number: int
) -> AsyncIterator[dict[str, Any]]:
    """Yield the records of one release: one, unless somebody made more by hand."""
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
    """Put the record under the page, on one line: metadata of artifacts ends at 500 characters."""
    record = asdict(release)
    if not release.images:  # or deployers that know one image only could not read it
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
            if "tags" in each:  # older deployers put ours anywhere among them
                each["tags"] = ordered(each["tags"])
        return Release(**record)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        raise DeployerError(
            f"The release record {row['key']} ({row['id']}) cannot be read: somebody changed it, "
            f"or another deployer wrote it ({writer}, and this is {__version__}): use a newer "
            "one, such as main's in a checkout, or delete the record in the UI."
        ) from None
