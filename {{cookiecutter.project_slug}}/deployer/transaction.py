"""Carries a plan out, deletes what left, and takes back what it wrote when that fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from deployer import prefect_patches, writers
from deployer import spec as specs
from deployer.api_errors import explain, is_refusal
from deployer.desired import Desired
from deployer.errors import DeployerError
from deployer.plan import Change, Plan, difference, settle, taken_back
from deployer.resource_transaction import ResourceTransaction
from deployer.server import Live, Server
from deployer.spec import Spec
from deployer.uninterrupted import uninterrupted

Step = Callable[[str], Awaitable[None]]


@dataclass
class Transaction:
    """What one deploy writes.

    Attributes:
        server: where to write.
        plan: what to change.
        before: what the plan was made from, by `FLOW/NAME`.
        desired: what the server has to hold; with the catalog's entries, or with recorded specs
            alone, because the code that declared them is not here.
        recorded: what the last release declared, by `FLOW/NAME`.
        step: told about every write before it; it raises when nothing may be written any more.
        beside: what is written beside deployments.
        written: what was sent so far, whether it arrived or not, by `FLOW/NAME`.
        ids: of the deployments that were created or updated, by `FLOW/NAME`.
        kept: the keys of what a restore left as somebody else changed it.
    """

    server: Server
    plan: Plan
    before: dict[str, Live]
    desired: Desired
    recorded: dict[str, Spec]
    step: Step
    beside: ResourceTransaction
    written: dict[str, Spec] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)

    async def apply(self) -> None:
        """Write every creation and update, and switch off every deployment that leaves.

        Raises:
            DeployerError: names every entry that the server refused.
        """
        await self.beside.apply()
        changes = self.plan.of("create", "update")
        refused = []
        with prefect_patches.asking_once(self.server.client):
            for number, change in enumerate(changes, 1):
                await self.step(f"{number}/{len(changes)} {change.key}")
                try:
                    await uninterrupted(self._write(change))
                except Exception as error:
                    refused.append(f"{change.key}: {explain(error)}")
                    if not is_refusal(error):
                        break  # the server is in trouble; a refused entry only names itself
        if refused:
            raise DeployerError(*refused)
        for change in self.plan.of("delete"):
            await self.step(f"switching off {change.key}")
            live = self.before[change.key]
            self.written[change.key] = off = switched_off(live.spec)
            await uninterrupted(writers.put(self.server, off, live))

    async def _write(self, change: Change) -> None:
        key, spec, live = change.key, change.after, self.before.get(change.key)
        if live:
            # An operator may have switched something since the plan was made.
            live = await self.server.read_again(live)
            spec = settle(self.desired.specs[key], live.spec, self.recorded.get(key))
        assert spec is not None  # noqa: S101 - creations and updates have one
        spec = with_leaving(spec, live.spec if live else None)
        self.written[key] = spec
        if self.desired.entries is None:
            self.ids[key] = await writers.put(self.server, spec, live)
            return
        for row in live.row["schedules"] if live else ():
            if row["slug"] is None and live:
                # Beside a schedule without a slug Prefect replaces all the others.
                await self.server.delete_schedule(live, row["id"])
        self.ids[key] = await writers.deploy(self.server, self.desired.entries[key], spec, live)

    def require_arrival(self, now: dict[str, Live]) -> None:
        """Compare what the server holds with what was written: it may have made something else.

        Raises:
            DeployerError: it does not hold what was written.
        """
        left = []
        for key in self.ids:
            fields = difference(self.written[key], now[key].spec) if key in now else {"create": ()}
            left += [f"{key}: {', '.join(fields)}"] if fields else []
        if left:
            raise DeployerError(f"The server does not hold what was deployed: {'; '.join(left)}.")

    async def prune(self, now: dict[str, Live]) -> None:
        """Delete the deployments and schedules that leave, which are switched off by now.

        Args:
            now: what is there.
        """
        for change in self.plan.of("update"):
            leaving = schedules(change.before) - schedules(change.after)
            for row in now[change.key].row["schedules"] if change.key in now else ():
                if (row["slug"] or row["id"]) in leaving:
                    await self.step(f"deleting a schedule of {change.key}")
                    await uninterrupted(self.server.delete_schedule(now[change.key], row["id"]))
        for change in self.plan.of("delete"):
            await self.step(f"deleting {change.key}")
            await uninterrupted(self.server.delete(self.before[change.key]))
        await self.beside.prune()

    async def restore(self, now: dict[str, Live]) -> list[str]:
        """Put back what was there, but for what somebody else changed meanwhile.

        Args:
            now: what is there.

        Returns:
            The keys that were written.
        """
        restored = await self.beside.restore()
        for key, wrote in self.written.items():
            old, new = self.before.get(key), now.get(key)
            if old is None:
                if new is None:
                    continue
                await self.step(f"putting back {key}")
                await self.server.delete(new)
            else:
                spec = taken_back(old.spec, wrote, new.spec) if new else old.spec
                if difference(old.spec, spec) and key not in self.kept:
                    self.kept.append(key)
                if new and not difference(spec, new.spec):
                    continue
                await self.step(f"putting back {key}")
                await writers.put(self.server, spec, new)
            restored.append(key)
        return restored


def with_leaving(spec: Spec, live: Spec | None) -> Spec:
    """Return the spec to write: schedules that leave stay until the deploy is verified, off."""
    leaving = {
        slug: {**schedule, "active": False}
        for slug, schedule in (live or {}).get("schedules", {}).items()
        if slug not in spec["schedules"] and not specs.nameless(slug)
    }
    return {**spec, "schedules": {**spec["schedules"], **leaving}}


def switched_off(spec: Spec) -> Spec:
    """Return a spec that starts no runs."""
    schedules = {slug: {**each, "active": False} for slug, each in spec["schedules"].items()}
    triggers = {name: {**each, "enabled": False} for name, each in spec["triggers"].items()}
    return {**spec, "paused": True, "schedules": schedules, "triggers": triggers}


def schedules(spec: Spec | None) -> set[str]:
    """Return the slugs of a spec's schedules."""
    return set((spec or {}).get("schedules", ()))
