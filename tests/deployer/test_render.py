"""A plan reads well, and shows no credential."""

from __future__ import annotations

import json
from typing import Any

import pytest
from deployer import plan
from deployer.cli import mask, render


def a_state(name: str, **fields: Any) -> dict[str, Any]:
    """Return a state with what a plan looks at."""
    base = {"flow": "f", "name": name, "paused": False, "schedules": {}, "triggers": {}}
    return {**base, "job_variables": {}, **fields}


def a_plan(count: int, old: dict[str, Any], new: dict[str, Any]) -> plan.Plan:
    """Return a plan in which so many deployments change in the same way."""
    names = [f"f/{n}" for n in range(count)]
    before = {name: a_state(name, **old) for name in names}
    after = {name: a_state(name, **new) for name in names}
    return plan.make(after, before)


def test_a_digest_that_all_share_is_one_line() -> None:
    old, new = {"image": "r/f@sha256:1"}, {"image": "r/f@sha256:2"}

    shown = render.text(a_plan(3, {"job_variables": old}, {"job_variables": new}))

    assert shown.count("sha256:2") == 1
    assert shown.startswith('~ all\n    job_variables.image: "r/f@sha256:1" → "r/f@sha256:2"\n')
    assert "Plan: 0 to add, 3 to change, 0 to delete, 0 unchanged." in shown


def test_more_than_thirty_rows_are_folded_away() -> None:
    few = render.markdown(a_plan(30, {"version": "1"}, {"version": "2"}), "Plan")
    many = render.markdown(a_plan(31, {"version": "1"}, {"version": "2"}), "Plan")

    assert "<details>" not in few
    assert "<details><summary>31 changes</summary>" in many
    assert many.count("| ~ |") == 31


def test_unchanged_deployments_are_counted_but_not_listed_in_markdown() -> None:
    shown = render.markdown(a_plan(2, {}, {}), "Plan for staging")

    assert "2 unchanged" in shown
    assert "f/0" not in shown


def test_credentials_in_job_variables_are_masked_in_every_format() -> None:
    old = {"env": {"DB_PASSWORD": "canary-old", "REGION": "eu"}}
    new = {"env": {"DB_PASSWORD": "canary-new", "REGION": "us"}}
    made = a_plan(1, {"job_variables": old}, {"job_variables": new})

    for shown in (render.text(made), render.markdown(made, "Plan"), render.as_json(made)):
        assert "canary" not in shown
        assert "us" in shown
    assert "DB\\_PASSWORD" in render.markdown(made, "Plan")


def test_a_reference_to_a_secret_block_is_shown() -> None:
    block = "{{ prefect.blocks.secret.db }}"
    made = a_plan(1, {}, {"job_variables": {"env": {"DB_PASSWORD": block}}})

    assert block in render.text(made)


def test_json_is_what_its_description_says() -> None:
    made = a_plan(1, {"version": "1"}, {"version": "2"})

    assert json.loads(render.as_json(made)) == {
        "counts": {"create": 0, "update": 1, "delete": 0, "unchanged": 0},
        "changes": [
            {
                "key": "f/0",
                "action": "update",
                "fields": {"version": {"old": "1", "new": "2"}},
            }
        ],
    }


def test_markup_in_values_cannot_break_the_table() -> None:
    shown = render.markdown(a_plan(1, {}, {"description": "a|b <script> `x` *y*"}), "Plan")

    (row,) = [line for line in shown.splitlines() if line.startswith("| ~ |")]
    assert row.count("|") - row.count("\\|") == 4
    assert "<script>" not in row


def test_colours_are_for_terminals_only() -> None:
    made = a_plan(1, {"version": "1"}, {"version": "2"})

    assert "\033[" in render.text(made, colour=True)
    assert "\033[" not in render.text(made)


@pytest.mark.parametrize("field", ["parameters", "job_variables", "description"])
def test_the_value_of_a_secret_variable_is_shown_nowhere(field: str) -> None:
    found = {"parameters": {"urls": ["https://u:canary@h"]}, "description": "with canary"}
    found["job_variables"] = {"env": {"PLAIN": "canary"}}
    made = mask.hide(a_plan(1, {}, {field: found[field]}), ["canary", "s", ""])

    for shown in (render.text(made), render.markdown(made, "Plan"), render.as_json(made)):
        assert "canary" not in shown
        assert field in shown.replace("\\", "")  # which no short value may cut to pieces
