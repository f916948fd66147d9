"""What is deployed can be deployed: the check that also runs before every deploy, without a server."""

import subprocess
import sys

from flows.advanced_flow import PROJECT


def test_the_catalog_passes_the_check():
    command = [sys.executable, "-m", "deployer", "check"]
    answer = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)

    assert answer.returncode == 0, answer.stderr
