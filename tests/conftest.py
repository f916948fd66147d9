"""Fixtures of all tests: a clean copy of the template, and projects generated from it."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

from tests.baking import Project, bake_into, copy_template

# Failed assertions in this module then show both sides, as in a test.
pytest.register_assert_rewrite("tests.bake.answering")

GIT_CONFIG = """\
[user]
    name = A Tester
    email = tester@example.com
[init]
    defaultBranch = main
[commit]
    gpgSign = false
[safe]
    directory = *
"""


# These files use the fixture `site`, which takes a minute to set up. Files of one group run in the
# same process and share it. One group of all six would be the last to finish.
SITES = (("push", "real_actions", "trust"), ("operate", "private_index", "pull_request"))
GROUPS = {f"tests/e2e/test_{name}.py": names[0] for names in SITES for name in names}


class Scheduling(LoadFileScheduling):  # type: ignore[misc]
    """Keep the tests of a file in one process, and those of a group of files too."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return GROUPS.get(file, file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """Let pytest-xdist use this scheduling."""
    return Scheduling(config, log)


def pytest_configure() -> None:
    """Stop ignoring the signals that a background job, or `nohup`, ignores.

    Every program that a test starts and interrupts would ignore them too.
    """
    for name, handler in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.fixture(scope="session", autouse=True)
def _isolated_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Use settings of cookiecutter and git that are independent of the user's."""
    home = tmp_path_factory.mktemp("settings")
    cookiecutter = home / "cookiecutter.yaml"
    cookiecutter.write_text(f"replay_dir: {home}/replay\ncookiecutters_dir: {home}/clones\n")
    git = home / "gitconfig"
    git.write_text(GIT_CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COOKIECUTTER_CONFIG", str(cookiecutter))
        patch.setenv("GIT_CONFIG_GLOBAL", str(git))
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        if "PRE_COMMIT_HOME" not in os.environ:
            # All processes of a run share this folder: installing the hooks takes a minute.
            base = tmp_path_factory.getbasetemp()
            shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
            patch.setenv("PRE_COMMIT_HOME", str(shared / "pre-commit"))
        # Git sets these if a hook runs the tests; then all git commands would use that repository.
        for name in [
            name for name in os.environ if name in {"GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"}
        ]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the template's working tree without ignored files, at a path with a space."""
    return copy_template(tmp_path_factory.mktemp("template") / "prefect template")


@pytest.fixture
def bake(template: Path, tmp_path: Path) -> Callable[..., Project]:
    """`bake(**answers)` generates a project at a path with a space; other answers are defaults."""
    return lambda **answers: bake_into(tmp_path / "some projects", template, **answers)


@pytest.fixture(scope="session")
def default_project(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with all default answers. Tests must not change it."""
    return bake_into(tmp_path_factory.mktemp("default"), template)
