"""What a deploy would change. Pure: specs in, a plan out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deployer.spec import ANCHOR, Spec

SWITCHES = {"schedules": "active", "triggers": "enabled"}  # an operator's, beside pause
VALUES = {"parameters", "job_variables"}
SYMBOLS = {"create": "+", "update": "~", "delete": "-", "unchanged": "="}


@dataclass(frozen=True)
class Change:
    """What happens to one deployment.

    Attributes:
        key: `FLOW/NAME`.
        action: `create`, `update`, `delete` or `unchanged`.
        before: the live spec; None for a new deployment.
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
    """All changes, in the catalog's order; what left the catalog comes last."""

    changes: tuple[Change, ...]

    def of(self, *actions: str) -> list[Change]:
        """Return the changes with one of these actions."""
        return [change for change in self.changes if change.action in actions]

    @property
    def empty(self) -> bool:
        """Whether the server already holds what is declared."""
        return not self.of("create", "update", "delete")

    @property
    def counts(self) -> dict[str, int]:
        """How many deployments there are of each action."""
        return {action: len(self.of(action)) for action in SYMBOLS}


def make(
    declared: dict[str, Spec],
    live: dict[str, Spec],
    recorded: dict[str, Spec] | None = None,
) -> Plan:
    """Compare what is declared with what the server holds.

    Args:
        declared: the catalog's specs by key.
        live: the specs of all deployments of this project and environment by key.
        recorded: the specs as they were declared at the last release by key.

    Returns:
        The plan. Pause and schedule switches in it are the operator's, as the server has them,
        but for those whose declared value is another one than at the last release.
    """
    changes = []
    for key, wanted in declared.items():
        before = live.get(key)
        after = settle(wanted, before, (recorded or {}).get(key))
        fields = difference(before, after) if before else {}
        action = "update" if fields else "unchanged" if before else "create"
        changes.append(Change(key, action, before, after, fields))
    for key, before in live.items():
        if key not in declared:
            changes.append(Change(key, "delete", before, None, {}))
    return Plan(tuple(changes))


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
        for name, declared in wanted[kind].items():
            old = (before or {}).get(kind, {}).get(name)
            last = (recorded or {}).get(kind, {}).get(name)
            new = dict(declared)
            if old and (last is None or last[switch] == declared[switch]):
                new[switch] = old[switch]
            if "anchor_date" in new and new["anchor_date"] is None:
                new["anchor_date"] = (old or {}).get("anchor_date", ANCHOR)
            settled[kind][name] = new
    return settled


def difference(before: Any, after: Any, path: str = "") -> dict[str, tuple[Any, Any]]:
    """Return every value that differs between two JSON values, by dotted path: (old, new).

    A key that one side does not have counts as None, but not among parameters and job variables,
    where what is left out has a default: if nothing else differs, they are shown as a whole.
    """
    if isinstance(before, dict) and isinstance(after, dict):
        found: dict[str, tuple[Any, Any]] = {}
        for key in sorted(before.keys() | after.keys()):
            inner = f"{path}.{key}" if path else key
            found |= difference(before.get(key), after.get(key), inner)
        if found or before.keys() == after.keys() or VALUES.isdisjoint(path.split(".")):
            return found
    lists = isinstance(before, list) and isinstance(after, list)
    if lists and len(before) == len(after):
        same = not any(difference(*pair, path) for pair in zip(before, after, strict=True))
    else:  # to Python True is 1
        same = before == after and isinstance(before, bool) == isinstance(after, bool)
    return {} if same else {path: (before, after)}
