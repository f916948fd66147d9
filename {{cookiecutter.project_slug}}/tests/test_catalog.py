"""The catalog passes the check that runs before every deploy."""

import subprocess
import sys

from flows.advanced_flow import PROJECT


def test_the_catalog_passes_the_check():
    command = [sys.executable, "-m", "deployer", "check"]
    answer = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)

    assert answer.returncode == 0, answer.stderr
