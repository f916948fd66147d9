"""A plan, a release and an result as text, Markdown or JSON. Pure."""

from __future__ import annotations

import json
import re
from html import escape
from typing import TYPE_CHECKING, Any

from prefect.utilities.urls import url_for

from deployer.cli.mask import mask
from deployer.plan import SYMBOLS, Plan

if TYPE_CHECKING:
    from deployer.release import Release
    from deployer.result import Result
    from deployer.verify import SmokeRun

COLOURS = {"create": "32", "update": "33", "delete": "31", "unchanged": "2"}
WORDS = {"create": "to add", "update": "to change", "delete": "to delete", "unchanged": "unchanged"}
FOLD = 30  # rows of a Markdown table before it is folded away
WIDTH = 120  # characters of one value
IMAGE = "job_variables.image"


def counts(plan: Plan) -> str:
    """Return `1 to add, 0 to change, 0 to delete, 3 unchanged`."""
    return ", ".join(f"{number} {WORDS[action]}" for action, number in plan.counts.items())


def plan(plan: Plan, form: str, environment: str, colour: bool) -> str:
    """Return a plan in one of the forms `text`, `markdown` and `json`."""
    if form == "json":
        return as_json(plan)
    if form == "markdown":
        return markdown(plan, f"Plan for {environment}")
    return text(plan, colour)


def text(plan: Plan, colour: bool = False) -> str:
    """Return a plan for a terminal: a line a deployment, its differing fields below it."""
    lines = []
    for action, key, fields in _rows(plan):
        line = f"{SYMBOLS[action]} {key}"
        lines.append(f"\033[{COLOURS[action]}m{line}\033[0m" if colour else line)
        lines += [f"    {field}" for field in fields]
    return "\n".join([*lines, f"Plan: {counts(plan)}."])


def markdown(plan: Plan, title: str) -> str:
    """Return a plan as a Markdown table without the unchanged deployments, folded over 30 rows."""
    table = ["| | deployment | changes |", "| --- | --- | --- |"]
    for action, key, fields in _rows(plan):
        if action != "unchanged":
            cells = "<br>".join(map(_cell, fields))
            table.append(f"| {SYMBOLS[action]} | {_cell(key)} | {cells} |")
    changed = len(plan.of("create", "update", "delete"))
    if changed > FOLD:
        table = [f"<details><summary>{changed} changes</summary>", "", *table, "", "</details>"]
    lines = [f"### {title}", "", f"{counts(plan).capitalize()}."]
    return "\n".join([*lines, "", *table] if changed else lines) + "\n"


def as_json(plan: Plan) -> str:
    """Return a plan as JSON: `{"counts": {action: n}, "changes": [{key, action, fields}]}`.

    `fields` maps a dotted path to `{"old": …, "new": …}`; credentials are masked.
    """
    changes = [
        {
            "key": change.key,
            "action": change.action,
            "fields": {
                path: {"old": mask(path, old), "new": mask(path, new)}
                for path, (old, new) in change.fields.items()
            },
        }
        for change in plan.changes
    ]
    return json.dumps({"counts": plan.counts, "changes": changes}, indent=2, ensure_ascii=False)


def _rows(plan: Plan) -> list[tuple[str, str, list[str]]]:
    """Return action, key and differing fields of each change; an image that all share is first."""
    images = [change.fields.get(IMAGE) for change in plan.of("update")]
    shared = images[0] if len(images) > 1 and images.count(images[0]) == len(images) else None
    rows = [("update", "all", [_field(IMAGE, shared)])] if shared else []
    for change in plan.changes:
        fields = {k: v for k, v in change.fields.items() if not (shared and k == IMAGE)}
        rows.append((change.action, change.key, [_field(*each) for each in fields.items()]))
    return rows


def _field(path: str, pair: tuple[Any, Any]) -> str:
    """Return `path: old → new`."""
    shown = [json.dumps(mask(path, value), ensure_ascii=False) for value in pair]
    old, new = (each if len(each) <= WIDTH else each[: WIDTH - 1] + "…" for each in shown)
    return f"{path}: {old} → {new}"


def _cell(content: str) -> str:
    return re.sub(r"([|`*_])", r"\\\1", escape(content, quote=False))


def result(result: Result, form: str, environment: str, colour: bool) -> str:
    """Return what a deploy did, as `text` or as `markdown` for the summary of a job."""
    if form == "markdown":
        return _result_markdown(result, environment)
    if result.plan.empty:
        return f"{text(result.plan, colour)}\n{environment} is up to date: nothing was written."
    parts = [text(result.plan, colour)]
    if result.runs:
        parts.append(runs_text(result.runs))
    if result.release:
        parts.append(f"{environment} is at release {result.release.number}.")
    return "\n".join([*parts, _timings(result)])


def _result_markdown(result: Result, environment: str) -> str:
    ids = sorted(result.ids.items())
    links = [f"[{_cell(key)}]({url_for('deployment', obj_id=each)})" for key, each in ids]
    folded = f"<details><summary>In the UI</summary>\n\n{', '.join(links)}\n\n</details>\n"
    ui = [folded] if links else []
    if result.plan.empty:
        counted = counts(result.plan).capitalize()
        head = f"### {environment} is up to date\n\n{counted}; nothing was written.\n"
        return "\n".join([head, *ui])
    number = result.release.number if result.release else "?"
    parts = [markdown(result.plan, f"{environment} is at release {number}")]
    if result.runs:
        rows = [f"| [{r.key}]({r.url}) | {r.state} | {r.seconds:.1f} s |" for r in result.runs]
        parts += ["| smoke run | state | took |", "| --- | --- | ---: |", *rows, ""]
    return "\n".join([*parts, *ui, _timings(result), ""])


def runs_text(runs: list[SmokeRun]) -> str:
    """Return finished smoke runs, one aligned line each."""
    if not runs:
        return "Nothing that is deployed here has a smoke run."
    width = max(len(run.key) for run in runs)
    rows = (f"{each.key:{width}}  {each.state}  {each.seconds:.1f} s  {each.url}" for each in runs)
    return "\n".join(rows)


def releases(found: list[Release], form: str) -> str:
    """Return releases, newest first, as lines or as JSON."""
    names = ("number", "at", "who", "commit", "image", "verified", "summary", "again", "run_url")
    if form == "json":
        rows = [{name: getattr(each, name) for name in names} for each in found]
        return json.dumps(rows, indent=2, ensure_ascii=False)
    return "\n".join(map(_release, found)) or "Nothing was released here yet."


def _release(each: Release) -> str:
    verified = "verified" if each.verified else "not verified"
    again = f", release {each.again} again" if each.again else ""
    head = f"{each.number:>4}  {each.at[:19]}  {each.who}  {(each.commit or '-')[:8]}"
    return f"{head}  {verified}  {each.summary}{again}"


def _timings(result: Result) -> str:
    return "Took " + ", ".join(f"{step} {took:.1f} s" for step, took in result.seconds.items())
