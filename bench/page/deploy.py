"""The deployments of a new project's catalog, deployed with `flow.deploy()`."""

import os
from typing import Any

from flows.advanced_flow import advanced_flow
from flows.basic_flow import basic_data_flow
from prefect.docker import DockerImage
from prefect.schedules import Cron, Interval

# No pull: the stand-in for the base image is in no registry.
# The bench sets BENCH_NO_CACHE for the first push.
WHERE: dict[str, Any] = {
    "work_pool_name": "docker-pool",
    "image": DockerImage(os.environ["IMAGE"], pull=False, nocache="BENCH_NO_CACHE" in os.environ),
}
# The other deployments use the image that the first one builds.
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
