"""The pages match the repository: links, paths, sessions, module diagram, decisions, changes."""

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests import diagram
from tests.baking import ROOT, TEMPLATE_FOLDER, Project, run

DECISIONS = ROOT / "docs" / "decisions"
PARTS = ["Context", "Decision", "Consequences", "What would change our mind"]
MOST_LAYERS = 11
FORMS = ".github/ISSUE_TEMPLATE"


# Pages: links, paths and commands


def pages() -> list[Path]:
    """Return every Markdown file of the repository, including those of the generated project."""
    listed = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"]
    names = run("git", "-c", "safe.directory=*", *listed, folder=ROOT).stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def tokens(text: str) -> Iterator[Token]:
    """Yield the tokens of a page, including the inline tokens of its paragraphs."""
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        yield token
        yield from token.children or ()


def anchors(page: Path) -> list[str]:
    """Return the anchors of a page's headings in order, formed as GitHub does."""
    found = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", each.lower()).strip().replace(" ", "-") for each in found]


def broken_links(page: Path) -> list[str]:
    """Return the links of a page whose target is missing in the repository."""
    found = tokens(page.read_text(encoding="utf-8"))
    addresses = [token.attrGet("href") or token.attrGet("src") for token in found]
    return [each for each in addresses if isinstance(each, str) and not _resolves(page, each)]


def _resolves(page: Path, address: str) -> bool:
    if re.match(r"[a-z]+:", address):
        return True
    path, _, anchor = unquote(address).partition("#")
    target = page.parent / path if path else page
    return target.exists() and (not anchor or anchor in anchors(target))


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_inside_the_repository_leads_somewhere(page: Path) -> None:
    assert broken_links(page) == []


