"""The kinds of resources beside deployments: how each is read, written and deleted.

A resource has a spec like a deployment's: plain JSON, the same from its declaration and from the
server's answer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from deployer.api_errors import if_found
from deployer.environment import Environment
from deployer.errors import DeployerError
from deployer.resources import LIMIT, Found, Rows, Specs, tagged
from deployer.server import Server
from deployer.spec import Spec


@dataclass(frozen=True)
class Kind(ABC):
    """What the deployer does with the resources of one kind in an environment."""

    server: Server
    environment: Environment

    @abstractmethod
    async def read(self, wanted: Specs) -> Rows:
        """Return what there is of these names, and whatever else is ours, by name."""

    @abstractmethod
    async def write(self, name: str, spec: Spec, found: Found | None, ours: bool) -> None:
        """Make the server hold a spec.

        Args:
            name: of the resource.
            spec: what to write.
            found: what is there; None creates it.
            ours: whether it is ours from now on.
        """

    @abstractmethod
    async def delete(self, name: str, found: Found | None) -> None:
        """Delete what was found; nothing, or what is gone already, is fine."""


class Tagged(Kind):
    """Variables and automations: the tags in their specs say whose they are."""

    path: ClassVar[str]
    update: ClassVar[str]

    async def read(self, wanted: Specs) -> Rows:
        """Read by name or tags; of one name the oldest that is ours counts."""
        marks = self.environment.marks
        either = {"name": {"any_": sorted(wanted)}, "tags": {"all_": marks}}
        where = {self.path: {"operator": "or_", **either}}
        rows = await self.server.pages(f"/{self.path}/filter", where)
        found: Rows = {}
        for row in sorted(rows, key=lambda each: str(each["created"])):
            name, tags = row["name"], row["tags"]
            ours = {*marks} <= {*tags} and self.environment.owns(tags)
            first = found.get(name)
            if first is None or (ours and not first.ours):
                found[name] = Found(tagged(row), ours, (row["id"],))
            elif ours:
                found[name] = Found(first.spec, ours, (*first.ids, row["id"]))
        return found

    async def write(self, name: str, spec: Spec, found: Found | None, ours: bool) -> None:
        """Update the one that counts, or create one and no twin."""
        body = {"name": name, **spec}
        if found:
            await self.server.request(self.update, f"/{self.path}/{found.ids[0]}", json=body)
            return
        made = await self.server.request("POST", f"/{self.path}/", json=body)
        there = (await self.read({name: spec})).get(name)
        for each in there.ids if there and there.ours else ():
            if each != made["id"]:  # the answer to a first try was lost
                await self._delete(each)

    async def delete(self, name: str, found: Found | None) -> None:
        """Delete it with its twins."""
        for each in found.ids if found else ():
            await self._delete(each)

    async def _delete(self, identity: str) -> None:
        await if_found(self.server.request("DELETE", f"/{self.path}/{identity}"))


class Variables(Tagged):
    """Variables."""

    path, update = "variables", "PATCH"


class Automations(Tagged):
    """Automations that are not a deployment's trigger."""

    path, update = "automations", "PUT"


class Limits(Kind):
    """Global concurrency limits, and those of a tag, which Prefect calls `tag:TAG`.

    They have no tags. A Variable lists which are ours; it is written before a limit is made, so
    that after a crash it is known whose that is.
    """

    path = "/v2/concurrency_limits"

    async def read(self, wanted: Specs) -> Rows:
        """Read all limits, which cannot be asked for by several names."""
        ours = await self._ours()
        names = ours | wanted.keys()
        rows = await self.server.pages(f"{self.path}/filter", {}) if names else []
        return {
            row["name"]: Found({k: row[k] for k in LIMIT}, row["name"] in ours, (row["id"],))
            for row in rows
            if row["name"] in names
        }

    async def write(self, name: str, spec: Spec, found: Found | None, ours: bool) -> None:
        """Write whose it is, then the limit; the slots that are taken stay so."""
        await self._remember(name, ours)
        if found:
            await self.server.request("PATCH", f"{self.path}/{found.ids[0]}", json=spec)
        else:
            await self.server.request("POST", f"{self.path}/", json={"name": name, **spec})

    async def delete(self, name: str, found: Found | None) -> None:
        """Delete it, and forget that it was ours."""
        if found:
            await if_found(self.server.request("DELETE", f"{self.path}/{found.ids[0]}"))
        await self._remember(name, False)

    @property
    def _variable(self) -> str:
        return f"deployer-limits-{self.environment.key}"

    async def _ours(self) -> set[str]:
        found: Any = await self.server.client.read_variable_by_name(self._variable)
        value = found.value if found else []
        if not isinstance(value, list):
            raise DeployerError(
                f"The variable {self._variable} on the server is {value!r}, which the deployer did "
                "not write: it has to be the list of the concurrency limits that are ours."
            )
        return {*map(str, value)}

    async def _remember(self, name: str, ours: bool) -> None:
        before = await self._ours()
        after = before | {name} if ours else before - {name}
        body = {"name": self._variable, "value": sorted(after), "tags": ["deployer"]}
        if not after:
            await if_found(self.server.client.delete_variable_by_name(self._variable))
        elif not before:
            await self.server.request("POST", "/variables/", json=body)
        elif after != before:
            await self.server.request("PATCH", f"/variables/name/{self._variable}", json=body)


