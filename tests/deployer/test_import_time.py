"""A catalog whose values depend on the time of import is refused with the differing values."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import datetime

import pytest
from deployer.check.import_time import LATER

from tests.baking import Project

FLOWS = """\
from datetime import date
from typing import Any

from prefect import flow


@flow
def sample(x: Any = None) -> None: ...


@flow
def of_the_day(day: str = date.today().isoformat()) -> None: ...
"""
HEAD = """\
import datetime, random, time, uuid
from datetime import UTC, date, timedelta

import flows.sample as flows
from deployer import Deployment
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.schedules import Cron, Interval

COMPUTED = {
    "today": date.today(),
    "a naive day": datetime.datetime.today().strftime("%Y-%m-%d"),
    "a day somewhere": datetime.datetime.now().date(),
    "a day in UTC": datetime.datetime.now(UTC).date(),
    "an old day in UTC": datetime.datetime.utcnow().date(),
    "the year": datetime.datetime.now(tz=UTC).year,
    "the moment": str(datetime.datetime.now(UTC)),
    "seconds": int(time.time()),
    "nanoseconds": time.time_ns(),
    "a formatted day": time.strftime("%Y-%m-%d"),
    "the day of the year": time.gmtime().tm_yday,
    "the hour": time.localtime().tm_hour,
    "yesterday": [{"of": [date.today() - timedelta(days=1)]}],
    "an id": uuid.uuid4(),
    "an id of this machine": str(uuid.uuid1()),
    "a number": random.random(),
    "a choice": random.choice(range(10**9)),
}
"""
STEADY = """
STEADY = {
    "a date": date(2024, 2, 29),
    "a difference": timedelta(days=1).days,
    "a seeded number": random.Random(7).random(),
    "a derived id": uuid.uuid5(uuid.NAMESPACE_DNS, "example.org"),
    "a parsed moment": datetime.datetime.fromisoformat("2024-02-29T12:00:00+00:00"),
    "a moment of a number": datetime.datetime.fromtimestamp(1e9, UTC),
}
EVERY = [
    Interval(3600),
    IntervalSchedule(interval=timedelta(hours=2)),
    Cron("@daily", slug="c"),
]
"""


@pytest.fixture
def project(bake: Callable[..., Project]) -> Project:
    """A project with flows that accept any parameters."""
    made = bake()
    (made.path / "flows/sample.py").write_text(FLOWS)
    return made


def check(project: Project, catalog: str) -> subprocess.CompletedProcess[str]:
    """Write a catalog and run `deployer check`."""
    (project.path / "deployments/catalog.py").write_text(HEAD + STEADY + catalog)
    return project.run(sys.executable, "-m", "deployer", "check", exit_code=None)


def test_each_value_that_is_computed_at_import_is_named_and_no_other(project: Project) -> None:
    done = check(
        project,
        """
CATALOG = [
    *(Deployment(flows.sample, name, parameters={"x": value}) for name, value in COMPUTED.items()),
    *(Deployment(flows.sample, name, parameters={"x": value}, schedules=EVERY, smoke={"x": value})
      for name, value in STEADY.items()),
    Deployment(flows.of_the_day, "default"),
    Deployment(flows.sample, "tag", tags=[f"since {date.today()}"]),
    Deployment(flows.sample, "variable", job_variables={"env": {"DAY": str(date.today())}}),
    Deployment(flows.sample, "anchored",
               schedules=[Interval(60, anchor_date=datetime.datetime(date.today().year, 1, 1))]),
    Deployment(flows.sample, "smoked", smoke={"x": date.today()}),
    Deployment(flows.sample, f"named {date.today().year}"),
]
""",
    )

    assert (done.returncode, done.stdout) == (1, "")
    found = [
        line.removeprefix("error: deployments/catalog.py, ") for line in done.stderr.splitlines()
    ]
    named = [
        line.split(" is computed when the catalog is imported, so that every")[0] for line in found
    ]
    computed = HEAD.count('\n    "')
    assert len(named) == computed + 5, done.stderr
    assert named[computed:] == [
        "of-the-day/default: parameter_schema.properties.day.default",
        "sample/tag: tags",
        "sample/variable: job_variables.env.DAY",
        "sample/anchored: schedules.schedule-1.anchor_date",
        f"sample/named {datetime.now().year}: its name",
    ]
    assert all(each.split(": ")[1].startswith("parameters.x") for each in named[:computed])


def test_a_steady_catalog_passes_whatever_it_prints(project: Project) -> None:
    done = check(
        project, 'print("loaded")\nCATALOG = [Deployment(flows.sample, "x", schedules=EVERY)]'
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 deployment and ")


def test_a_catalog_that_cannot_be_imported_later_is_refused_with_the_reason(
    project: Project,
) -> None:
    year = datetime.now().year
    done = check(project, f"assert date.today().year == {year}, 'too late'\nCATALOG = []")

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: deployments/catalog.py cannot be imported with a later clock: ")
    assert "AssertionError: too late" in line


@pytest.mark.parametrize("month", range(1, 13))
@pytest.mark.parametrize("day", [1, 28])
def test_the_other_time_differs_in_every_part(month: int, day: int) -> None:
    for year in range(2026, 2030):
        now = datetime(year, month, day, 23, 59, 59)
        parts = ["%Y", "%m", "%d", "%a", "%H", "%M", "%S", "%j"]
        assert not [part for part in parts if f"{now:{part}}" == f"{now + LATER:{part}}"]
