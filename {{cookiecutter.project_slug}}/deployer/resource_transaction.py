"""Apply a plan's changes to resources other than deployments, and restore what was there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from deployer import resources
from deployer.api_errors import explain
from deployer.errors import DeployerError
from deployer.kinds import Resources
from deployer.plan import Change, difference, value_to_restore
from deployer.resources import Rows, Specs
from deployer.uninterrupted import uninterrupted


@dataclass
class ResourceTransaction:
    """What one deploy writes to resources other than deployments.

    Attributes:
        target: where to write.
        changes: what to change.
        before: the live resources that the plan was made from, by key.
        wanted: the declared specs, by key.
        recorded: the specs that the last release declared, by key.
        step: called with a message before every write; raises if the lock is lost.
        written: the specs that were sent so far, whether they arrived or not, by key.
        kept: the keys of resources in which a restore kept somebody else's change.
        restored: the keys of resources that a restore wrote, in any attempt.
    """

    target: Resources
    changes: tuple[Change, ...]
    before: Rows
    wanted: Specs
    recorded: Specs
    step: Callable[[str], Awaitable[None]]
    written: Specs = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    restored: set[str] = field(default_factory=set)

    async def apply(self) -> None:
        """Write every creation and update, then check that the server holds it.

        Raises:
            DeployerError: the server refused a write, or holds something else afterwards.
        """
        keys = [each.key for each in self.changes if each.action in ("create", "update")]
        now = await self._now() if keys else {}  # an operator may have used a switch since
        for key in keys:
            await self.step(key)
            found = now.get(key)
            if found and not found.ours and key not in self.before:
                raise DeployerError(f"Somebody created {key} meanwhile: deploy again.")
            spec = resources.keep_switches(key, self.wanted[key], found, self.recorded.get(key))
            self.written[key] = spec
            try:
                await uninterrupted(self.target.write(key, spec, found))
            except Exception as error:
                raise DeployerError(f"{key}: {explain(error)}") from error
        now = await self._now() if keys else {}
        for key, spec in self.written.items():
            fields = difference(spec, now[key].spec) if key in now else {"create": ()}
            if fields:
                raise DeployerError(f"The server does not hold {key}: {', '.join(fields)}.")

    async def prune(self) -> None:
        """Delete the resources that the catalog does not declare any more."""
        for change in self.changes:
            if change.action == "delete" and change.before:
                await self.step(f"deleting {change.key}")
                self.written[change.key] = change.before
                await uninterrupted(self.target.delete(change.key, self.before[change.key]))

    async def restore(self) -> None:
        """Restore what was there, except for what somebody else has changed since."""
        now = await self._now() if self.written else {}
        for key, wrote in self.written.items():
            old, new = self.before.get(key), now.get(key)
            if old is None:
                if new is None or new.ours:
                    await self.step(f"putting back {key}")
                    self.restored |= {key} if new else set()
                    await self.target.delete(key, new)
                continue
            spec = value_to_restore(old.spec, wrote, new.spec) if new else old.spec
            if difference(old.spec, spec) and key not in self.kept:
                self.kept.append(key)
            twice = new and new.ids[1:] and {*old.ids}.isdisjoint(new.ids)
            if new and not twice and new.ours == old.ours and not difference(spec, new.spec):
                continue
            await self.step(f"putting back {key}")
            self.restored.add(key)
            if new and twice:  # an earlier attempt created it, and an answer was lost
                await self.target.delete(key, replace(new, ids=new.ids[1:]))
            await self.target.write(key, spec, new, old.ours)

    async def _now(self) -> Rows:
        return await self.target.read({**self.recorded, **self.wanted})
