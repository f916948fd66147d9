"""Every answer is either refused before any file is written, or ends up in the files unchanged."""

import itertools
import string
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from cookiecutter.exceptions import FailedHookException
from cookiecutter.utils import create_env_with_context
from hypothesis import given, settings
from hypothesis import strategies as st

import pre_gen_project
from tests.bake.answering import DEFAULTS, assert_says, type_answers
from tests.baking import Project, bake_into

ACCEPTED: list[dict[str, str]] = [
    {"project_name": 'O\'Neil "and" Sons'},
    {"project_name": "数据管道 🚀", "project_slug": "data-pipe"},
    {"project_name": "C#"},
    {"project_name": "# not a heading #"},
    {"project_name": "1. First, 2) second"},
    {"project_name": "- item"},
    {"project_name": "---", "project_slug": "dashes"},
    {"project_name": "===", "project_slug": "equals"},
    {"project_name": "a *b* _c_ [d](e) ![f](g) <h> ~i~ |j| $k$ :smile:"},
    {"project_name": "AT&amp;T \\& &copy;"},
    {"project_name": "x" * 80},
    {"description": 'Runs "nightly" on C:\\new\\table\\'},
    {"description": "Costs $(whoami) `id` ${HOME} %s {0} {x}"},
    {"description": "<script>alert(1)</script> <https://example.com> www.example.com a@b.co"},
    {"description": "AT&amp;T \\& &copy; # C#"},
    {"description": "- not a list"},
    {"description": "+ 1"},
    {"description": "1986. A great year"},
    {"description": "> not a quotation"},
    {"description": "~~~ not a fence"},
    {"description": "``` nor this"},
    {"description": "'''\"\"\" \\u0041 \\"},
    {"description": "Prüft die Größe – täglich… 👍🏽"},
    {"description": "https://example.com/?a=b&c=d#e_f_g"},
    {"description": "x" * 200},
    {"project_slug": "a"},
    {"project_slug": "x" * 50},
    {"project_slug": "sales_reports-2"},
    {"work_pool_type": "kubernetes"},
    {"work_pool_name": "Größe 7_a.b-c"},
    {"work_pool_name": "我的池"},
    {"work_pool_name": "my-prefect-pool"},
]

REFUSED: list[dict[str, str]] = [
    dict.fromkeys(DEFAULTS, ""),
    {"project_name": " ", "description": " padded"},
    {"project_name": "two\nlines", "description": "tab\there"},
    {"project_name": "nul\0", "description": "\x1b[31mred"},
    {"project_name": "lone \ud800", "description": "\u202etxt.exe"},
    {"project_name": "{{ 7*7 }}", "description": "{% raw %}"},
    {"project_name": "{# x #}", "description": "{{ cookiecutter.__class__ }}"},
    {"project_name": "x" * 300, "project_slug": "x" * 300, "description": "x" * 300},
    {"project_slug": "Sales", "work_pool_name": "x" * 300},
    {"project_slug": "a/b", "work_pool_name": "a/b"},
    {"project_slug": "../outside", "work_pool_name": "../outside"},
    {"project_slug": "/outside"},
    {"project_slug": "a\\b"},
    {"project_slug": "."},
    {"project_slug": "a b"},
    {"project_slug": "a\n"},
    {"project_slug": "a\0"},
    {"project_slug": "$(x)"},
    {"project_slug": "`x`"},
    {"project_slug": "{{ 7*7 }}"},
    {"project_slug": "größe"},
    {"project_slug": "🚀"},
    {"project_slug": "flows"},
    {"project_slug": "prefect"},
    {"project_slug": "test"},
    {"project_slug": "Prefect_Docker"},
    {"work_pool_name": "prefect-x"},
    {"work_pool_name": "Prefect"},
    {"work_pool_name": "local"},
    {"work_pool_name": 'a"b'},
    {"work_pool_name": "a\nb"},
    {"work_pool_name": "{{ 7*7 }}"},
    {"work_pool_name": "$(x) `y` 🚀"},
    {"work_pool_type": "process", "work_pool_name": "-"},
]


def short(answers: dict[str, str]) -> str:
    return repr(answers)[:60]


@pytest.mark.parametrize("answers", ACCEPTED, ids=short)
def test_a_strange_but_sound_answer_comes_back_unchanged(
    template: Path, tmp_path: Path, answers: dict[str, str]
) -> None:
    # These defaults depend on other answers, so set them.
    answers = {"project_slug": "my-prefect-flows", "work_pool_name": "pool"} | answers
    assert_says(type_answers(template, tmp_path, answers), DEFAULTS | answers)


@pytest.mark.parametrize("answers", REFUSED, ids=short)
def test_bad_answers_are_refused_together_and_nothing_is_written(
    template: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], answers: dict[str, str]
) -> None:
    folder = tmp_path / "projects"
    folder.mkdir()
    with pytest.raises(FailedHookException):
        type_answers(template, folder, DEFAULTS | answers)
    sentences = [line for line in capfd.readouterr().err.splitlines() if ", for example " in line]
    assert [sentence.split(" is ")[0] for sentence in sentences] == [
        question for question in DEFAULTS if question in answers
    ]
    for sentence in sentences:
        question = sentence.split(" is ")[0]
        assert pre_gen_project.shown(answers[question]) in sentence
    assert list(tmp_path.rglob("*")) == [folder]


