from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from bench.deploys import ERRORS, SCRIPT, refuse_errors


def test_a_deploy_that_fails_in_part_has_no_time() -> None:
    with pytest.raises(RuntimeError, match="deploy everything"):
        refuse_errors(SCRIPT, f"Building image...\n{ERRORS}:\n")
    refuse_errors(SCRIPT, "Successfully created/updated all deployments!\n")


def test_the_words_of_a_failed_deploy_are_those_of_prefect() -> None:
    prefect = find_spec("prefect")
    assert prefect
    assert prefect.origin
    assert ERRORS in (Path(prefect.origin).parent / "deployments" / "runner.py").read_text("utf-8")
