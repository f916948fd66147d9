"""Fixtures for all tests: https://docs.pytest.org/en/stable/reference/fixtures.html."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

# Set before Prefect is imported, so that it neither reads nor writes the user's own ~/.prefect.
HOME = TemporaryDirectory(prefix="prefect-home-")
os.environ.update(
    PREFECT_HOME=HOME.name, PREFECT_SERVER_ANALYTICS_ENABLED="false", DO_NOT_TRACK="1"
)

from prefect.testing.utilities import prefect_test_harness  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def prefect_server() -> Iterator[None]:
    """Run every flow of these tests against a temporary server."""
    with prefect_test_harness(server_startup_timeout=120):
        yield
    HOME.cleanup()


@pytest.fixture(autouse=True)
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run every test in an empty folder, as a worker does with a flow."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
