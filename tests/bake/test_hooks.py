import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import post_gen_project
import pre_gen_project
from tests.bake.answering import DEFAULTS, parse_toml
from tests.baking import ROOT, TEMPLATE_FOLDER, Project

HOOKS = ROOT / "hooks"


def dependencies(project: Project) -> set[str]:
    """Return the names of the project's direct dependencies."""
    pyproject = parse_toml(project.read("pyproject.toml"))
    groups = [pyproject["project"]["dependencies"], *pyproject["dependency-groups"].values()]
    requirements = [item for group in groups for item in group if isinstance(item, str)]
    return {
        re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower().replace("_", "-")
        for requirement in requirements
    }


@pytest.mark.parametrize("value", ["a", "flows2", "sales-reports", "a_b-c", "x" * 50])
def test_a_lower_case_name_is_a_good_slug(value: str) -> None:
    assert pre_gen_project.check_project_slug(value) is None


@pytest.mark.parametrize(
    "value",
    [
        *["", "A", "1a", "-a", "a-", "a--b", "a-_b", "a.b", "a b", "a/b", "..", "/a", "é", "a\n"],
        *["x" * 51, "flows", "deployments", "deployer", "tests"],
        *["test", "docker", "local", "prefect", "class", "json", "sqlite3"],
        *["prefect-docker", "prefect_docker", "pre_commit"],
    ],
)
def test_a_name_that_something_else_has_or_cannot_have_is_a_bad_slug(value: str) -> None:
    assert pre_gen_project.check_project_slug(value)


@pytest.mark.parametrize(
    "value", ["a", "Größe 7", "我的项目", "🚀 to the moon", 'it\'s "1" \\ $(x) `y`']
)
def test_any_printable_line_is_a_good_title_and_description(value: str) -> None:
    assert pre_gen_project.check_project_name(value) is None
    assert pre_gen_project.check_description(value) is None


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        " a",
        "a ",
        "a\nb",
        "a\tb",
        "a\0",
        "a\x1b[1m",
        "a\u202eb",
        "a{{b",
        "}}",
        "{%",
        "%}",
        "{#",
        "#}",
    ],
)
def test_a_line_that_is_empty_unprintable_or_jinja_is_neither(value: str) -> None:
    assert pre_gen_project.check_project_name(value)
    assert pre_gen_project.check_description(value)


def test_titles_and_descriptions_have_a_longest_length() -> None:
    assert pre_gen_project.check_project_name("x" * 80) is None
    assert pre_gen_project.check_project_name("x" * 81)
    assert pre_gen_project.check_description("x" * 200) is None
    assert pre_gen_project.check_description("x" * 201)


@pytest.mark.parametrize(
    "value", ["docker-pool", "Pool 1", "größe.x_y", "池", "locally", "x" * 100]
)
def test_letters_and_digits_of_any_script_are_a_good_work_pool(value: str) -> None:
    assert pre_gen_project.check_work_pool_name(value) is None


@pytest.mark.parametrize(
    "value",
    [
        *["", " a", "a ", "a\tb", "a\nb", 'a"b', "a'b", "a/b", "a%b", "a<b", "a&b", "🚀", "{{a}}"],
        *["prefect", "prefect-x", "Prefect", "PREFECTX", "local", "Local", "x" * 101, ".", "-a"],
    ],
)
def test_a_name_that_prefect_or_the_laptop_keeps_is_a_bad_work_pool(value: str) -> None:
    assert pre_gen_project.check_work_pool_name(value)


@pytest.mark.parametrize("value", ["", "Docker", "process", "ecs"])
def test_only_types_with_a_worker_are_good(value: str) -> None:
    assert pre_gen_project.check_work_pool_type("kubernetes") is None
    assert pre_gen_project.check_work_pool_type(value)


@pytest.mark.parametrize("question", pre_gen_project.QUESTIONS)
def test_the_example_of_each_error_follows_the_rule(question: str) -> None:
    check, example = pre_gen_project.QUESTIONS[question]
    assert check(example) is None


def test_an_error_names_the_question_the_value_the_rule_and_an_example() -> None:
    [error] = pre_gen_project.errors({**DEFAULTS, "project_slug": "Sales"})
    assert error == (
        "project_slug is 'Sales': it must begin with a lower-case letter and go on with lower-case "
        "letters and digits, with single - or _ between them, for example 'sales-reports'."
    )


