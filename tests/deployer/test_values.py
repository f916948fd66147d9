"""Values that look the same but differ are deployed exactly, and their changes are detected."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from deployer import spec as specs
from deployer.catalog import Deployment
from deployer.check.catalog import check, time_zones
from deployer.environment import Environment
from deployer.plan import difference
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule
from prefect.schedules import Cron, Interval, RRule, Schedule

from tests.deployer.sample_flows import Aliased, Lenient, anything, dated, modelled
from tests.deployer.world import World
from tests.support.server import PrefectServer


@pytest.mark.parametrize(
    ("before", "after"),
    [({}, {"x": None}), ({"x": 1}, {"x": True}), ({"x": [{"y": 0}]}, {"x": [{"y": False}]})],
    ids=["left out and None", "1 and True", "0 and False in a list"],
)
def test_a_parameter_that_only_looks_the_same_is_deployed(
    server: PrefectServer, before: dict[str, Any], after: dict[str, Any]
) -> None:
    world = World(server)
    world.deploy([Deployment(anything, "main", parameters=before)])
    catalog = [Deployment(anything, "main", parameters=after)]

    (change,) = world.plan(catalog).changes
    assert change.action == "update"
    assert change.fields
    world.deploy(catalog)

    (state,) = world.states().values()
    assert repr(state["parameters"]) == repr(after)
    assert world.plan(catalog).empty


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (datetime(2024, 2, 29, 12), "2024-02-29T12:00:00+00:00"),
        (datetime(2124, 2, 29, tzinfo=UTC), "2124-02-29T00:00:00+00:00"),
        (None, "2020-01-01T00:00:00+00:00"),
    ],
    ids=["without a zone", "to come", "none"],
)
def test_an_interval_starts_where_its_anchor_is(
    server: PrefectServer, given: datetime | None, text: str
) -> None:
    world = World(server)
    catalog = [Deployment(anything, "main", schedules=[Interval(60, anchor_date=given)])]
    assert check(catalog) == []

    world.deploy(catalog)

    (state,) = world.states().values()
    assert state["schedules"]["schedule-1"]["anchor_date"] == text
    assert world.plan(catalog).empty


def test_the_names_of_time_zones_are_read_once_for_all_schedules() -> None:
    time_zones.cache_clear()
    zoned = [Cron(f"{minute} 3 * * *", timezone="Europe/Berlin") for minute in (0, 30)]
    assert check([Deployment(anything, "main", schedules=zoned)]) == []
    assert (time_zones.cache_info().misses, time_zones.cache_info().hits) == (1, 1)


ANCHOR = datetime(2024, 2, 29, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("of_the_api", "short"),
    [
        (
            CronSchedule(cron="@daily", timezone="Asia/Tokyo", day_or=False),
            Cron("@daily", "Asia/Tokyo", False),
        ),
        (CronSchedule(cron="@daily"), Cron("@daily")),
        (IntervalSchedule(interval=timedelta(hours=1)), Interval(3600)),
        (
            IntervalSchedule(
                interval=timedelta(hours=1), anchor_date=ANCHOR, timezone="Asia/Tokyo"
            ),
            Interval(3600, anchor_date=ANCHOR, timezone="Asia/Tokyo"),
        ),
        (RRuleSchedule(rrule="FREQ=DAILY"), RRule("FREQ=DAILY")),
        (
            RRuleSchedule(rrule="FREQ=DAILY", timezone="Asia/Tokyo"),
            RRule("FREQ=DAILY", "Asia/Tokyo"),
        ),
        (
            DeploymentScheduleCreate(
                schedule=CronSchedule(cron="@daily"), active=False, slug="s", parameters={"x": 7}
            ),
            Cron("@daily", active=False, slug="s", parameters={"x": 7}),
        ),
    ],
)
@pytest.mark.parametrize("option", ["schedule", "schedules"])
def test_a_schedule_of_the_api_is_deployed_as_its_short_form(
    option: str, of_the_api: Any, short: Schedule
) -> None:
    where = Environment(project="project", name="production", work_pool="pool")

    def spec(schedule: Any) -> Any:
        given = schedule if option == "schedule" else [schedule]
        options: dict[str, Any] = {option: given}
        entry = Deployment(anything, "main", **options)
        assert check([entry]) == []
        return specs.declared(entry, where)["schedules"]

    assert spec(of_the_api) == spec(short)


def test_where_only_a_none_is_new_the_whole_is_shown() -> None:
    before = {"parameters": {"a": 1}}

    assert difference(before, {"parameters": {"a": 1, "x": None}}) == {
        "parameters": ({"a": 1}, {"a": 1, "x": None})
    }


def test_a_field_that_an_older_server_does_not_answer_is_no_difference() -> None:
    before = {"triggers": {"t": {"name": "t"}}}

    assert difference(before, {"triggers": {"t": {"name": "t", "new": None}}}) == {}


def test_models_arrive_as_their_schema_wants_them(server: PrefectServer) -> None:
    world = World(server)
    model = Aliased(theNumber=1, inner=Lenient())
    catalog = [Deployment(modelled, "main", parameters={"model": model})]
    assert check(catalog) == []

    world.deploy(catalog)

    (state,) = world.states().values()
    assert state["parameters"] == {"model": {"theNumber": 1, "inner": {"size": 2}}}
    assert modelled.validate_parameters(state["parameters"]) == {"model": model}


def test_smoke_parameters_may_be_whatever_the_flow_takes(server: PrefectServer) -> None:
    world = World(server)

    done = world.deploy([Deployment(dated, "main", smoke={"day": date(2024, 2, 29)})])

    assert done.release
    assert done.release.smoke == {world.key(Deployment(dated, "main")): {"day": "2024-02-29"}}
