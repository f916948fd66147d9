"""Deploy the catalog to a local process work pool, whose runs use the working tree.

`python -m deployments.deploy_flow`; then `prefect worker start --pool local --type process`.
"""

from __future__ import annotations

import sys

from deployer.cli import main


def deploy() -> int:
    """Return 0 if it is deployed; otherwise the command that failed has printed why."""
    return main(["setup", "local"]) or main(["deploy", "local", "--no-verify"])


if __name__ == "__main__":
    sys.exit(deploy())
