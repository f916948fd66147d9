"""Compute what a deploy would change. Pure: it takes specs and returns a plan, without I/O."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from deployer.spec import ANCHOR, Spec

SWITCHES = {"schedules": "active", "triggers": "enabled"}  # operators set them, like `paused`
VALUES = {"parameters", "job_variables"}
VALUE = "value"  # the top-level field of a Variable's spec
SYMBOLS = {"create": "+", "update": "~", "delete": "-", "unchanged": "="}


@dataclass(frozen=True)
class Change:
    """The change to one deployment or to one other resource.

    Attributes:
        key: `FLOW/NAME`, or `KIND/NAME` of a resource.
        action: `create`, `update`, `delete` or `unchanged`.
        before: the live spec; None if it is created.
        after: the spec to write; None if it is deleted.
        fields: the values that differ, as (old, new) by dotted path.
    """

    key: str
    action: str
    before: Spec | None
    after: Spec | None
    fields: dict[str, tuple[Any, Any]]


@dataclass(frozen=True)
class Plan:
    """What a deploy would change.

    Attributes:
        changes: changes of deployments, in the catalog's order; deletions come last.
        notes: warnings for the person who reads the plan, in sentences.
        hash: 16 hexadecimal digits that identify this plan, for its approval.
        resources: changes of other resources, in the same order.
    """

    changes: tuple[Change, ...]
    notes: tuple[str, ...] = ()
    hash: str = ""
    resources: tuple[Change, ...] = ()

    def of(self, *actions: str) -> list[Change]:
        """Return the changes of deployments with one of these actions."""
        return [change for change in self.changes if change.action in actions]

    @property
    def everything(self) -> tuple[Change, ...]:
        """All changes, those of other resources first."""
        return (*self.resources, *self.changes)

    @property
    def empty(self) -> bool:
        """Whether the server already holds what is declared."""
        return all(change.action == "unchanged" for change in self.everything)

    @property
    def counts(self) -> dict[str, int]:
        """How many changes there are of each action."""
        actions = [change.action for change in self.everything]
        return {action: actions.count(action) for action in SYMBOLS}


def make(
    declared: dict[str, Spec],
    live: dict[str, Spec],
    recorded: dict[str, Spec] | None = None,
    resources: tuple[Change, ...] = (),
) -> Plan:
    """Compare what is declared with what the server holds.

    Args:
        declared: the catalog's specs, by key.
        live: the specs of all deployments of this project and environment, by key.
        recorded: the specs that the last release declared, by key.
        resources: the changes of other resources.

    Returns:
        The plan. Operators set the switches, so each keeps its live value, unless its declared
        value has changed since the last release.
    """
    recorded = recorded or {}
    renamed = _renamed(declared, live)
    changes, notes = [], []
    for key, wanted in declared.items():
        before, old_key = live.get(key), renamed.get(key, key)
        after = keep_switches(wanted, live.get(old_key), recorded.get(old_key))
        fields = difference(before, after) if before else {}
        action = "update" if fields else "unchanged" if before else "create"
        changes.append(Change(key, action, before, after, fields))
    for key, before in live.items():
        last = recorded.get(key)
        if key in declared:
            wanted = declared[key]["schedules"]
            off = {*_switched_off(before, last)} - wanted.keys()
            off -= {*_renamed_schedules(wanted, before["schedules"]).values()}
            new = wanted.keys() - before["schedules"].keys()
            notes += [_note(key, off, new)] if off and new else []
            continue
        changes.append(Change(key, "delete", before, None, {}))
        off = {"the deployment"} if before["paused"] and not (last and last["paused"]) else set()
        off |= {*_switched_off(before, last)}
        new = {k for k in declared.keys() - live.keys() if declared[k]["flow"] == before["flow"]}
        if off and new and key not in renamed.values():
            notes.append(_note(key, off, new))
    return Plan(tuple(changes), tuple(notes), _hash([*resources, *changes]), resources)


def _hash(changes: list[Change]) -> str:
    """Return a hash of the changes. Operators' switches count only in a renamed deployment."""
    content = [
        (each.key, each.action, each.fields if each.before else each.after)
        for each in changes
        if each.action != "unchanged"
    ]
    text = json.dumps(sorted(content, key=str), sort_keys=True, ensure_ascii=False)
    return sha256(text.encode()).hexdigest()[:16]


def _switched_off(live: Spec, recorded: Spec | None) -> list[str]:
    """Return the slugs of the schedules that an operator switched off."""
    declared = (recorded or {}).get("schedules", {})
    schedules = live["schedules"].items()
    off = [slug for slug, each in schedules if not each["active"]]
    return [slug for slug in off if declared.get(slug, {"active": True})["active"]]


