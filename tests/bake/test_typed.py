"""Each command in the documentation is run by a test, or RUN_BY gives the reason why not."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.bake.test_chinese import CHINESE, read
from tests.bake.test_docs import pages, tokens
from tests.baking import ROOT

NEEDS_GITHUB = "needs GitHub, which tests do not use; "
NEEDS_CLUSTER = "needs a cluster; tests/deployer/test_kubernetes.py checks the values and the jobs"
# The start of each command, with the test that runs it, or the reason why none does.
RUN_BY = {
    # The template
    "uvx nox -s demo": "tests/project/test_up.py::"
    "test_the_demo_runs_in_a_clone_and_leaves_neither_process_nor_file",
    "uvx cookiecutter gh:": "tests/bake/test_commands.py::"
    "test_cookiecutter_makes_a_project_offline_and_says_what_to_do_next",
    "git clone https://github.com/": NEEDS_GITHUB + "tests/project/test_up.py works in a clone",
    "uvx nox -s tests -- tests/bake/test_hooks.py": "it would run tests inside a test; CI runs it",
    "sudo apt-get install": "it changes the machine",
    "python -m deployer import --tag": "tests/deployer/test_importing.py::"
    "test_what_plain_prefect_deployed_is_taken_over_and_nothing_differs_but_what_was_reported",
    "python -m deployer import --from": "tests/deployer/test_importing.py::"
    "test_a_prefect_yaml_and_what_prefect_made_of_it_become_the_same_catalog",
    "python -m deployer plan production --adopt": "tests/deployer/test_importing.py::"
    "test_what_plain_prefect_deployed_is_taken_over_and_nothing_differs_but_what_was_reported",
    # A project's README
    "git init -b main && git add . && git commit": "tests/bake/test_commands.py::"
    "test_the_first_two_commands_it_says_work_as_they_are",
    "uvx nox -s dev": "its parts are run: tests/project/test_install.py and test_activate.py",
    "uvx nox -s up": "tests/project/test_up.py::"
    "test_ctrl_c_is_the_end_of_up_and_the_next_one_changes_nothing",
    "gh repo create": NEEDS_GITHUB + "it is a command of gh",
    "export PREFECT_API_URL=": "a shell builtin; every test of the deployer sets the variable",
    "uvx nox -s setup -- production": "tests/deployer/test_kubernetes.py::"
    "test_setup_creates_the_pool_with_the_template_and_a_second_one_changes_nothing",
    "uvx nox -s github": "tests/project/test_sessions.py::"
    "test_the_session_that_sets_github_up_passes_over_the_laptops_own_server",
    "git commit --all --message": NEEDS_GITHUB + "it is a command of git",
    "git push -u origin main": NEEDS_GITHUB + "tests/e2e/test_push.py starts after it",
    # A project's pages
    "$ ": "tests/deployer/test_transcript.py::test_the_transcript_in_the_docs_is_what_happens",
    "sed -i 's|^RUN python|": "tests/e2e/test_image.py::"
    "test_a_password_for_a_package_index_gets_into_the_build_and_nowhere_else",
    "helm ": NEEDS_CLUSTER,
    "kubectl create secret": NEEDS_CLUSTER,
    "printf 'WORK_POOL=": "tests/project/test_compose.py writes that file itself",
    "docker compose up": "tests/project/test_compose.py::"
    "test_the_stack_comes_up_runs_a_flow_and_survives_going_down",
    "uvx nox -s update": "tests/bake/test_update.py::"
    "test_what_is_new_comes_what_is_the_persons_stays_and_the_lock_follows",
    "gh secret set": NEEDS_GITHUB + "it is a command of gh",
    "git fetch origin template-update": NEEDS_GITHUB + "it is a command of git",
    "git commit --allow-empty": NEEDS_GITHUB + "it is a command of git",
    'export="uv export': "tests/project/test_switch_to_uv.py::"
    "test_after_the_switch_the_commit_hook_exports_the_same_packages_from_uvs_lock",
    "sed -i -e 's|&poetry": "tests/project/test_switch_to_uv.py::"
    "test_after_the_switch_the_commit_hook_exports_the_same_packages_from_uvs_lock",
    "git rm --quiet --cached poetry.lock": "tests/project/test_switch_to_uv.py::"
    "test_after_the_switch_the_commit_hook_exports_the_same_packages_from_uvs_lock",
    "uv lock && git add uv.lock": "tests/project/test_switch_to_uv.py::"
    "test_after_the_switch_the_commit_hook_exports_the_same_packages_from_uvs_lock",
}


def typed(text: str) -> Iterator[str]:
    """Yield the commands of a page: lines of `sh` blocks, lines with `$ ` of `console` blocks."""
    for token in tokens(text):
        if token.type == "fence":
            lines = re.sub(r" *\\\n *", " ", token.content).splitlines()
            if token.info == "sh":
                yield from (line for line in lines if line.strip() and not line.startswith("#"))
            elif token.info == "console":
                yield from (line for line in lines if line.startswith("$ "))


def unknown(commands: list[str]) -> list[str]:
    return [each for each in commands if not each.startswith((*RUN_BY,))]


# Not those of the Chinese pages: they are the same.
COMMANDS = [
    command for page in pages() if not page.name.endswith(CHINESE) for command in typed(read(page))
]


def test_every_command_of_the_pages_is_run_or_it_is_said_why_not() -> None:
    assert unknown(COMMANDS) == []


def test_a_command_that_nobody_runs_is_seen() -> None:
    text = (
        "```sh\nuvx nox -s up # it\n# no\n\nuvx nox \\\n  -s down\n```\n```console\n$ x\nhi\n```\n"
    )
    assert [*typed(text)] == ["uvx nox -s up # it", "uvx nox -s down", "$ x"]
    assert unknown([*typed(text)]) == ["uvx nox -s down"]


@pytest.mark.parametrize("start", RUN_BY)
def test_what_runs_a_command_is_there_and_so_is_the_command(start: str) -> None:
    assert any(command.startswith(start) for command in COMMANDS)
    path, _, name = RUN_BY[start].partition("::")
    if name:
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8")
