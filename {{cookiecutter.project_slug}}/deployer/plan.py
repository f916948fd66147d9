"""What a deploy would change. Pure: specs in, a plan out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from deployer.spec import ANCHOR, Spec

SWITCHES = {"schedules": "active", "triggers": "enabled"}  # an operator's, beside pause
VALUES = {"parameters", "job_variables"}
VALUE = "value"  # of a Variable, at the top of its spec
SYMBOLS = {"create": "+", "update": "~", "delete": "-", "unchanged": "="}


@dataclass(frozen=True)
class Change:
    """What happens to one deployment, or to one resource beside them.

    Attributes:
        key: `FLOW/NAME`, or `KIND/NAME` of a resource.
        action: `create`, `update`, `delete` or `unchanged`.
        before: the live spec; None for what is new.
        after: the spec to reach; None for one that is deleted.
        fields: the values that differ, by dotted path: (old, new).
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
        changes: of deployments in the catalog's order; what left the catalog comes last.
        notes: what a person has to know besides, in sentences.
        hash: 16 hexadecimal digits that another plan does not have, for whoever approves this one.
        resources: changes of what is beside deployments, in the same order.
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
        """All changes, in the order in which they are written."""
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
        declared: the catalog's specs by key.
        live: the specs of all deployments of this project and environment by key.
        recorded: the specs as they were declared at the last release by key.
        resources: what changes beside deployments.

    Returns:
        The plan. Pause and schedule switches in it are the operator's, as the server has them,
        but for those whose declared value is another one than at the last release.
    """
    recorded = recorded or {}
    renamed = _renamed(declared, live)
    changes, notes = [], []
    for key, wanted in declared.items():
        before, like = live.get(key), renamed.get(key, key)
        after = settle(wanted, live.get(like), recorded.get(like))
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
            notes += [_note(key, off, "which leave", new)] if off and new else []
            continue
        changes.append(Change(key, "delete", before, None, {}))
        off = {"the deployment"} if before["paused"] and not (last and last["paused"]) else set()
        off |= {*_switched_off(before, last)}
        new = {k for k in declared.keys() - live.keys() if declared[k]["flow"] == before["flow"]}
        if off and new and key not in renamed.values():
            notes.append(_note(key, off, "which leaves", new))
    return Plan(tuple(changes), tuple(notes), _hash([*resources, *changes]), resources)


def _hash(changes: list[Change]) -> str:
    """Return the hash of what changes; what stays, and an operator's switches, do not count."""
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


def _note(key: str, off: set[str], leaving: str, new: set[str]) -> str:
    return (
        f"Somebody switched off {', '.join(sorted(off))} of {key}, {leaving}; "
        f"{', '.join(sorted(new))} will come switched on."
    )


def _renamed(declared: dict[str, Spec], live: dict[str, Spec]) -> dict[str, str]:
    """Return the old key of each deployment that has a new name, by its new key.

    A new name is one that arrives while just one of the same flow leaves, and no other arrives.
    """
    arriving = {key: declared[key]["flow"] for key in declared.keys() - live.keys()}
    leaving = {key: live[key]["flow"] for key in live.keys() - declared.keys()}
    return _pairs(arriving, leaving)


def _pairs(arriving: dict[str, Any], leaving: dict[str, Any]) -> dict[str, str]:
    """Pair what arrives with what leaves where just one on each side is the same."""
    pairs = {}
    for new, what in arriving.items():
        old = [name for name, other in leaving.items() if other == what]
        if len(old) == 1 and list(arriving.values()).count(what) == 1:
            pairs[new] = old[0]
    return pairs


def settle(wanted: Spec, before: Spec | None, recorded: Spec | None) -> Spec:
    """Fill in what the declaration leaves to the server: switches and anchors.

    Args:
        wanted: the declared spec.
        before: the live spec; None for a new deployment.
        recorded: the declared spec of the last release; None where there is none.
    """
    settled = {**wanted, "schedules": {}, "triggers": {}}
    if before and (recorded is None or recorded["paused"] == wanted["paused"]):
        settled["paused"] = before["paused"]
    for kind, switch in SWITCHES.items():
        there = (before or {}).get(kind, {})
        renamed = _renamed_schedules(wanted[kind], there) if kind == "schedules" else {}
        for name, declared in wanted[kind].items():
            like = renamed.get(name, name)
            old, last = there.get(like), (recorded or {}).get(kind, {}).get(like)
            new = dict(declared)
            if old and (last is None or last[switch] == declared[switch]):
                new[switch] = old[switch]
            if "anchor_date" in new and new["anchor_date"] is None:
                new["anchor_date"] = (old or {}).get("anchor_date", ANCHOR)
            settled[kind][name] = new
    return settled


def _renamed_schedules(wanted: dict[str, Any], live: dict[str, Any]) -> dict[str, str]:
    """Return the old slug of each schedule that has a new one, by its new slug.

    It is the same schedule if it runs at the same times, or if one alone leaves as one arrives.
    """
    arriving = {slug: wanted[slug] for slug in wanted.keys() - live.keys()}
    leaving = {slug: live[slug] for slug in live.keys() - wanted.keys()}
    if len(arriving) == len(leaving) == 1:
        return {next(iter(arriving)): next(iter(leaving))}
    times = [{slug: _times(each) for slug, each in side.items()} for side in (arriving, leaving)]
    return _pairs(*times)


def _times(schedule: dict[str, Any]) -> dict[str, Any]:
    return {key: schedule.get(key) for key in ("interval", "cron", "rrule", "timezone")}


def difference(before: Any, after: Any, path: str = "") -> dict[str, tuple[Any, Any]]:
    """Return every value that differs between two JSON values, by dotted path: (old, new).

    A key that one side does not have counts as None, but not among parameters and job variables,
    where what is left out has a default, and not in the value of a Variable: if nothing else
    differs, they are shown as a whole.
    """
    if isinstance(before, dict) and isinstance(after, dict):
        found: dict[str, tuple[Any, Any]] = {}
        for key in sorted(before.keys() | after.keys()):
            inner = f"{path}.{key}" if path else key
            found |= difference(before.get(key), after.get(key), inner)
        parts = path.split(".")
        default = parts[0] != VALUE and VALUES.isdisjoint(parts)
        if found or before.keys() == after.keys() or default:
            return found
    lists = isinstance(before, list) and isinstance(after, list)
    if lists and len(before) == len(after):
        same = not any(difference(*pair, path) for pair in zip(before, after, strict=True))
    else:  # to Python True is 1
        same = before == after and isinstance(before, bool) == isinstance(after, bool)
    return {} if same else {path: (before, after)}


def taken_back(old: Any, wrote: Any, now: Any) -> Any:
    """Return what to put back: what was there, and what somebody else made of it since.

    Args:
        old: what was there before the deploy; None where there was nothing.
        wrote: what the deploy wrote.
        now: what is there; None where it is gone, or was not written again yet.
    """
    if isinstance(old, dict) and isinstance(wrote, dict) and isinstance(now, dict):
        merged = {}
        for name in {**old, **now}:
            if name in old or name not in wrote:
                merged[name] = taken_back(old.get(name), wrote.get(name), now.get(name))
        return merged
    return old if now in (None, wrote) else now
