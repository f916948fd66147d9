"""Whether values reach a flow as they are written: as JSON, under known names, of its types."""

from __future__ import annotations

import inspect
from datetime import timedelta
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from prefect import Flow
from prefect.utilities.collections import remove_nested_keys
from pydantic_core import to_jsonable_python

from deployer import credentials
from deployer.rules import hint, json_problems, readable
from deployer.spec import schema_of


def parameter_problems(
    flow: Flow[..., Any], base: dict[str, Any], runs: dict[str, dict[str, Any]], enforced: bool
) -> list[str]:
    """Return what is wrong with a deployment's parameters.

    Args:
        flow: what they are for.
        base: the deployment's own, which a run may complete.
        runs: all the parameters of a run, by what starts it.
        enforced: whether Prefect compares types.
    """
    if found := [*json_problems("parameters", base, plain)]:
        return found
    schema = schema_of(flow)
    kinds = [each.kind for each in inspect.signature(flow.fn).parameters.values()]
    any_name = inspect.Parameter.VAR_KEYWORD in kinds
    known = schema.get("properties", {})
    problems: dict[str, str] = {}
    for where, values in {"parameters": base, **runs}.items():
        if found := [*json_problems(where, values, plain)]:
            problems |= dict.fromkeys(found, "")
            continue
        if secret := [*credentials.find(to_jsonable_python(values))]:
            for path in secret:
                load = f'load that in the flow: Secret.load("{credentials.block(path)}").get()'
                problems.setdefault(f".{readable(path, load)}", where)
            continue  # what else is wrong would be said with the value
        for name in [each for each in values if each not in known and not any_name]:
            helps = hint(name, known, f"it takes {', '.join(known) or 'none'}.")
            problems.setdefault(f": the flow has no parameter {name!r}; {helps}", where)
        if not enforced or _fits(values, schema, partly=values is base):
            continue
        # Half a second that a fine catalog can do without: it imports SQLAlchemy.
        from prefect.utilities.schema_tools import validate

        errors = validate(to_jsonable_python(values), schema, ignore_required=values is base)
        for each in errors:
            if each.validator != "format":  # which the server does not look at
                problems.setdefault(f"{each.json_path[1:]}: {each.message}.", where)
    # A run repeats what is wrong with the deployment's own: it is said once.
    return [where + problem for problem, where in problems.items()]


def _fits(values: dict[str, Any], schema: dict[str, Any], *, partly: bool) -> bool:
    """Tell whether a schema as it is allows the values; Prefect's comparison allows some more."""
    if partly:
        schema = remove_nested_keys(["required"], schema)
    try:
        return bool(Draft202012Validator(schema).is_valid(to_jsonable_python(values)))
    except Exception:  # a schema of pydantic 1 is of an older draft: Prefect knows how to read it
        return False


def plain(value: Any) -> Any:
    """Make JSON of a value that is none, where it means the same every time."""
    if isinstance(value, timedelta):
        raise TypeError(f'{value!r} becomes a number: write text, such as "PT1H"')
    if isinstance(value, set | frozenset):
        raise TypeError(f"{value!r} has no order: use a list")
    if hasattr(value, "get_secret_value"):
        raise TypeError("a secret becomes asterisks: load a Secret block in the flow instead")
    return to_jsonable_python(value)
