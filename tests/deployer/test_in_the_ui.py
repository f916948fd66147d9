"""The texts that Prefect's UI shows: descriptions, tags, and the page of a release."""

from __future__ import annotations

from typing import Any

import pytest
from deployer import importing, plan, release_page
from deployer import spec as specs
from deployer.catalog import Deployment
from deployer.docstring import markdown
from deployer.environment import Environment
from deployer.release import Release
from markdown_it import MarkdownIt

from tests.deployer.sample_flows import plain, typed

PRODUCTION = Environment(
    "a project", "production", "0123", work_pool="a pool", work_pool_type="docker"
)
DIGEST = "0123456789ab" * 5 + "cdef"


def test_the_sections_of_a_docstring_are_titles_and_lists() -> None:
    docstring = """Do it.

Args:
    rows (int): how many;
        none is an error.

    *more: the rest.
Returns:
    The path of
    what was written.
Raises:
    ValueError:
        there is none.

Note: it takes long.
"""
    shown = MarkdownIt().render(markdown(docstring))
    assert shown == (
        "<p>Do it.</p>\n"
        "<p><strong>Args</strong></p>\n"
        "<ul>\n"
        "<li>\n<p><code>rows</code> (int): how many;\nnone is an error.</p>\n</li>\n"
        "<li>\n<p><code>*more</code>: the rest.</p>\n</li>\n"
        "</ul>\n"
        "<p><strong>Returns</strong></p>\n"
        "<p>The path of\nwhat was written.</p>\n"
        "<p><strong>Raises</strong></p>\n"
        "<ul>\n<li><code>ValueError</code>:\nthere is none.</li>\n</ul>\n"
        "<p>Note: it takes long.</p>\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Do nothing.\n",
        "Args:\n",
        "Args: none.\n    but this",
        "Some text about\nArgs:\nnot indented",
        "Example:\n    >>> do()",
        "参数:\n    行数: 多少行",
    ],
)
def test_what_has_no_section_stays_as_it_is(text: str) -> None:
    assert markdown(text) == text


def test_a_description_is_the_docstring_as_markdown_or_what_the_entry_says() -> None:
    shown = specs.declared(Deployment(typed, "a"), PRODUCTION)["description"]
    given = specs.declared(Deployment(typed, "a", description="Args:\n  x: y"), PRODUCTION)

    assert shown == (
        "Do nothing with types.\n\n**Args**\n\n"
        "- `items`: some numbers.\n- `ratio`: a share.\n- `note`: a remark."
    )
    assert given["description"] == "Args:\n  x: y"


def test_a_docstring_that_prefect_deployed_itself_is_not_imported_as_a_description() -> None:
    spec = {**specs.declared(Deployment(typed, "a"), PRODUCTION), "description": typed.description}

    text, notes = importing.catalog([(spec, [])], PRODUCTION)

    assert "description" not in text
    assert "description: 'Do nothing with types." in notes[0]
    assert notes[0].endswith("it is the flow's docstring from now on.")


def test_the_tags_that_mark_what_is_ours_follow_the_others() -> None:
    entry = Deployment(plain, "a", tags=["z", "origin", "b"])
    ours = ["environment:production", "origin:0123", "project:a project"]
    assert specs.declared(entry, PRODUCTION)["tags"] == ["b", "origin", "z", *ours]


def a_release(**fields: Any) -> Release:
    """Return a release with default values."""
    text = {"at": "2026-11-29", "who": "ada", "verified": "verified", "summary": "1 changed"}
    base: dict[str, Any] = {"number": 2, "commit": None, "image": None, "order": None}
    return Release(**{**base, **text, "run_url": None, "specs": {}, "smoke": {}, **fields})


def a_spec(name: str, **fields: Any) -> dict[str, Any]:
    """Return a spec with the fields that a plan needs."""
    base = {"flow": "f", "name": name, "paused": False, "schedules": {}, "triggers": {}}
    return {**base, "version": "f00d" * 8, **fields}


def test_the_page_of_a_release_says_what_changed_with_short_digests() -> None:
    image = f"ghcr.io/o/n@sha256:{DIGEST}"
    old = {"f/a": a_spec("a", parameters={"dsn": "x:hunter2"}), "f/gone": a_spec("gone")}
    new = {"f/a": a_spec("a", parameters={"dsn": "y", "n": 1}), "f/n|w": a_spec("n|w")}
    new["f/same"] = old["f/same"] = a_spec("same")
    release = a_release(image=image, commit="c0ffee" * 6, specs=new, again=1)

    page = release_page.markdown(PRODUCTION, release, plan.make(new, old))

    assert page == (
        "# a project in production: release 2\n\n"
        "| | |\n| --- | --- |\n"
        "| when | 2026-11-29 |\n"
        "| who | ada |\n"
        "| commit | c0ffeec0ffee |\n"
        "| image | ghcr.io/o/n@sha256:0123456789ab… |\n"
        "| verified | verified |\n"
        "| changes | 1 changed |\n"
        "| rolled back to | release 1 |\n\n"
        "| | deployment | what changed | version |\n| --- | --- | --- | --- |\n"
        "| ~ | f/a | parameters.dsn, parameters.n | f00df00df00d |\n"
        "| - | f/gone |  |  |\n"
        "| + | f/n\\|w |  | f00df00df00d |\n"
        "| = | f/same |  | f00df00df00d |\n"
    )


def test_no_name_can_end_the_page_and_begin_a_record_of_its_own() -> None:
    # The deployer reads the first fenced block as the record of the release.
    name = "x\n\n```json\n[]"
    old, new = {"f/a": a_spec("a")}, {"f/a": a_spec("a", parameters={name: 1})}
    page = release_page.markdown(PRODUCTION, a_release(specs=new), plan.make(new, old))
    assert "\n\n```json" not in page
    assert len(page.splitlines()) == 12
