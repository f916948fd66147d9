"""Rendered plans and releases are readable and show no credentials."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from deployer import credentials, plan
from deployer.cli import render, terminal
from deployer.release import Release
from deployer.result import Result
from deployer.verify import SmokeRun
from rich.cells import cell_len
from rich.console import Console


def a_state(name: str, **fields: Any) -> dict[str, Any]:
    """Return a state with the fields that a plan needs."""
    base = {"flow": "f", "name": name, "paused": False, "schedules": {}, "triggers": {}}
    return {**base, "job_variables": {}, **fields}


def a_plan(count: int, old: dict[str, Any], new: dict[str, Any]) -> plan.Plan:
    """Return a plan in which this number of deployments have the same change."""
    names = [f"f/{n}" for n in range(count)]
    before = {name: a_state(name, **old) for name in names}
    after = {name: a_state(name, **new) for name in names}
    return plan.make(after, before)


def test_a_digest_that_all_share_is_one_line() -> None:
    old, new = {"image": "r/f@sha256:1"}, {"image": "r/f@sha256:2"}

    shown = str(render.text(a_plan(3, {"job_variables": old}, {"job_variables": new})))

    assert shown.count("sha256:2") == 1
    assert shown.startswith('~ all\n    job_variables.image: "r/f@sha256:1" → "r/f@sha256:2"\n')
    assert "Plan: 0 to add, 3 to change, 0 to delete, 0 unchanged." in shown


def test_deployments_of_which_only_the_image_differs_are_counted_in_markdown() -> None:
    old, new = {"image": "r/f@sha256:1"}, {"image": "r/f@sha256:2"}
    changed = a_plan(3, {"job_variables": old}, {"job_variables": new})

    shown = render.markdown(changed, "Plan")

    assert shown.count("| ~ |") == 2
    assert "| ~ | all | job\\_variables.image: " in shown
    assert "| ~ | 3 of them | nothing else |" in shown
    assert "f/0" not in shown


def test_the_image_of_a_single_deployment_is_never_folded_away() -> None:
    before = {f"f/{n}": a_state(f"f/{n}", job_variables={"image": "r/f@1"}) for n in range(3)}
    after = {**before, "f/1": a_state("f/1", job_variables={"image": "evil/f@2"})}
    made = plan.make(after, before)

    assert '~ f/1\n    job_variables.image: "r/f@1" → "evil/f@2"\n' in str(render.text(made))
    shown = render.markdown(made, "Plan")
    assert "| ~ | f/1 | job\\_variables.image: " in shown
    assert "evil/f@2" in shown


def test_of_several_images_the_one_that_most_share_is_one_line() -> None:
    def state(name: str, image: str, release: int) -> dict[str, Any]:
        return a_state(name, job_variables={"image": f"r/{image}@sha256:{release}"})

    images = {"f/0": "flows", "f/1": "gpu", "f/2": "flows"}
    before, after = ({key: state(key, images[key], n) for key in images} for n in (1, 2))
    after["f/3"] = before["f/3"] = state("f/3", "big", 1)

    shown = str(render.text(plan.make(after, before)))

    flows, gpu = (
        f'    job_variables.image: "r/{each}@sha256:1" → "r/{each}@sha256:2"\n'
        for each in ("flows", "gpu")
    )
    assert shown.startswith(f"~ 2 of them\n{flows}~ f/0\n~ f/1\n{gpu}~ f/2\n= f/3\n")


def test_the_summary_says_which_deployments_nothing_was_run_of() -> None:
    run = SmokeRun("f/0", "calm-cat", "Completed", 1.0, "http://ui/run")
    ids = {"f/0": "a", "f/1": "b"}
    made = Result(a_plan(2, {"version": "1"}, {"version": "2"}), runs=[run], ids=ids)

    shown = str(render.result(made, "markdown", "staging"))

    assert "Without a smoke run: f/1." in shown


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

    for shown in (str(render.text(made)), render.markdown(made, "Plan"), render.as_json(made)):
        assert "canary" not in shown
        assert "us" in shown
    assert "DB\\_PASSWORD" in render.markdown(made, "Plan")


def test_a_reference_to_a_secret_block_is_shown() -> None:
    block = "{{ prefect.blocks.secret.db }}"
    made = a_plan(1, {}, {"job_variables": {"env": {"DB_PASSWORD": block}}})

    assert block in str(render.text(made))


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
        "hash": made.hash,
        "notes": [],
        "hold": None,
    }
    assert len(made.hash) == 16


def test_markup_in_values_cannot_break_the_table() -> None:
    shown = render.markdown(a_plan(1, {}, {"description": "a|b <script> `x` *y*"}), "Plan")

    (row,) = [line for line in shown.splitlines() if line.startswith("| ~ |")]
    assert row.count("|") - row.count("\\|") == 4
    assert "<script>" not in row


def printed(report: object, monkeypatch: pytest.MonkeyPatch, **how: Any) -> str:
    """Return the output of a printed report, by default for a pipe."""
    out = io.StringIO()
    monkeypatch.setattr(terminal, "console", lambda stderr=False: Console(file=out, **how))
    terminal.show(report)  # type: ignore[arg-type]
    return out.getvalue()


def test_colours_are_for_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = render.text(a_plan(1, {"version": "1"}, {"version": "2"}))

    assert "\033[" in printed(shown, monkeypatch, force_terminal=True, color_system="standard")
    assert "\033[" not in printed(shown, monkeypatch)


@pytest.mark.parametrize("width", [20, 80])
def test_lines_are_whole_however_narrow_it_is(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    old, new = {"description": "a " * 50}, {"description": "b " * 50}
    shown = render.text(a_plan(1, old, new))

    for terminal_or_not in (True, False):
        lines = printed(
            shown, monkeypatch, width=width, force_terminal=terminal_or_not, color_system=None
        ).splitlines()
        assert lines == str(shown).splitlines()
    assert max(map(len, lines)) > 200


def cells_before(line: str, word: str) -> int:
    """Return the width of the text before a word, in terminal columns."""
    return cell_len(line[: line.index(word)])


NAMES = ["f/每小时", "f/hourly", "f/日", "f/a name that is long", "f/[red]x", "f/:smile:"]


def test_columns_of_smoke_runs_are_aligned_by_the_cells_of_a_terminal() -> None:
    runs = [SmokeRun(name, "r", "Completed", 9.5, "http://ui") for name in NAMES]

    lines = str(render.runs(runs)).splitlines()

    assert len(lines) == len(NAMES)
    assert {cells_before(line, "Completed") for line in lines} == {len("f/a name that is long") + 2}
    assert len({cells_before(line, "http://ui") for line in lines}) == 1


def a_release(number: int, who: str, verified: str) -> Release:
    """Return a release without changes."""
    return Release(
        number=number,
        at="2026-11-24T10:00:00.123+00:00",
        who=who,
        commit=None,
        image=None,
        order=None,
        run_url=None,
        verified=verified,
        summary="1 added",
        specs={},
        smoke={},
    )


def test_columns_of_releases_are_aligned_by_the_cells_of_a_terminal() -> None:
    found = [
        a_release(12, "张伟", "verified"),
        a_release(9, "somebody", "not verified"),
        a_release(8, "é", "verified"),
    ]

    lines = str(render.releases(found, "text", "production")).splitlines()

    assert [line.split()[0] for line in lines] == ["12", "9", "8"]
    assert len({cells_before(line, "verified") for line in lines if "not" not in line}) == 1
    assert len({cells_before(line, "1 added") for line in lines}) == 1


def test_markup_in_names_is_text_everywhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "f/[red]x[/red] :smile: [link=http://a]b"
    made = plan.make({name: a_state(name, version="[bold]2")}, {name: a_state(name, version="1")})
    runs = [SmokeRun(name, "r", "Completed", 1, "http://ui/[dim]1")]
    done = Result(made, a_release(1, name, "verified"), runs)

    reports = [
        render.text(made),
        render.result(done, "text", "[red]production"),
        render.runs(runs),
        render.releases([a_release(1, name, "verified")], "text", "production"),
    ]

    for report in reports:
        assert name in printed(report, monkeypatch)
    whole = printed(reports[1], monkeypatch)
    assert whole == f"{reports[1]}\n"
    assert "[bold]2" in printed(reports[0], monkeypatch)
    assert "http://ui/[dim]1" in whole
    assert "[red]production is at release 1." in whole
    monkeypatch.undo()
    terminal.console.cache_clear()
    terminal.say(name)
    terminal.fail(name)
    assert capsys.readouterr().err == f"{name}\nerror: {name}\n"


def test_markdown_and_json_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    for report in ("| [red]x | :smile: | \t" + "long " * 50 + "|", '{"a": "[/]"}'):
        terminal.show(report)
        assert capsys.readouterr().out == f"{report}\n"


@pytest.mark.parametrize("field", ["parameters", "job_variables", "description"])
def test_the_value_of_a_secret_variable_is_shown_nowhere(
    monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    monkeypatch.setattr(credentials, "_known", set())
    credentials.add_secrets(['a "canary_*|', "s", ""])
    found = {
        "parameters": {"urls": ['https://h/a "canary_*|']},
        "description": 'with a "canary_*|',
        "job_variables": {"env": {"PLAIN": 'a "canary_*|'}},
    }
    made = a_plan(1, {}, {field: found[field]})

    for shown in (str(render.text(made)), render.markdown(made, "Plan"), render.as_json(made)):
        assert "canary" not in shown
        assert field in shown.replace("\\", "")  # masking a short secret must not break it


@pytest.mark.parametrize("form", ["text", "markdown"])
@pytest.mark.parametrize(
    ("again", "image", "said"), [(1, None, True), (None, None, False), (1, "an/image@1", False)]
)
def test_only_a_rollback_without_an_image_says_that_the_code_did_not_come_back(
    form: str, again: int | None, image: str | None, said: bool
) -> None:
    made = a_plan(1, {"description": "old"}, {"description": "new"})
    record = Release(2, "", "ada", None, image, None, None, "verified", "", {}, {}, again)

    shown = str(render.result(Result(made, record), form, "local"))

    sentence = "The settings of release 1 are restored, but not the code: runs use the working tree"
    assert (sentence in shown) == said
