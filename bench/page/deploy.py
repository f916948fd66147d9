"""What the catalog of a new project declares, deployed with `flow.deploy()` alone."""

import os
from typing import Any

from flows.advanced_flow import advanced_flow
from flows.basic_flow import basic_data_flow
from prefect.docker import DockerImage
from prefect.schedules import Cron, Interval

# No registry has the stand-in of the base image, so none can be asked whether it has a newer one.
WHERE: dict[str, Any] = {
    "work_pool_name": "docker-pool",
    "image": DockerImage(os.environ["IMAGE"], pull=False),
}
# One image is built for all.
BUILT = {**WHERE, "build": False, "push": False}

if __name__ == "__main__":
    basic_data_flow.deploy(
        name="hourly-page",
        schedules=[Interval(3600)],
        parameters={"rows": 500},
        tags=["demo", "basic"],
        **WHERE,
    )
    advanced_flow.deploy(
        name="nightly-page",
        schedules=[Cron("0 3 * * *", timezone="UTC")],
        tags=["demo", "advanced"],
        **BUILT,
    )
    advanced_flow.deploy(name="manual-page", tags=["demo", "advanced"], **BUILT)