class WorkPools(Kind):
    """A work pool: what environments.toml declares of it and of a queue in it, and no more.

    `setup` makes it, and others may use it: it needs no mark, and it is never deleted.
    """

    async def read(self, wanted: Specs) -> Rows:
        """Read the fields that the specs have, of each pool and queue."""
        found: Rows = {}
        for name, spec in wanted.items():
            pool = await if_found(self.server.request("GET", f"/work_pools/{name}"))
            if pool and "work_queues" in spec:
                rows = await self.server.pages(f"/work_pools/{name}/queues/filter", {})
                queues = {row["name"]: row for row in rows}
                pool["work_queues"] = {
                    queue: {field: queues.get(queue, {}).get(field) for field in fields}
                    for queue, fields in spec["work_queues"].items()
                }
            if pool:
                found[name] = Found({field: pool[field] for field in spec}, True)
        return found

    async def write(self, name: str, spec: Spec, found: Found | None, ours: bool) -> None:
        """Write the fields of the spec; a queue that is missing is created."""
        body = {field: value for field, value in spec.items() if field != "work_queues"}
        if body:
            await self.server.request("PATCH", f"/work_pools/{name}", json=body)
        for queue, fields in spec.get("work_queues", {}).items():
            path = f"/work_pools/{name}/queues"
            # Where there was no queue there was no priority that could be put back.
            given = {k: v for k, v in fields.items() if v is not None or k != "priority"}
            if await if_found(self.server.request("GET", f"{path}/{queue}")) is None:
                await self.server.request("POST", f"{path}/", json={"name": queue, **given})
            else:
                await self.server.request("PATCH", f"{path}/{queue}", json=given)

    async def delete(self, name: str, found: Found | None) -> None:
        """Do nothing."""


KINDS: dict[str, type[Kind]] = {
    "work-pool": WorkPools,
    "variable": Variables,
    "concurrency-limit": Limits,
    "automation": Automations,
}


@dataclass(frozen=True)
class Resources:
    """The resources of an environment, of all kinds, each known by its `KIND/NAME`."""

    server: Server
    environment: Environment

    async def read(self, wanted: Specs, every_kind: bool = False) -> Rows:
        """Read what there is under these keys, and whatever else of their kinds is ours.

        Args:
            wanted: specs by key; a kind that nobody asks for costs no request.
            every_kind: read what is ours of the other kinds too.
        """
        found: Rows = {}
        for word in KINDS:
            names = {k.partition("/")[2]: v for k, v in wanted.items() if k.startswith(f"{word}/")}
            there = await self._kind(word).read(names) if names or every_kind else {}
            found |= {f"{word}/{name}": each for name, each in there.items()}
        return found

    async def write(self, key: str, spec: Spec, found: Found | None, ours: bool = True) -> None:
        """Make the server hold a spec; `found` is what is there."""
        word, _, name = key.partition("/")
        await self._kind(word).write(name, spec, found, ours)

    async def delete(self, key: str, found: Found | None) -> None:
        """Delete what was found; nothing, or what is gone already, is fine."""
        word, _, name = key.partition("/")
        await self._kind(word).delete(name, found)

    def _kind(self, word: str) -> Kind:
        return KINDS[word](self.server, self.environment)
