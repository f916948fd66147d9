"""Deploy the catalog to a process work pool of this machine, which runs the working tree.

`python -m deployments.deploy_flow`; then `prefect worker start --pool local --type process`.
"""

from __future__ import annotations

import sys

from deployer.cli import main


def deploy() -> int:
    """Return 0 if it is deployed; otherwise what failed has said why."""
    return main(["setup", "local"]) or main(["deploy", "local", "--no-verify"])


if __name__ == "__main__":
    sys.exit(deploy())
