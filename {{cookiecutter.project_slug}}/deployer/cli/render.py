"""A plan, a release and an outcome as text, Markdown or JSON. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from prefect.utilities.urls import url_for

from deployer.cli.mask import mask
from deployer.plan import SYMBOLS, Change, Plan

if TYPE_CHECKING:
    from deployer.outcome import Outcome
    from deployer.release import Release
    from deployer.verify import SmokeRun

COLOURS = {"create": "32", "update": "33", "delete": "31", "unchanged": "2"}
WORDS = {"create": "to add", "update": "to change", "delete": "to delete", "unchanged": "unchanged"}
FOLD = 30  # rows of a Markdown table before it is folded away
WIDTH = 120  # characters of one value


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
    shared = _shared(plan)
    lines = []
    for change in plan.changes:
        line = f"{SYMBOLS[change.action]} {change.key}"
        lines.append(f"\033[{COLOURS[change.action]}m{line}\033[0m" if colour else line)
        lines += [f"    {field}" for field in _fields(change, shared)]
    lines += [f"~ all: {path}: {_pair(path, pair)}" for path, pair in shared.items()]
    return "\n".join([*lines, f"Plan: {counts(plan)}."])


def markdown(plan: Plan, title: str) -> str:
    """Return a plan as a Markdown table without the unchanged deployments, folded over 30 rows."""
    shared = _shared(plan)
    lines = [f"### {title}", "", f"{counts(plan).capitalize()}.", ""]
    rows = ["| | deployment | changes |", "| --- | --- | --- |"]
    for path, pair in shared.items():
        rows.append(f"| ~ | all | {_cell(f'{path}: {_pair(path, pair)}')} |")
    changed = plan.of("create", "update", "delete")
    for change in changed:
        fields = "<br>".join(_cell(field) for field in _fields(change, shared))
        rows.append(f"| {SYMBOLS[change.action]} | {_cell(change.key)} | {fields} |")
    if len(changed) > FOLD:
        rows = [f"<details><summary>{len(changed)} changes</summary>", "", *rows, "", "</details>"]
    return "\n".join([*lines, *(rows if changed else [])]).rstrip() + "\n"


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


def _shared(plan: Plan) -> dict[str, tuple[Any, Any]]:
    """Return the image's change where all updates share it: one line instead of one each."""
    updates = plan.of("update")
    pairs = [change.fields.get("job_variables.image") for change in updates]
    if len(updates) < 2 or pairs[0] is None or any(pair != pairs[0] for pair in pairs):
        return {}
    return {"job_variables.image": pairs[0]}


def _fields(change: Change, shared: dict[str, tuple[Any, Any]]) -> list[str]:
    return [
        f"{path}: {_pair(path, pair)}" for path, pair in change.fields.items() if path not in shared
    ]


def _pair(path: str, pair: tuple[Any, Any]) -> str:
    old, new = (_short(mask(path, value)) for value in pair)
    return f"{old} → {new}"


def _short(value: Any) -> str:
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= WIDTH else shown[: WIDTH - 1] + "…"


def _cell(content: str) -> str:
    escaped = content.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")
    return escaped.replace("`", "\\`").replace("*", "\\*").replace("_", "\\_")


def outcome(outcome: Outcome, form: str, environment: str, colour: bool) -> str:
    """Return what a deploy did, as `text` or `markdown`."""
    if form == "markdown":
        return outcome_markdown(outcome, environment)
    return outcome_text(outcome, environment, colour)


def outcome_text(outcome: Outcome, environment: str, colour: bool = False) -> str:
    """Return what a deploy did, for a terminal."""
    if outcome.plan.empty:
        return f"{text(outcome.plan, colour)}\n{environment} is up to date: nothing was written."
    parts = [text(outcome.plan, colour)]
    if outcome.runs:
        parts.append(runs_text(outcome.runs))
    if outcome.release:
        parts.append(f"{environment} is at release {outcome.release.number}.")
    return "\n".join([*parts, _timings(outcome)])


def outcome_markdown(outcome: Outcome, environment: str) -> str:
    """Return what a deploy did, for the summary of a job."""
    if outcome.plan.empty:
        counted = counts(outcome.plan)
        head = f"### {environment} is up to date\n\n{counted.capitalize()}; nothing was written.\n"
        return "\n".join([head, *_links(outcome)])
    number = outcome.release.number if outcome.release else "?"
    parts = [markdown(outcome.plan, f"{environment} is at release {number}")]
    if outcome.runs:
        rows = [f"| [{r.key}]({r.url}) | {r.state} | {r.seconds:.1f} s |" for r in outcome.runs]
        parts.append("\n".join(["| smoke run | state | took |", "| --- | --- | ---: |", *rows, ""]))
    return "\n".join([*parts, *_links(outcome), _timings(outcome), ""])


def _links(outcome: Outcome) -> list[str]:
    """Return one paragraph that leads to what is deployed in the UI."""
    links = [
        f"[{_cell(key)}]({url_for('deployment', obj_id=identity)})"
        for key, identity in sorted(outcome.ids.items())
    ]
    return [f"<details><summary>In the UI</summary>\n\n{', '.join(links)}\n\n</details>\n"][
        : len(links)
    ]


def runs_text(runs: list[SmokeRun]) -> str:
    """Return finished smoke runs, one aligned line each."""
    if not runs:
        return "Nothing that is deployed here has a smoke run."
    width = max(len(run.key) for run in runs)
    return "\n".join(
        f"{run.key:{width}}  {run.state}  {run.seconds:.1f} s  {run.url}" for run in runs
    )


def releases(found: list[Release], form: str) -> str:
    """Return releases, newest first, as lines or as JSON."""
    names = ("number", "at", "who", "commit", "image", "verified", "summary", "again", "run_url")
    rows = [{name: getattr(each, name) for name in names} for each in found]
    if form == "json":
        return json.dumps(rows, indent=2, ensure_ascii=False)
    if not rows:
        return "Nothing was released here yet."
    return "\n".join(
        f"{row['number']:>4}  {row['at'][:19]}  {row['who']}  {(row['commit'] or '-')[:8]}  "
        f"{'verified' if row['verified'] else 'not verified'}  {row['summary']}"
        + (f", release {row['again']} again" if row["again"] else "")
        for row in rows
    )


def _timings(outcome: Outcome) -> str:
    return "Took " + ", ".join(f"{step} {took:.1f} s" for step, took in outcome.seconds.items())