def test_a_long_or_unprintable_value_is_shown_short_and_on_one_line() -> None:
    [error] = pre_gen_project.errors({**DEFAULTS, "description": "a\n\0" * 100})
    assert error.isprintable()
    assert "(300 characters)" in error
    assert len(error) < 300


def test_good_answers_pass_without_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert pre_gen_project.main(DEFAULTS) == 0
    assert capsys.readouterr() == ("", "")


def test_all_bad_answers_are_named_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert pre_gen_project.main(dict.fromkeys(DEFAULTS, "")) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.split(" is ")[0] for line in err.splitlines()] == list(DEFAULTS)


def test_the_slug_is_checked_against_what_the_project_really_depends_on(
    default_project: Project,
) -> None:
    assert dependencies(default_project) == pre_gen_project.DEPENDENCIES


def test_the_slug_is_checked_against_the_folders_that_really_exist(
    default_project: Project,
) -> None:
    folders = {path.split("/")[0] for path in default_project.files() if "/" in path}
    assert {folder for folder in folders if not folder.startswith(".")} == pre_gen_project.FOLDERS


def test_every_question_has_a_rule_and_a_sentence(template: Path) -> None:
    settings = json.loads((template / "cookiecutter.json").read_text())
    asked = [name for name in settings if not name.startswith("_")]
    assert asked == list(pre_gen_project.QUESTIONS) == list(DEFAULTS)
    assert list(settings["__prompts__"]) == asked
    assert tuple(settings["work_pool_type"]) == pre_gen_project.WORK_POOL_TYPES


@pytest.mark.parametrize("hook", ["pre_gen_project.py", "post_gen_project.py"])
def test_a_hook_says_why_it_is_needed(hook: str) -> None:
    assert "Why a hook:" in (HOOKS / hook).read_text()


def test_the_next_commands_fit_the_shell_and_the_folder(tmp_path: Path) -> None:
    project = tmp_path / "it's here" / "$(flows)"
    change, *_, up = post_gen_project.next_commands(project, tmp_path)
    project.mkdir(parents=True)
    done = subprocess.run(
        ["bash", "-c", f"{change} && pwd"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert Path(done.stdout.strip()) == project
    assert post_gen_project.next_commands(project, tmp_path / "elsewhere")[0].startswith("cd '/")
    assert up == "uvx nox -s dev && uvx nox -s up"


def test_caches_of_tools_do_not_stay_in_a_new_project(tmp_path: Path) -> None:
    for folder in (".ruff_cache/x", "flows/__pycache__", "flows/data", ".prefect"):
        (tmp_path / folder).mkdir(parents=True)
    post_gen_project.main(tmp_path, tmp_path, "docker")
    post_gen_project.main(tmp_path, tmp_path, "docker")
    assert sorted(path.name for path in tmp_path.rglob("*")) == [".prefect", "data", "flows"]


@pytest.mark.parametrize("work_pool_type", pre_gen_project.WORK_POOL_TYPES)
def test_a_project_keeps_only_the_files_of_its_type_of_work_pool(
    tmp_path: Path, work_pool_type: str
) -> None:
    of_types = {name: kind for kind, names in post_gen_project.FILES_OF.items() for name in names}
    for name in [*of_types, "deployments/catalog.py"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    post_gen_project.main(tmp_path, tmp_path, work_pool_type)
    post_gen_project.main(tmp_path, tmp_path, work_pool_type)
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")}
    chosen = {name for name, kind in of_types.items() if kind == work_pool_type}
    assert left == {"deployments/catalog.py", *chosen}


def test_every_file_that_may_be_removed_is_one_of_the_template(template: Path) -> None:
    names = [name for names in post_gen_project.FILES_OF.values() for name in names]
    assert [name for name in names if not (template / TEMPLATE_FOLDER / name).is_file()] == []
    assert set(post_gen_project.FILES_OF) <= set(pre_gen_project.WORK_POOL_TYPES)


def test_an_update_does_not_name_the_folders_it_makes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old/.cruft.json").write_text("{}")
    post_gen_project.main(tmp_path / "new", tmp_path, "docker")
    assert "cd new" in capsys.readouterr().out
    post_gen_project.main(tmp_path / "new", tmp_path / "old", "docker")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("hook", ["pre_gen_project.py", "post_gen_project.py"])
def test_a_hook_needs_nothing_but_the_standard_library(hook: str) -> None:
    imports = ["-c", f"import runpy; runpy.run_path({str(HOOKS / hook)!r}, run_name='hook')"]
    subprocess.run([sys.executable, "-I", "-S", *imports], check=True)
