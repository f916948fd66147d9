"""What a plan shows of a credential: nothing. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from prefect.utilities.collections import visit_collection

from deployer.plan import Plan
from deployer.rules import CREDENTIAL
from deployer.spec import Spec

MASK = "********"
SHORTEST = 4  # characters; what is shorter stands in every second word


def mask(path: str, value: Any) -> Any:
    """Hide a job variable whose name looks like a credential, unless it names a Secret block."""
    if not path.startswith("job_variables"):
        return value
    if isinstance(value, dict):
        return {key: mask(f"{path}.{key}", each) for key, each in value.items()}
    if isinstance(value, list):
        return [mask(path, each) for each in value]
    secret = CREDENTIAL.search(path) and value not in (None, "") and "{{" not in str(value)
    return MASK if secret else value


def hide(plan: Plan, secrets: Iterable[str]) -> Plan:
    """Return a plan that shows none of these values, wherever in its fields they are."""
    values = [value for value in secrets if len(value) >= SHORTEST]

    def cover(content: Any) -> Any:
        for value in values if isinstance(content, str) else ():
            content = content.replace(value, MASK)
        return content

    def covered(content: Any) -> Any:
        return visit_collection(content, cover, return_data=True)

    def side(spec: Spec | None) -> Spec | None:
        if spec is None:
            return None
        variables = mask("job_variables", spec["job_variables"])
        return dict(covered({**spec, "job_variables": variables}))

    changes = []
    for each in plan.changes:
        fields = {path: covered(pair) for path, pair in each.fields.items()}
        before, after = side(each.before), side(each.after)
        changes.append(replace(each, before=before, after=after, fields=fields))
    return replace(plan, changes=tuple(changes))
