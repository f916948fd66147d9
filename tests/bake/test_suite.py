"""The configuration of the test suite covers all test files."""

import tomllib

from tests.baking import ROOT
from tests.conftest import GROUPS


def test_every_folder_with_tests_is_run() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]
    found = {str(file.parent.relative_to(ROOT)) for file in ROOT.glob("tests/**/test_*.py")}
    assert sorted(settings["testpaths"]) == sorted(found)


def test_the_files_that_share_a_site_are_there() -> None:
    assert {file for file in GROUPS if not (ROOT / file).is_file()} == set()
    users = {file for file in ROOT.glob("tests/e2e/test_*.py") if "site: Site" in file.read_text()}
    assert {str(file.relative_to(ROOT)) for file in users} == set(GROUPS)
