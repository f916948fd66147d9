"""What is deployed: one entry for each deployment.

An entry is a flow and options of `Flow.deploy`, with the same names:
https://docs.prefect.io/v3/how-to-guides/deployments/create-deployments
`smoke` has the parameters of one run after each deploy; the run has to complete.
A list RESOURCES may hold Variables, concurrency limits and automations: docs/deploying.md.
"""

from prefect.schedules import Cron, Interval

from deployer import Deployment
from flows.advanced_flow import advanced_flow
from flows.basic_flow import basic_data_flow

CATALOG = [
    Deployment(
        basic_data_flow,
        name="hourly",
        schedules=[Interval(3600, slug="every-hour")],
        parameters={"rows": 500},
        tags=["demo", "basic"],
        smoke={"rows": 20},
    ),
    Deployment(
        advanced_flow,
        name="nightly",
        schedules=[Cron("0 3 * * *", timezone="UTC", slug="at-night")],
        tags=["demo", "advanced"],
        smoke={},
    ),
    Deployment(advanced_flow, name="manual", tags=["demo", "advanced"]),
]
