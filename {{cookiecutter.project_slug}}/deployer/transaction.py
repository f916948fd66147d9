"""Apply a plan, delete what left the catalog, and restore what was there if a step fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from deployer import guards, prefect_patches, writers
from deployer import spec as specs
from deployer.api_errors import explain, is_refusal
from deployer.desired import Desired
from deployer.errors import DeployerError
from deployer.plan import Change, Plan, difference, keep_switches, value_to_restore
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
        before: the live deployments that the plan was made from, by `FLOW/NAME`.
        desired: what the server has to hold: the catalog's entries, or, for a recorded release,
            only its specs, because the code that declared them is not here.
        recorded: the specs that the last release declared, by `FLOW/NAME`.
        step: called with a message before every write; raises if the lock is lost.
        resources: the transaction for other resources.
        written: the specs that were sent so far, whether they arrived or not, by `FLOW/NAME`.
        ids: the ids of the deployments that were created or updated, by `FLOW/NAME`.
        kept: the keys of deployments in which a restore kept somebody else's change.
        restored: the keys of deployments that a restore wrote, in any attempt.
    """

    server: Server
    plan: Plan
    before: dict[str, Live]
    desired: Desired
    recorded: dict[str, Spec]
    step: Step
    resources: ResourceTransaction
    written: dict[str, Spec] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    restored: set[str] = field(default_factory=set)

    async def apply(self) -> None:
        """Write every creation and update, and switch off every deployment to be deleted.

        Raises:
            DeployerError: names every entry that the server refused.
        """
        await self.resources.apply()
        changes = self.plan.of("create", "update")
        refused = []
        with prefect_patches.work_pools_read_once(self.server.client):
            for number, change in enumerate(changes, 1):
                await self.step(f"{number}/{len(changes)} {change.key}")
                try:
                    await uninterrupted(self._write(change))
                except Exception as error:
                    refused.append(f"{change.key}: {explain(error)}")
                    if not is_refusal(error):
                        break  # the server itself fails; a refusal concerns this entry alone
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
            spec = keep_switches(self.desired.specs[key], live.spec, self.recorded.get(key))
        assert spec is not None  # noqa: S101 - creations and updates have one
        spec = with_old_schedules(spec, live.spec if live else None)
        self.written[key] = spec
        if self.desired.entries is None:
            self.ids[key] = await writers.put(self.server, spec, live)
            return
        for row in live.row["schedules"] if live else ():
            if row["slug"] is None and live:
                # If one schedule has no slug, Prefect replaces all the others too.
                await self.server.delete_schedule(live, row["id"])
        self.ids[key] = await writers.deploy(self.server, self.desired.entries[key], spec, live)

    def require_written(self, now: dict[str, Live]) -> None:
        """Check that the server holds what was written, and did not change it.

        Raises:
            DeployerError: the server holds something else.
        """
        wrong = []
        for key in self.ids:
            fields = difference(self.written[key], now[key].spec) if key in now else {"create": ()}
            wrong += [f"{key}: {', '.join(fields)}"] if fields else []
        if wrong:
            raise DeployerError(f"The server does not hold what was deployed: {'; '.join(wrong)}.")

    async def prune(self, now: dict[str, Live]) -> None:
        """Delete the deployments and schedules that left the catalog; they are switched off by now.

        Args:
            now: the live deployments, by `FLOW/NAME`.
        """
        for change in self.plan.of("update"):
            old = schedules(change.before) - schedules(change.after)
            for row in now[change.key].row["schedules"] if change.key in now else ():
                if (row["slug"] or row["id"]) in old:
                    await self.step(f"deleting a schedule of {change.key}")
                    await uninterrupted(self.server.delete_schedule(now[change.key], row["id"]))
        for change in self.plan.of("delete"):
            await self.step(f"deleting {change.key}")
            await uninterrupted(self.server.delete(self.before[change.key]))
        await self.resources.prune()

    async def restore(self, now: dict[str, Live]) -> None:
        """Restore what was there, except for what somebody else has changed since.

        Args:
            now: the live deployments, by `FLOW/NAME`.
        """
        await self.resources.restore()
        for key, wrote in self.written.items():
            old, new = self.before.get(key), now.get(key)
            if old is None:
                if new is None:
                    continue
                await self.step(f"putting back {key}")
                self.restored.add(key)
                await self.server.delete(new)
            else:
                before, spec = spec_to_restore(old.spec, wrote, new.spec if new else None)
                if difference(before, spec) and key not in self.kept:
                    self.kept.append(key)
                if new and not difference(spec, new.spec) and not guards.duplicates(old, new):
                    continue
                await self.step(f"putting back {key}")
                self.restored.add(key)
                await writers.put(self.server, spec, new)


def spec_to_restore(old: Spec, wrote: Spec, now: Spec | None) -> tuple[Spec, Spec]:
    """Return the spec from before a deploy, and the same with what somebody changed since.

    Both have the ids of the schedules without slugs that an earlier attempt created again.
    """
    schedules, surplus = specs.renumber(old["schedules"], now["schedules"] if now else {})
    before = {**old, "schedules": schedules}
    written = {**wrote, "schedules": {**wrote["schedules"], **surplus}}
    return before, value_to_restore(before, written, now)


def with_old_schedules(spec: Spec, live: Spec | None) -> Spec:
    """Add the schedules to be deleted, switched off: they stay until the deploy is verified."""
    old = {
        slug: {**schedule, "active": False}
        for slug, schedule in (live or {}).get("schedules", {}).items()
        if slug not in spec["schedules"] and not specs.is_schedule_id(slug)
    }
    return {**spec, "schedules": {**spec["schedules"], **old}}


def switched_off(spec: Spec) -> Spec:
    """Return a spec that starts no runs."""
    schedules = {slug: {**each, "active": False} for slug, each in spec["schedules"].items()}
    triggers = {name: {**each, "enabled": False} for name, each in spec["triggers"].items()}
    return {**spec, "paused": True, "schedules": schedules, "triggers": triggers}


def schedules(spec: Spec | None) -> set[str]:
    """Return the slugs of a spec's schedules."""
    return set((spec or {}).get("schedules", ()))
