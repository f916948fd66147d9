"""Carries out what a plan changes beside deployments, and takes it back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from deployer import resources
from deployer.api_errors import explain
from deployer.errors import DeployerError
from deployer.kinds import Resources
from deployer.plan import Change, difference, taken_back
from deployer.resources import Rows, Specs
from deployer.uninterrupted import uninterrupted


@dataclass
class ResourceTransaction:
    """What one deploy writes beside deployments.

    Attributes:
        there: where to write.
        changes: what to change.
        before: what the plan was made from, by key.
        wanted: what is declared, by key.
        recorded: what the last release declared, by key.
        step: told about every write before it; it raises when nothing may be written any more.
        written: what was sent so far, whether it arrived or not, by key.
        kept: the keys of what a restore left as somebody else changed it.
    """

    there: Resources
    changes: tuple[Change, ...]
    before: Rows
    wanted: Specs
    recorded: Specs
    step: Callable[[str], Awaitable[None]]
    written: Specs = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)

    async def apply(self) -> None:
        """Write every creation and update, then look whether the server holds it.

        Raises:
            DeployerError: the server refused one, or made something else of it.
        """
        keys = [each.key for each in self.changes if each.action in ("create", "update")]
        now = await self._now() if keys else {}  # an operator may have switched something
        for key in keys:
            await self.step(key)
            found = now.get(key)
            if found and not found.ours and key not in self.before:
                raise DeployerError(f"Somebody made {key} meanwhile: deploy again.")
            spec = resources.settle(key, self.wanted[key], found, self.recorded.get(key))
            self.written[key] = spec
            try:
                await uninterrupted(self.there.write(key, spec, found))
            except Exception as error:
                raise DeployerError(f"{key}: {explain(error)}") from error
        now = await self._now() if keys else {}
        for key, spec in self.written.items():
            fields = difference(spec, now[key].spec) if key in now else {"create": ()}
            if fields:
                raise DeployerError(f"The server does not hold {key}: {', '.join(fields)}.")

    async def prune(self) -> None:
        """Delete what left the catalog."""
        for change in self.changes:
            if change.action == "delete" and change.before:
                await self.step(f"deleting {change.key}")
                self.written[change.key] = change.before
                await uninterrupted(self.there.delete(change.key, self.before[change.key]))

    async def restore(self) -> list[str]:
        """Put back what was there, but for what somebody else changed meanwhile.

        Returns:
            The keys that were written.
        """
        restored = []
        now = await self._now() if self.written else {}
        for key, wrote in self.written.items():
            old, new = self.before.get(key), now.get(key)
            if old is None:
                if new is None or new.ours:
                    await self.step(f"putting back {key}")
                    await self.there.delete(key, new)
                    restored += [key] if new else []
                continue
            spec = taken_back(old.spec, wrote, new.spec) if new else old.spec
            if difference(old.spec, spec) and key not in self.kept:
                self.kept.append(key)
            if new and new.ours == old.ours and not difference(spec, new.spec):
                continue
            await self.step(f"putting back {key}")
            await self.there.write(key, spec, new, old.ours)
            restored.append(key)
        return restored

    async def _now(self) -> Rows:
        return await self.there.read({**self.recorded, **self.wanted})
