"""Check parameters: they have to be JSON, have names that the flow knows, and be of its types."""

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
        flow: the flow that takes them.
        base: the deployment's own, which a run may extend or override.
        runs: all the parameters of a run, by what starts it, such as `smoke`.
        enforced: whether Prefect validates them against the flow's schema.
    """
    if found := [*json_problems("parameters", base, to_json)]:
        return found
    schema = schema_of(flow)
    kinds = [each.kind for each in inspect.signature(flow.fn).parameters.values()]
    any_name = inspect.Parameter.VAR_KEYWORD in kinds
    known = schema.get("properties", {})
    problems: dict[str, str] = {}
    for where, values in {"parameters": base, **runs}.items():
        if found := [*json_problems(where, values, to_json)]:
            problems |= dict.fromkeys(found, "")
            continue
        if secret := [*credentials.find_credentials(to_jsonable_python(values))]:
            for path in secret:
                load = f'load that in the flow: Secret.load("{credentials.block_name(path)}").get()'
                problems.setdefault(f".{readable(path, load)}", where)
            continue  # another message might show the value
        for name in [each for each in values if each not in known and not any_name]:
            helps = hint(name, known, f"it takes {', '.join(known) or 'none'}.")
            problems.setdefault(f": the flow has no parameter {name!r}; {helps}", where)
        if not enforced or _fits(values, schema, partial=values is base):
            continue
        # Imported only if needed: it imports SQLAlchemy, which takes half a second.
        from prefect.utilities.schema_tools import validate

        errors = validate(to_jsonable_python(values), schema, ignore_required=values is base)
        for each in errors:
            if each.validator != "format":  # the server does not check formats
                problems.setdefault(f"{each.json_path[1:]}: {each.message}.", where)
    # A run inherits the problems of the deployment's own parameters: each is reported once.
    return [where + problem for problem, where in problems.items()]


def _fits(values: dict[str, Any], schema: dict[str, Any], *, partial: bool) -> bool:
    """Return whether the values match the schema; Prefect's own validation accepts a few more."""
    if partial:
        schema = remove_nested_keys(["required"], schema)
    try:
        return bool(Draft202012Validator(schema).is_valid(to_jsonable_python(values)))
    except Exception:  # pydantic 1 writes an older draft, which only Prefect's validation can read
        return False


def to_json(value: Any) -> Any:
    """Convert a value to JSON; raise TypeError if its meaning would change or it has no order."""
    if isinstance(value, timedelta):
        raise TypeError(f'{value!r} becomes a number in JSON: write text, such as "PT1H"')
    if isinstance(value, set | frozenset):
        raise TypeError(f"{value!r} has no order: use a list")
    if hasattr(value, "get_secret_value"):
        raise TypeError("a secret is sent as asterisks: load a Secret block in the flow instead")
    return to_jsonable_python(value)
