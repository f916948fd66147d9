"""Build the images, and deploy the catalog to a local Docker work pool, without a push.

`python -m deployments.flow_deploy`; then `prefect worker start --pool local-docker --type docker`.
"""

from __future__ import annotations

import sys

from deployer.cli import main
from deployer.errors import DeployerError
from deployer.image_references import options
from tools import image


def deploy() -> int:
    """Return 0 if it is deployed; otherwise the command that failed has printed why."""
    try:
        built = image.build_all()
    except DeployerError as error:
        sys.exit(f"error: {error}")
    return main(["setup", "local-docker"]) or main(
        ["deploy", "local-docker", *options(built), "--no-verify"]
    )


if __name__ == "__main__":
    sys.exit(deploy())