def test_a_refusal_leaves_an_older_project_alone(template: Path, tmp_path: Path) -> None:
    older = type_answers(template, tmp_path, DEFAULTS)
    before = older.files()
    with pytest.raises(FailedHookException):
        type_answers(template, tmp_path, DEFAULTS | {"project_slug": "my-prefect-flows/flows/new"})
    assert older.files() == before


def test_a_long_name_makes_a_slug_that_is_accepted(bake: Callable[..., Project]) -> None:
    project = bake(project_name="The long history of the " * 3 + "town")
    assert project.path.name == "the-long-history-of-the-the-long-history-of-the-th"


@pytest.fixture(scope="module")
def new_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Return a function that creates an empty folder, for each example of a property test."""
    base = tmp_path_factory.mktemp("examples")
    numbers = itertools.count()

    def make() -> Path:
        folder = base / str(next(numbers))
        folder.mkdir()
        return folder

    return make


def assert_refused_or_right(
    make: Callable[[], Project], folder: Path, answers: Mapping[str, str]
) -> None:
    """Assert that invalid answers leave no files, and valid ones are in the project unchanged."""
    try:
        project = make()
    except FailedHookException:
        assert pre_gen_project.errors(dict(answers)) != []
        assert list(folder.iterdir()) == []
    else:
        assert pre_gen_project.errors(dict(answers)) == []
        assert_says(project, answers)


# Mostly characters that are special in TOML, Markdown, Jinja or a shell.
tricky = st.one_of(st.sampled_from(string.punctuation + "  1a\n\t\0"), st.characters(codec="utf-8"))
anything = st.text(tricky, max_size=12)
printable = st.one_of(
    st.sampled_from(string.punctuation + " 1a"),
    st.characters(codec="utf-8", exclude_categories=("C", "Z")),
)


def is_sound(text: str) -> bool:
    jinja = ("{{", "}}", "{%", "%}", "{#", "#}")
    return text == text.strip() and not any(mark in text for mark in jinja)


sound_line = st.text(printable, min_size=1, max_size=40).filter(is_sound)
sound_slug = st.from_regex(r"\Ax[a-z0-9]{1,6}([-_][a-z0-9]{1,6}){0,3}\Z")
sound_pool = st.from_regex(r"\A[^\W_]([\w .-]{0,20}[^\W_])?\Z").filter(
    lambda name: not name.lower().startswith("prefect") and name.lower() != "local"
)
pool_types = st.sampled_from(["docker", "kubernetes"])


@settings(max_examples=50, deadline=None)
@given(
    answers=st.fixed_dictionaries(
        {
            "project_name": anything,
            "project_slug": st.one_of(anything, sound_slug),
            "description": anything,
            "work_pool_type": st.one_of(anything, pool_types),
            "work_pool_name": st.one_of(anything, sound_pool),
        }
    )
)
def test_whatever_is_typed_is_refused_or_comes_back_unchanged(
    template: Path, new_folder: Callable[[], Path], answers: dict[str, str]
) -> None:
    folder = new_folder()
    assert_refused_or_right(lambda: type_answers(template, folder, answers), folder, answers)


@settings(max_examples=50, deadline=None)
@given(
    answers=st.fixed_dictionaries(
        {
            "project_name": sound_line,
            "project_slug": sound_slug,
            "description": sound_line,
            "work_pool_type": pool_types,
            "work_pool_name": sound_pool,
        }
    )
)
def test_whatever_follows_the_rules_is_accepted_and_comes_back_unchanged(
    template: Path, new_folder: Callable[[], Path], answers: dict[str, str]
) -> None:
    assert_says(type_answers(template, new_folder(), answers), answers)


@settings(max_examples=50, deadline=None)
@given(
    name=st.one_of(sound_line, st.text("{}%# '\"7*/\n", max_size=12)),
    description=st.one_of(sound_line, st.text("{}%# '\"7*/\n", max_size=12)),
)
def test_whatever_is_given_on_the_command_line_counts_as_cookiecutter_renders_it(
    template: Path, new_folder: Callable[[], Path], name: str, description: str
) -> None:
    """Cookiecutter renders answers of the command line before the hooks get them."""
    folder = new_folder()
    given_answers = {**DEFAULTS, "project_name": name, "description": description}
    try:
        jinja = create_env_with_context({"cookiecutter": {}})
        rendered = {key: jinja.from_string(text).render() for key, text in given_answers.items()}
    except Exception:
        # Not valid Jinja: cookiecutter fails by itself and writes nothing.
        with pytest.raises(Exception):  # noqa: B017, PT011 - whichever error Jinja has for it
            bake_into(folder, template, **given_answers)
        assert list(folder.iterdir()) == []
    else:
        assert_refused_or_right(
            lambda: bake_into(folder, template, **given_answers), folder, rendered
        )
