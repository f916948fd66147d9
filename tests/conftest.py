"""What all tests share: a clean copy of the template, and projects baked from it."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

from tests.baking import Project, bake_into, copy_template

# So that a failed assertion in there shows both sides, as in a test.
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


# These files use the small project in production, which takes a minute to get there: three files
# share one. All six together would be the last to end.
SITES = (("push", "real_actions", "trust"), ("operate", "private_index", "pull_request"))
GROUPS = {f"tests/e2e/test_{name}.py": names[0] for names in SITES for name in names}


class Scheduling(LoadFileScheduling):  # type: ignore[misc]
    """A file's tests stay in one process, and so do those of files that share a site."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return GROUPS.get(file, file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """Tell pytest-xdist which tests stay together."""
    return Scheduling(config, log)


@pytest.fixture(scope="session", autouse=True)
def _nobodys_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the person's own settings of cookiecutter and git apart from the tests."""
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
            # All processes of one run share it: installing the hooks takes a minute.
            base = tmp_path_factory.getbasetemp()
            shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
            patch.setenv("PRE_COMMIT_HOME", str(shared / "pre-commit"))
        # Git sets these when it runs the tests from a hook, and then every repository is that one.
        for name in [
            name for name in os.environ if name in {"GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"}
        ]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template as it is now, without what git ignores, at a path with a space."""
    return copy_template(tmp_path_factory.mktemp("template") / "prefect template")


@pytest.fixture
def bake(template: Path, tmp_path: Path) -> Callable[..., Project]:
    """`bake(**answers)` generates a project at a path with a space; the rest are defaults."""
    return lambda **answers: bake_into(tmp_path / "some projects", template, **answers)


@pytest.fixture(scope="session")
def default_project(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with all the defaults, to be looked at and never changed."""
    return bake_into(tmp_path_factory.mktemp("default"), template)
