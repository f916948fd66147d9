"""How each kind of resource other than deployments is read, written and deleted.

A resource has a spec like a deployment's: plain JSON, in the same form whether it is made from the
declaration or from the server's answer.
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
    """Reads, writes and deletes the resources of one kind in an environment."""

    server: Server
    environment: Environment

    @abstractmethod
    async def read(self, wanted: Specs) -> Rows:
        """Return the resources with these names, and all others that are ours, by name."""

    @abstractmethod
    async def write(self, name: str, spec: Spec, found: Found | None, ours: bool) -> None:
        """Create or update a resource.

        Args:
            name: the resource's name.
            spec: what to write.
            found: the resource on the server; None creates it.
            ours: whether it is ours from now on.
        """

    @abstractmethod
    async def delete(self, name: str, found: Found | None) -> None:
        """Delete a resource, unless it is None or was deleted already."""


class Tagged(Kind):
    """Variables and automations: the tags in their specs identify the owner."""

    path: ClassVar[str]
    update: ClassVar[str]

    async def read(self, wanted: Specs) -> Rows:
        """Read by name or tags; if several have one name, use the oldest that is ours."""
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
        """Update the one that `read` chose, or create one and delete its duplicates."""
        body = {"name": name, **spec}
        if found:
            await self.server.request(self.update, f"/{self.path}/{found.ids[0]}", json=body)
            return
        made = await self.server.request("POST", f"/{self.path}/", json=body)
        there = (await self.read({name: spec})).get(name)
        for each in there.ids if there and there.ours else ():
            if each != made["id"]:  # made by a first try whose answer was lost
                await self._delete(each)

    async def delete(self, name: str, found: Found | None) -> None:
        """Delete it and its duplicates."""
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
    """Global concurrency limits, and tag concurrency limits, which Prefect names `tag:TAG`.

    They cannot be tagged, so a Variable lists the ones that are ours. It is written before a limit
    is created, so that the owner is known even after a crash.
    """

    path = "/v2/concurrency_limits"

    async def read(self, wanted: Specs) -> Rows:
        """Read all limits, because the API cannot filter them by several names."""
        ours = await self._ours()
        names = ours | wanted.keys()
        rows = await self.server.pages(f"{self.path}/filter", {}) if names else []
        return {
            row["name"]: Found({k: row[k] for k in LIMIT}, row["name"] in ours, (row["id"],))
            for row in rows
            if row["name"] in names
        }

    async def write(self, name: str, spec: Spec, found: Found | None, ours: bool) -> None:
        """Record the owner, then write the limit; occupied slots stay occupied."""
        await self._record_owner(name, ours)
        if found:
            await self.server.request("PATCH", f"{self.path}/{found.ids[0]}", json=spec)
        else:
            await self.server.request("POST", f"{self.path}/", json={"name": name, **spec})

    async def delete(self, name: str, found: Found | None) -> None:
        """Delete it, and remove it from the list of ours."""
        if found:
            await if_found(self.server.request("DELETE", f"{self.path}/{found.ids[0]}"))
        await self._record_owner(name, False)

    @property
    def _variable(self) -> str:
        return f"deployer-limits-{self.environment.key}"

    async def _ours(self) -> set[str]:
        found: Any = await self.server.client.read_variable_by_name(self._variable)
        value = found.value if found else []
        if not isinstance(value, list):
            raise DeployerError(
                f"The variable {self._variable} on the server is {value!r}, which the deployer did "
                "not write: make it the list of the concurrency limits that this project owns."
            )
        return {*map(str, value)}

    async def _record_owner(self, name: str, ours: bool) -> None:
        before = await self._ours()
        after = before | {name} if ours else before - {name}
        if not after:
            await if_found(self.server.client.delete_variable_by_name(self._variable))
        elif after != before:
            await self.server.set_variable(self._variable, sorted(after))


class WorkPools(Kind):
    """Work pools: only the fields of a pool, and of a queue in it, that environments.toml declares.

    `setup` creates a pool, and others may use it. So no owner is recorded, and it is never deleted.
    """

    async def read(self, wanted: Specs) -> Rows:
        """Read the fields of each pool and queue that its spec contains."""
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
        """Write the fields of the spec; create a queue that is missing."""
        body = {field: value for field, value in spec.items() if field != "work_queues"}
        if body:
            await self.server.request("PATCH", f"/work_pools/{name}", json=body)
        for queue, fields in spec.get("work_queues", {}).items():
            path = f"/work_pools/{name}/queues"
            # A queue that did not exist before has the priority None, which cannot be put back.
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
    """The resources of all kinds in an environment, by `KIND/NAME`."""

    server: Server
    environment: Environment

    async def read(self, wanted: Specs, every_kind: bool = False) -> Rows:
        """Read the resources with these keys, and all others of their kinds that are ours.

        Args:
            wanted: specs by key; a kind without a key costs no request.
            every_kind: read those of the other kinds that are ours, too.
        """
        found: Rows = {}
        for kind in KINDS:
            names = {k.partition("/")[2]: v for k, v in wanted.items() if k.startswith(f"{kind}/")}
            there = await self._of(kind).read(names) if names or every_kind else {}
            found |= {f"{kind}/{name}": each for name, each in there.items()}
        return found

    async def write(self, key: str, spec: Spec, found: Found | None, ours: bool = True) -> None:
        """Create or update a resource; `found` is the one on the server."""
        kind, _, name = key.partition("/")
        await self._of(kind).write(name, spec, found, ours)

    async def delete(self, key: str, found: Found | None) -> None:
        """Delete a resource, unless it is None or was deleted already."""
        kind, _, name = key.partition("/")
        await self._of(kind).delete(name, found)

    def _of(self, kind: str) -> Kind:
        return KINDS[kind](self.server, self.environment)