def _note(key: str, off: set[str], new: set[str]) -> str:
    return (
        f"Of {key}, this deploy deletes what an operator switched off ({', '.join(sorted(off))}), "
        f"and creates {', '.join(sorted(new))} with the switches that the catalog declares."
    )


def _renamed(declared: dict[str, Spec], live: dict[str, Spec]) -> dict[str, str]:
    """Return the old key of each renamed deployment, by its new key.

    A deployment is renamed if it is the only new one of its flow, and only one of the flow is gone.
    """
    new = {key: declared[key]["flow"] for key in declared.keys() - live.keys()}
    gone = {key: live[key]["flow"] for key in live.keys() - declared.keys()}
    return _pairs(new, gone)


def _pairs(new: dict[str, Any], gone: dict[str, Any]) -> dict[str, str]:
    """Return the old name by the new one of each value that is on both sides exactly once."""
    pairs = {}
    for name, value in new.items():
        old = [each for each, other in gone.items() if other == value]
        if len(old) == 1 and list(new.values()).count(value) == 1:
            pairs[name] = old[0]
    return pairs


def keep_switches(wanted: Spec, before: Spec | None, recorded: Spec | None) -> Spec:
    """Fill in switches and anchor dates that are kept as the server has them.

    Args:
        wanted: the declared spec.
        before: the live spec; None for a new deployment.
        recorded: the declared spec of the last release; None if there is none.
    """
    settled = {**wanted, "schedules": {}, "triggers": {}}
    if before and (recorded is None or recorded["paused"] == wanted["paused"]):
        settled["paused"] = before["paused"]
    for kind, switch in SWITCHES.items():
        live = (before or {}).get(kind, {})
        renamed = _renamed_schedules(wanted[kind], live) if kind == "schedules" else {}
        for name, declared in wanted[kind].items():
            old_name = renamed.get(name, name)
            old, last = live.get(old_name), (recorded or {}).get(kind, {}).get(old_name)
            new = dict(declared)
            if old and (last is None or last[switch] == declared[switch]):
                new[switch] = old[switch]
            if "anchor_date" in new and new["anchor_date"] is None:
                new["anchor_date"] = (old or {}).get("anchor_date", ANCHOR)
            settled[kind][name] = new
    return settled


def _renamed_schedules(wanted: dict[str, Any], live: dict[str, Any]) -> dict[str, str]:
    """Return the old slug of each renamed schedule, by its new slug.

    A schedule is renamed if only one is new and only one is gone, or if both have the same times.
    """
    new = {slug: wanted[slug] for slug in wanted.keys() - live.keys()}
    gone = {slug: live[slug] for slug in live.keys() - wanted.keys()}
    if len(new) == len(gone) == 1:
        return {next(iter(new)): next(iter(gone))}
    times = [{slug: _times(each) for slug, each in side.items()} for side in (new, gone)]
    return _pairs(*times)


def _times(schedule: dict[str, Any]) -> dict[str, Any]:
    return {key: schedule.get(key) for key in ("interval", "cron", "rrule", "timezone")}


def difference(before: Any, after: Any, path: str = "") -> dict[str, tuple[Any, Any]]:
    """Return each difference between two JSON values as (old, new), by dotted path.

    A missing key counts as None. In parameters, job variables and a Variable's value a missing key
    is not the same as None: if that is the only difference, both dicts are returned as a whole.
    """
    if isinstance(before, dict) and isinstance(after, dict):
        found: dict[str, tuple[Any, Any]] = {}
        for key in sorted(before.keys() | after.keys()):
            inner = f"{path}.{key}" if path else key
            found |= difference(before.get(key), after.get(key), inner)
        parts = path.split(".")
        missing_is_none = parts[0] != VALUE and VALUES.isdisjoint(parts)
        if found or before.keys() == after.keys() or missing_is_none:
            return found
    lists = isinstance(before, list) and isinstance(after, list)
    if lists and len(before) == len(after):
        same = not any(difference(*pair, path) for pair in zip(before, after, strict=True))
    else:  # in Python, True == 1
        same = before == after and isinstance(before, bool) == isinstance(after, bool)
    return {} if same else {path: (before, after)}


def value_to_restore(old: Any, wrote: Any, now: Any) -> Any:
    """Return the value from before a deploy, but keep what somebody else has changed since.

    Args:
        old: the value before the deploy; None if there was none.
        wrote: the value that the deploy wrote.
        now: the value now; None if it is gone, or has not been written again yet.
    """
    if isinstance(old, dict) and isinstance(wrote, dict) and isinstance(now, dict):
        merged = {}
        for name in {**old, **now}:
            if name in old or name not in wrote:
                merged[name] = value_to_restore(old.get(name), wrote.get(name), now.get(name))
        return merged
    return old if now in (None, wrote) else now
