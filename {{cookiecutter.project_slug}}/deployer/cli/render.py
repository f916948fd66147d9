"""Render a plan, a result, smoke runs and releases as text, Markdown or JSON. Pure functions.

Text is rich's `Text`, which does not interpret names as markup; Markdown and JSON are plain `str`.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from prefect.utilities.urls import url_for
from rich.cells import cell_len, set_cell_size
from rich.text import Text

from deployer.credentials import find_credentials, mask_values
from deployer.errors import cell
from deployer.plan import SYMBOLS, Plan

if TYPE_CHECKING:
    from deployer.environment_state import Hold
    from deployer.release import Release
    from deployer.result import Result
    from deployer.verify import SmokeRun

COLOURS = {"create": "green", "update": "yellow", "delete": "red", "unchanged": "dim"}
WORDS = {"create": "to add", "update": "to change", "delete": "to delete", "unchanged": "unchanged"}
FOLD = 30  # a Markdown table with more rows is folded
WIDTH = 120  # characters of one value; a longer one is cut
IMAGE = "job_variables.image"
DECLARED = ("job_variables", "parameters", "schedules", "triggers")  # a person writes these


def counts(plan: Plan) -> str:
    """Return `1 to add, 0 to change, 0 to delete, 3 unchanged`."""
    return ", ".join(f"{number} {WORDS[action]}" for action, number in plan.counts.items())


def plan(plan: Plan, form: str, environment: str, hold: Hold | None = None) -> Text | str:
    """Return a plan as `text`, `markdown` or `json`, with the environment's hold, if any."""
    if form == "json":
        return as_json(plan, hold)
    held = _held(environment, hold)
    if form == "markdown":
        plan_hash = f"Hash of this plan: `{plan.hash}`\n"
        return "\n".join([markdown(plan, f"Plan for {environment}"), plan_hash, *held])
    return _lines(text(plan), *held)


def _held(environment: str, hold: Hold | None) -> list[str]:
    return [f"{environment} {hold}; --resume ends that."] if hold else []


def text(plan: Plan) -> Text:
    """Return a plan for a terminal: a line per deployment, followed by its fields that differ."""
    lines = []
    for action, key, fields in _rows(plan):
        lines.append(Text(f"{SYMBOLS[action]} {key}", COLOURS[action]))
        lines += [Text(f"    {field}") for field in fields]
    return _lines(*lines, *plan.notes, f"Plan: {counts(plan)}.")


def markdown(plan: Plan, title: str) -> str:
    """Return a plan as a Markdown table without unchanged deployments, folded if it is long.

    Deployments that differ only in the image that most of them share are counted, not listed.
    """
    table = ["| | deployment | changes |", "| --- | --- | --- |"]
    only_image = 0
    for action, key, fields in _rows(plan):
        if action == "update" and not fields:
            only_image += 1
        elif action != "unchanged":
            cells = "<br>".join(map(cell, fields))
            table.append(f"| {SYMBOLS[action]} | {cell(key)} | {cells} |")
    if only_image:
        table.append(f"| {SYMBOLS['update']} | {only_image} of them | nothing else |")
    changed = len(plan.everything) - plan.counts["unchanged"]
    if changed > FOLD:
        table = [f"<details><summary>{changed} changes</summary>", "", *table, "", "</details>"]
    lines = [f"### {title}", "", f"{counts(plan).capitalize()}.", *map(cell, plan.notes)]
    return "\n".join([*lines, "", *table] if changed else lines) + "\n"


def acceptance(entries: list[str], notes: list[str]) -> str:
    """Return folded Markdown: what to write into the catalog to keep an edit made on the server."""
    summary = "To accept this edit, put into deployments/catalog.py:"
    code = ["~~~~python", *entries, "~~~~"] if entries else []
    lines = ["", f"<details><summary>{summary}</summary>", "", *code, ""]
    return "\n".join([*lines, *(f"- {cell(note)}" for note in notes), "", "</details>", ""])


def as_json(plan: Plan, hold: Hold | None = None) -> str:
    """Return a plan as JSON: `{"counts": {action: n}, "changes": [{key, action, fields}], …}`.

    `fields` maps a dotted path to `{"old": …, "new": …}`; credentials are masked. `hash` is what
    `deploy --expect-plan` takes, `notes` are sentences, `hold` is null if there is no hold.
    """
    changes = [
        {
            "key": change.key,
            "action": change.action,
            "fields": {
                path: {"old": mask_values(old, path), "new": mask_values(new, path)}
                for path, (old, new) in change.fields.items()
            },
        }
        for change in plan.everything
    ]
    content = {
        "counts": plan.counts,
        "changes": changes,
        "hash": plan.hash,
        "notes": plan.notes,
        "hold": asdict(hold) if hold else None,
    }
    return json.dumps(content, indent=2, ensure_ascii=False)


def _rows(plan: Plan) -> list[tuple[str, str, list[str]]]:
    """Return action, key and differing fields of each change, after a row for a shared image."""
    images = [each for change in plan.of("update") if (each := change.fields.get(IMAGE))]
    shared = max(images, key=images.count, default=None)
    number = images.count(shared) if shared else 0
    rows = []
    combine = number > 1
    if shared and combine:
        which = "all" if number == len(plan.of("update", "unchanged")) else f"{number} of them"
        rows = [("update", which, [_field(IMAGE, shared)])]
    for change in plan.everything:
        folded = combine and change.fields.get(IMAGE) == shared
        fields = {k: v for k, v in change.fields.items() if not (folded and k == IMAGE)}
        rows.append((change.action, change.key, [_field(*each) for each in fields.items()]))
    return rows


