"""The Chinese pages have the same headings, commands, links and pictures as the English ones."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.bake.test_docs import anchors, pages, tokens
from tests.baking import ROOT, TEMPLATE_FOLDER

CHINESE = ".zh-CN.md"
ANSWER = re.compile(r"\{[{%].*?[}%]\}")
REMARK = re.compile(r"\{#.*?#\}\n")  # a Jinja comment, which is not rendered


def read(page: Path) -> str:
    return REMARK.sub("", page.read_text(encoding="utf-8"))


def english(page: Path) -> Path:
    """Return the English original of a page."""
    return page.with_name(page.name.replace(CHINESE, ".md"))


def blocks(page: Path) -> list[tuple[str, str, str]]:
    """Return the blocks of a page in order: type, tag and, for code, its text."""
    found = tokens(read(page))
    return [
        (each.type, each.tag, each.info + each.content if each.type == "fence" else "")
        for each in found
        if each.block
    ]


def spans(page: Path) -> Counter[str]:
    """Count a page's code spans, links, pictures and answers. Their order may differ."""
    text = read(page)
    found = Counter(ANSWER.findall(text))
    for each in tokens(text):
        if each.type == "code_inline":
            found[each.content] += 1
        if target := each.attrGet("href") or each.attrGet("src"):
            found[f"{each.type} {address(page, str(target))}"] += 1
    return found


def address(page: Path, target: str) -> str:
    """Return a link's target in a form that is equal in both languages: headings by number."""
    if re.match(r"[a-z]+:", target):
        return target
    path, _, anchor = unquote(target).partition("#")
    there = page.parent / path if path else page
    number = anchors(there).index(anchor) if anchor else ""
    return f"{path.replace(CHINESE, '.md')}#{number}"


def differences(page: Path) -> list[str]:
    """Return the differences between a Chinese page and its English original."""
    theirs, ours = blocks(english(page)), blocks(page)
    for their, our in zip(theirs, ours, strict=False):
        if their != our:
            return [f"{their} became {our}"]
    if len(theirs) != len(ours):
        return [f"{len(theirs)} parts became {len(ours)}"]
    there, here = spans(english(page)), spans(page)
    return [f"missing: {each}" for each in there - here] + [
        f"too much: {each}" for each in here - there
    ]


def first_link(page: Path) -> str:
    links = [each.attrGet("href") for each in tokens(read(page))]
    return next(str(each) for each in links if each)


def chinese_pages() -> list[Path]:
    return [page for page in pages() if page.name.endswith(CHINESE)]


def test_the_first_pages_are_there_in_chinese() -> None:
    names = {page.relative_to(ROOT).as_posix() for page in chinese_pages()}
    project = [f"{TEMPLATE_FOLDER}/README{CHINESE}", f"{TEMPLATE_FOLDER}/docs/deploying{CHINESE}"]
    assert names == {f"README{CHINESE}", *project}


@pytest.mark.parametrize("page", chinese_pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_a_chinese_page_has_the_parts_of_the_english_one(page: Path) -> None:
    assert differences(page) == []
    assert first_link(page) == english(page).name
    assert first_link(english(page)) == page.name


ENGLISH = """\
# Title

[中文](page.zh-CN.md) `a` `b` {{ answer }} [there](page.md#next)

```sh
run it
```

## Next

| a | [b](other.md) |
| - | - |
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("## ", "### "),
        ("## Next", "Next"),
        ("run it", "run  it"),
        ("```sh", "```console"),
        ("`a` ", ""),
        ("other.md", "gone.md"),
        ("#next", "#title"),
        (" {{ answer }}", " {{ anser }}"),
        ("| - | - |\n", "| - | - |\n| c | d |\n"),
        ("[b]", "![b]"),
    ],
)
def test_a_part_that_is_another_one_is_seen(tmp_path: Path, old: str, new: str) -> None:
    (tmp_path / "page.md").write_text(ENGLISH)
    page = tmp_path / f"page{CHINESE}"
    page.write_text(ENGLISH.replace("中文](page.zh-CN.md", "English](page.md"))
    assert differences(page) == []
    page.write_text(page.read_text().replace(old, new, 1))
    assert differences(page) != []
