"""Compute what a deploy would change in resources other than deployments. Pure, without I/O."""

from __future__ import annotations

from deployer.plan import Change, difference
from deployer.resources import Rows, Specs, keep_switches


def changes(wanted: Specs, found: Rows, recorded: Specs) -> tuple[Change, ...]:
    """Compare what is declared with what the server holds.

    Args:
        wanted: the declared specs, by key.
        found: the live resources, by key.
        recorded: the specs that the last release declared, by key.
    """
    made = []
    for name, spec in wanted.items():
        there = found.get(name)
        after = keep_switches(name, spec, there, recorded.get(name))
        fields = difference(there.spec, after) if there else {}
        action = "update" if fields else "unchanged" if there else "create"
        made.append(Change(name, action, there.spec if there else None, after, fields))
    for name, there in found.items():
        if there.ours and name not in wanted and not name.startswith("work-pool/"):
            made.append(Change(name, "delete", there.spec, None, {}))
    return tuple(made)


def foreign(made: tuple[Change, ...], found: Rows) -> list[str]:
    """Return a sentence for each resource that the changes would take over from another owner."""
    return [
        f"{each.key} exists already and is not this project's: rename it, or take it over with "
        "--adopt."
        for each in made
        if each.action == "update" and not found[each.key].ours
    ]