def _field(path: str, pair: tuple[Any, Any]) -> str:
    """Return `path: old → new`."""
    shown = [json.dumps(mask_values(value, path), ensure_ascii=False) for value in pair]
    old, new = (each if len(each) <= WIDTH else each[: WIDTH - 1] + "…" for each in shown)
    return f"{path}: {old} → {new}"


def result(result: Result, form: str, environment: str) -> Text | str:
    """Return what a deploy did: `text` without its plan, or `markdown` with it for a job."""
    if form == "markdown":
        return _result_markdown(result, environment)
    held = _held(environment, result.hold)
    if result.plan.empty:
        done = f"{environment} is up to date: no deployment was written."
        return _lines(done, *held)
    parts: list[Text | str] = [*result.edited, *result.warnings]
    if result.runs:
        parts.append(runs(result.runs))
    if result.release:
        parts.append(Text(f"{environment} is at release {result.release.number}."))
    return _lines(*parts, *_restored(result.release), *held, _timings(result))


def _restored(release: Release | None) -> list[str]:
    """Say that a rollback does not restore the code, if runs use the working tree."""
    if release is None or release.again is None or release.image:
        return []
    return [
        f"The settings of release {release.again} are restored, but not the code: runs use the "
        "working tree as it is now. Restore the code with git."
    ]


def _result_markdown(result: Result, environment: str) -> str:
    ids = sorted(result.ids.items())
    links = [f"[{cell(key)}]({url_for('deployment', obj_id=each)})" for key, each in ids]
    folded = f"<details><summary>In the UI</summary>\n\n{', '.join(links)}\n\n</details>\n"
    ui = [folded] if links else []
    sentences = [*result.edited, *result.warnings, *_restored(result.release)]
    notes = [f"{cell(each)}\n" for each in [*sentences, *_held(environment, result.hold)]]
    if result.plan.empty:
        counted = counts(result.plan).capitalize()
        head = f"### {environment} is up to date\n\n{counted}; no deployment was written.\n"
        return "\n".join([head, *notes, *ui])
    number = result.release.number if result.release else "?"
    parts = [markdown(result.plan, f"{environment} is at release {number}")]
    if result.runs:
        rows = [f"| [{r.key}]({r.url}) | {r.state} | {r.seconds:.1f} s |" for r in result.runs]
        parts += ["| smoke run | state | took |", "| --- | --- | ---: |", *rows, ""]
        without = ", ".join(map(cell, sorted(result.ids.keys() - {r.key for r in result.runs})))
        parts += [f"Without a smoke run: {without}.", ""] if without else []
    return "\n".join([*parts, *notes, *ui, _timings(result), ""])


def runs(runs: list[SmokeRun]) -> Text:
    """Return finished smoke runs, one per line."""
    if not runs:
        return Text("No deployment here has a smoke run.")
    return _aligned([[each.key, each.state, f"{each.seconds:.1f} s", each.url] for each in runs])


def releases(
    found: list[Release], form: str, environment: str, hold: Hold | None = None
) -> Text | str:
    """Return releases, newest first, as JSON, or as lines with the environment's hold."""
    names = (
        *("number", "at", "who", "commit", "image", "images"),
        *("verified", "summary", "again", "run_url"),
    )
    if form == "json":
        rows = [{name: getattr(each, name) for name in names} for each in found]
        return json.dumps(rows, indent=2, ensure_ascii=False)
    if not found:
        return Text("Nothing was released here yet.")
    lines = _aligned([_release(each) for each in found])
    return _lines(lines, *_held(environment, hold), *_leaking(found))


def _leaking(found: list[Release]) -> list[str]:
    """Name the releases whose records contain what looks like a credential, with one example."""
    places: dict[str, str] = {}
    for each in found:
        for key, spec in each.specs.items():
            declared = {name: spec[name] for name in DECLARED}
            for where in find_credentials(declared, key):
                places.setdefault(str(each.number), where)
    if not places:
        return []
    where, *_ = places.values()
    return [
        f"Release {', '.join(places)} holds what looks like a credential, such as {where}: "
        "change it, deploy without it, then delete the record with --forget NUMBER."
    ]


def _release(each: Release) -> list[str]:
    summary = f"{each.summary}, release {each.again} again" if each.again else each.summary
    commit = (each.commit or "-")[:8]
    return [f"{each.number:>4}", each.at[:19], each.who, commit, each.verified, summary]


def _lines(*parts: Text | str) -> Text:
    return Text("\n").join(Text() + part for part in parts)


def _aligned(rows: list[list[str]]) -> Text:
    """Return rows as lines with aligned columns; a Chinese character is two cells wide."""
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    return _lines(*("  ".join(map(set_cell_size, row, widths)).rstrip() for row in rows))


def _timings(result: Result) -> str:
    return "Took " + ", ".join(f"{step} {took:.1f} s" for step, took in result.seconds.items())