def test_a_link_that_leads_nowhere_is_seen(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# What it's for\n")
    (tmp_path / "page.md").write_text(
        "[a](there.md) [b](gone.md) [c](there.md#what-its-for) [d](there.md#gone) [e](#gone)\n\n"
        "| [f](gone/) | [g](https://example.com/gone) |\n| --- | --- |\n| ![h](gone.png) | |\n"
    )
    broken = ["gone.md", "there.md#gone", "#gone", "gone/", "gone.png"]
    assert broken_links(tmp_path / "page.md") == broken


def own_pages() -> list[Path]:
    """Return the pages about the template itself."""
    return [page for page in pages() if TEMPLATE_FOLDER not in page.parts]


def missing_paths(text: str) -> list[str]:
    """Return the paths in a page's code spans that do not exist: `folder/`, `folder/file.py`."""
    spans = [token.content for token in tokens(text) if token.type == "code_inline"]
    paths = [each for each in spans if re.fullmatch(r"[\w.{}-]+/([\w.{}/-]+\.\w+|[\w./-]*)", each)]
    places = [ROOT, ROOT / TEMPLATE_FOLDER]
    return [path for path in paths if not any((place / path).exists() for place in places)]


def test_every_path_in_the_pages_is_there() -> None:
    missing = {page: missing_paths(page.read_text(encoding="utf-8")) for page in own_pages()}
    assert {page: paths for page, paths in missing.items() if paths} == {}


def test_a_path_that_is_gone_is_seen() -> None:
    text = "`deployer/plan.py` `deployer/gone.py` `docs/` `gone/` `tests/bake` `python -m x`"
    assert missing_paths(text) == ["deployer/gone.py", "gone/"]


def tree(text: str) -> Iterator[str]:
    """Yield the paths of a directory tree on a page, relative to its top folder."""
    folders: list[str] = []
    for bars, name in re.findall(r"^([│ ]*)[├└]── (\S+)", text, re.MULTILINE):
        folders[len(bars) // 4 :] = [name]
        yield "".join(folders)


def test_the_tree_in_the_readme_is_what_a_project_has(default_project: Project) -> None:
    paths = [*tree((ROOT / "README.md").read_text(encoding="utf-8"))]
    assert "deployments/catalog.py" in paths
    assert [each for each in paths if not (default_project.path / each).exists()] == []


def test_every_picture_is_shown_and_small() -> None:
    pictures = sorted((ROOT / "docs/pictures").glob("*.png"))
    shown = re.findall(r"^!\[.+\]\((.+)\)$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    assert [each.relative_to(ROOT).as_posix() for each in pictures] == sorted(shown)
    assert [each.name for each in pictures if not 5_000 < each.stat().st_size < 150_000] == []


def test_the_readme_of_a_project_has_at_most_a_hundred_lines() -> None:
    readme = ROOT / TEMPLATE_FOLDER / "README.md"
    assert len(readme.read_text(encoding="utf-8").splitlines()) <= 100


def sessions(noxfile: Path) -> set[str]:
    """Return the names of a noxfile's sessions, from their functions or decorators."""
    names = set()
    for node in ast.parse(noxfile.read_text(encoding="utf-8")).body:
        for decorator in getattr(node, "decorator_list", ()):
            given = re.search(r"name='([\w-]+)'", ast.unparse(decorator))
            names.add(given[1] if given else getattr(node, "name", ""))
    return names


def test_every_session_in_the_pages_is_one() -> None:
    there = sessions(ROOT / "noxfile.py") | sessions(ROOT / TEMPLATE_FOLDER / "noxfile.py")
    assert there >= {"all", "lint", "up"}
    named = {
        page.relative_to(ROOT).as_posix(): set(
            re.findall(r"\bnox -s ([\w-]+)", page.read_text(encoding="utf-8"))
        )
        for page in own_pages()
    }
    assert named["CONTRIBUTING.md"] >= {"lint", "tests", "e2e"}
    assert {page: gone for page, each in named.items() if (gone := each - there)} == {}


# The diagram of the deployer's modules


@pytest.fixture(scope="module")
def graph() -> diagram.Imports:
    return diagram.imports(diagram.DEPLOYER)


@pytest.fixture(scope="module")
def picture() -> list[diagram.Box]:
    return diagram.parse(diagram.PAGE.read_text(encoding="utf-8"))[0]


def test_no_modules_of_the_deployer_import_each_other_in_a_circle(graph: diagram.Imports) -> None:
    assert len(graph) > 20
    TopologicalSorter(graph).prepare()


def test_the_deployer_has_at_most_eleven_layers(graph: diagram.Imports) -> None:
    assert diagram.layers(graph) <= MOST_LAYERS


def test_every_module_is_in_one_box(graph: diagram.Imports, picture: list[diagram.Box]) -> None:
    shown = [module for box in picture for module in box.modules]
    assert sorted(shown) == sorted(graph), "run `python -m tests.diagram` to redraw the diagram"


def test_no_import_goes_up_or_back(graph: diagram.Imports, picture: list[diagram.Box]) -> None:
    assert diagram.upward(picture, graph) == []


def test_the_arrows_are_the_imports_between_the_boxes(
    graph: diagram.Imports, picture: list[diagram.Box]
) -> None:
    drawn = diagram.parse(diagram.PAGE.read_text(encoding="utf-8"))[1]
    assert drawn == diagram.arrows(picture, graph), "run `python -m tests.diagram` to redraw it"


def test_the_deployer_imports_nothing_of_the_project() -> None:
    assert diagram.top_level_imports(diagram.DEPLOYER) & {
        "deployments",
        "flows",
        "tests",
        "tools",
    } == (set())


def package(folder: Path, **modules: str) -> diagram.Imports:
    """Create a package, and return the imports between its modules."""
    for name, text in {"__init__": "", **modules}.items():
        path = folder / "deployer" / f"{name.replace('__from__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return diagram.imports(folder / "deployer")


def test_imports_are_found_in_every_form(tmp_path: Path) -> None:
    found = package(
        tmp_path,
        a="import deployer.b\nfrom deployer import c\nfrom deployer.d import x\nimport deployers.e",
        b="def late():\n    from deployer.inner__from__e import y".replace("__from__", "."),
        c="from deployer import VERSION\nimport os",
        d="",
        e="",
        inner__from__e="from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import deployer.d",
    )
    assert found == {
        "__init__": set(),
        "a": {"b", "c", "d"},
        "b": {"inner.e"},
        "c": {"__init__"},
        "d": set(),
        "e": set(),
        "inner.e": {"d"},
    }


def test_an_import_that_goes_up_is_seen(tmp_path: Path) -> None:
    found = package(
        tmp_path, top="from deployer import low", low="", side="from deployer import top"
    )
    shown = [diagram.Box("t", "Top", ["__init__", "top"]), diagram.Box("l", "Low", ["side", "low"])]
    assert diagram.upward(shown, found) == ["side imports top"]


def test_a_circle_is_seen(tmp_path: Path) -> None:
    found = package(tmp_path, a="from deployer import b", b="def f():\n    import deployer.a")
    with pytest.raises(CycleError):
        diagram.layers(found)


def test_a_floor_too_many_is_seen(tmp_path: Path) -> None:
    chain = {f"m{n}": f"from deployer import m{n + 1}" for n in range(MOST_LAYERS)}
    found = package(tmp_path, **chain, **{f"m{MOST_LAYERS}": ""})
    assert diagram.layers(found) == MOST_LAYERS + 1


def test_drawing_again_finds_what_is_new_moved_or_gone(tmp_path: Path) -> None:
    found = package(
        tmp_path,
        door="from deployer import new, rules",
        new="from deployer import words",
        rules="from deployer import words",
        words="",
    )
    before = [
        diagram.Box("door", "Door", ["__init__", "door", "gone"]),
        diagram.Box("check", "Check", ["check.rules"]),
        diagram.Box("words", "Words", ["words"]),
    ]
    after = diagram.rearrange(before, found)
    assert [(box.id, box.modules) for box in after] == [
        ("door", ["__init__", "door"]),
        ("check", ["rules"]),
        ("words", ["new", "words"]),
    ]
    drawn = diagram.draw(after, found)
    assert diagram.parse(drawn) == (after, {("door", "check"), ("check", "words")})


# Decisions


def decisions() -> list[Path]:
    return sorted(path for path in DECISIONS.glob("*.md") if path.name != "README.md")


def test_every_decision_is_listed_with_its_title() -> None:
    listed = re.findall(
        r"^- \[(.+)\]\((.+)\)$",
        (DECISIONS / "README.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    titles = {path.name: path.read_text(encoding="utf-8").splitlines()[0] for path in decisions()}
    assert [(f"# {title}", name) for title, name in listed] == [
        (title, name) for name, title in titles.items()
    ]


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = [int(path.name[:4]) for path in decisions()]
    assert numbers == [*range(1, len(numbers) + 1)]
    assert numbers


@pytest.mark.parametrize("page", decisions(), ids=lambda page: page.stem)
def test_a_decision_is_one_short_page_with_the_same_parts(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    title, *parts = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    assert title.startswith(f"{int(page.name[:4])}. ")
    assert parts == PARTS
    assert len(text.split()) < 400
    assert re.search(r"\bnot\b.*\bbecause\b", text.split("## ")[2], re.DOTALL)


# Changes


def changes(text: str) -> tuple[str, list[tuple[str, str]]]:
    """Return the unreleased changes, and the headings below them: version and date.

    Raises:
        AssertionError: the page does not follow the format of keepachangelog.com.
    """
    head, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    assert head.startswith("# Changelog\n")
    (name, unreleased), *released = [each.partition("\n")[::2] for each in sections]
    assert name == "[Unreleased]"
    headings = [
        re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)", each) for each, _ in released
    ]
    assert all(headings), f"write ## [1.2.3] - 2026-11-25 in {[each for each, _ in released]}"
    kinds = re.findall(r"^### (.+)$", text, re.MULTILINE)
    assert {*kinds} <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    return unreleased.strip(), [(each[1], each[2]) for each in headings if each]


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(each) for each in version.split("."))


def version_agrees(version: str, text: str) -> bool:
    """Return whether the deployer's version agrees with the changelog.

    It must be the newest release, or higher than that if there are unreleased changes.
    """
    unreleased, released = changes(text)
    newest = released[0][0] if released else "0.0.0"
    return numbers(version) > numbers(newest) if unreleased else version == newest


def deployer_version() -> str:
    """Return `__version__` of the deployer, which each release record contains."""
    source = (ROOT / TEMPLATE_FOLDER / "deployer" / "__init__.py").read_text(encoding="utf-8")
    (version,) = [
        node.value
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__"
    ]
    return str(ast.literal_eval(version))


def test_the_version_of_the_deployer_is_the_one_of_the_changelog() -> None:
    assert version_agrees(deployer_version(), (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))


def test_the_releases_in_the_changelog_are_in_order() -> None:
    _, released = changes((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    order = [(date, numbers(version)) for version, date in released]
    assert order == sorted(order, reverse=True)


RELEASED = "# Changelog\n\n## [Unreleased]\n{}\n## [0.2.0] - 2026-12-01\n\n### Added\n\n- It.\n"
CHANGED = "\n### Fixed\n\n- That.\n"


@pytest.mark.parametrize(
    ("version", "text", "agrees"),
    [
        ("0.2.0", RELEASED.format(""), True),
        ("0.1.0", RELEASED.format(""), False),
        ("0.3.0", RELEASED.format(""), False),
        ("0.2.0", RELEASED.format(CHANGED), False),
        ("0.10.0", RELEASED.format(CHANGED), True),
    ],
)
def test_a_version_that_does_not_agree_is_seen(version: str, text: str, agrees: bool) -> None:
    assert version_agrees(version, text) == agrees


@pytest.mark.parametrize(
    "text",
    [
        "# Changelog\n\n## [0.2.0] - 2026-12-01\n",
        "# Changelog\n\n## [Unreleased]\n\n## 0.2.0\n",
        "# Changelog\n\n## [Unreleased]\n\n### News\n\n- It.\n",
    ],
)
def test_a_changelog_of_another_form_is_seen(text: str) -> None:
    with pytest.raises(AssertionError):
        changes(text)


# Issue forms


def check_forms(folder: Path, exit_code: int) -> str:
    """Run check-jsonschema on the issue forms in a folder and return its output."""
    forms = sorted(path for path in folder.glob("*.yml") if path.name != "config.yml")
    assert forms
    schema = "--builtin-schema=vendor.github-issue-forms"
    return run("check-jsonschema", schema, *forms, folder=ROOT, exit_code=exit_code).stdout


def test_the_issue_forms_fit_githubs_schema() -> None:
    check_forms(ROOT / FORMS, 0)
    schema = "--builtin-schema=vendor.github-issue-config"
    run("check-jsonschema", schema, f"{FORMS}/config.yml", folder=ROOT)


def test_an_issue_form_that_github_would_refuse_is_seen(tmp_path: Path) -> None:
    text = Project(ROOT).read(f"{FORMS}/bug.yml")
    (tmp_path / "bug.yml").write_text(text.replace("type: textarea", "type: text", 1))
    assert "bug.yml" in check_forms(tmp_path, 1)
