"""The deployer with other servers than the newest one on SQLite: older ones, and PostgreSQL."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import prefect
import pytest
from deployer import release
from deployer.catalog import Deployment
from deployer.errors import DeployerError
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.events import DeploymentEventTrigger
from prefect.schedules import Cron, Interval, RRule

from tests.baking import ROOT, TEMPLATE_FOLDER
from tests.deployer import test_properties as properties
from tests.deployer.sample_flows import anywhere, plain, typed
from tests.deployer.strategies import catalogs, edits, resources
from tests.deployer.world import World, requests, writes
from tests.support.postgres import temporary_postgres
from tests.support.server import PrefectServer

FIRST = [
    Deployment(
        plain,
        "morning",
        schedules=[Cron("0 6 * * *", timezone="Europe/Berlin", slug="six"), Interval(3600)],
        tags=["b", "a"],
        concurrency_limit=ConcurrencyLimitConfig(
            limit=2, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW
        ),
    ),
    Deployment(
        anywhere,
        "每小时 🚀",
        parameters={"rows": 2},
        schedules=[RRule("FREQ=DAILY")],
        triggers=[DeploymentEventTrigger(name="a trigger", expect={"file.arrived"})],
    ),
    Deployment(typed, "leaves", parameters={"items": [1]}, job_variables={"env": {"A": "标"}}),
]
SECOND = [
    Deployment(plain, "morning", schedules=[Cron("0 7 * * *", slug="six")], description="new"),
    Deployment(anywhere, "每小时 🚀", parameters={"rows": 3}, schedules=[RRule("FREQ=DAILY")]),
    Deployment(typed, "comes", parameters={"items": [2]}),
]
# The first and the last release of the oldest supported minor version.
OLDEST = ["3.8.0", "3.8.8"]
few = settings(properties.slow, max_examples=max(3, properties.EXAMPLES // 4))


@pytest.fixture(scope="module", params=OLDEST)
def older(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrefectServer]:
    """A server of an older release, in an environment of its own."""
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("there is no uv on PATH to install an older Prefect with")
    folder = tmp_path_factory.mktemp("older")
    # An older Prefect may need older packages, but never newer ones than the locked ones.
    locked = (ROOT / TEMPLATE_FOLDER / "requirements.txt").read_text(encoding="utf-8")
    pins = re.findall(r"^([\w.-]+)==([^ ;\\]+)", locked, re.MULTILINE)
    limits = folder / "limits.txt"
    limits.write_text("".join(f"{name}<={version}\n" for name, version in pins))
    python = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    # With SQLAlchemy 2.1 the scheduler of Prefect 3.8 creates no runs.
    wanted = [f"prefect=={request.param}", "sqlalchemy<2.1"]
    for command in (
        [uv, "venv", f"--python={sys.executable}", str(folder / "venv")],
        [uv, "pip", "install", f"--python={python}", f"--constraints={limits}", *wanted],
    ):
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
    with PrefectServer(python, tmp_path_factory.mktemp("older-server")) as server:
        yield server


@pytest.fixture(scope="module")
def postgresql(
    project_python: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrefectServer]:
    """A server with its data in PostgreSQL."""
    with temporary_postgres() as database:
        env = {"PREFECT_API_DATABASE_CONNECTION_URL": database.url}
        home = tmp_path_factory.mktemp("postgresql-server")
        with PrefectServer(project_python, home, env=env) as server:
            yield server


def test_the_older_servers_are_of_the_minor_before_ours(older: PrefectServer) -> None:
    ours, theirs = Version(prefect.__version__), Version(older.request("GET", "/admin/version"))
    assert str(theirs) in OLDEST
    assert (theirs.major, theirs.minor + 1) == (ours.major, ours.minor)


def test_the_server_on_postgresql_has_no_sqlite_file(postgresql: PrefectServer) -> None:
    assert not list(postgresql.folder.glob("*.db*"))


def test_a_deployments_life_on_an_older_server(older: PrefectServer) -> None:
    a_deployments_life(World(older))


def test_a_deployments_life_on_postgresql(postgresql: PrefectServer) -> None:
    a_deployments_life(World(postgresql))


def a_deployments_life(world: World) -> None:
    """Deploy, change, refuse, roll back and destroy, and check the state after each step."""
    first = world.deploy(FIRST)
    assert first.plan.counts == {"create": 3, "update": 0, "delete": 0, "unchanged": 0}
    assert world.plan(FIRST).empty
    with requests() as sent:
        assert world.deploy(FIRST).plan.empty
    assert sent
    assert writes(sent) == []

    switch_off(world)
    changed = world.deploy(SECOND)
    assert changed.plan.counts == {"create": 1, "update": 2, "delete": 1, "unchanged": 0}
    assert world.states().keys() == {world.key(entry) for entry in SECOND}
    assert_off(world)
    assert world.plan(SECOND).empty

    refused = Deployment(plain, "refused", job_variables={"stream_output": "perhaps"})
    before = world.states()
    with pytest.raises(DeployerError, match="refused"):
        world.deploy([*FIRST, refused])
    assert world.states() == before

    back = world.roll_back(1)
    assert back.release
    assert back.release.number == 3
    assert world.states().keys() == {world.key(entry) for entry in FIRST}
    assert_off(world)
    assert world.plan(FIRST).empty

    world.destroy()
    assert world.states() == {}
    assert world.run(lambda server: release.recent(server, world.environment)) == []


def switch_off(world: World) -> None:
    """Pause the first deployment and switch its first schedule off, as operators do."""
    live = world.live()[world.key(FIRST[0])]
    (schedule,) = (row["id"] for row in live.row["schedules"] if row["slug"] == "six")
    world.call("PATCH", f"/deployments/{live.id}", {"paused": True})
    world.call("PATCH", f"/deployments/{live.id}/schedules/{schedule}", {"active": False})


def assert_off(world: World) -> None:
    """Assert that the first deployment still has the operators' switches."""
    state = world.states()[world.key(FIRST[0])]
    assert state["paused"]
    assert not state["schedules"]["six"]["active"]
    assert all(each["active"] for slug, each in state["schedules"].items() if slug != "six")


def prop(test: Any) -> Any:
    """Return the body of a property test, to call it with other examples."""
    return test.hypothesis.inner_test


@given(catalogs(), resources())
@few
def test_after_a_deploy_nothing_differs_on_postgresql(
    postgresql: PrefectServer, catalog: list[Deployment], declared: list[Any]
) -> None:
    body = prop(properties.test_after_a_deploy_nothing_differs_and_nothing_is_written)
    body(server=postgresql, catalog=catalog, declared=declared)


@given(catalogs(), edits(), st.data())
@few
def test_edits_by_hand_are_undone_on_postgresql(
    postgresql: PrefectServer, catalog: list[Deployment], changes: list[dict[str, Any]], data: Any
) -> None:
    body = prop(properties.test_any_edit_by_hand_is_seen_and_undone_but_switches_stay)
    body(server=postgresql, catalog=catalog, changes=changes, data=data)


@given(catalogs(), catalogs(), resources(), resources())
@few
def test_a_refused_deploy_leaves_what_was_there_on_postgresql(
    postgresql: PrefectServer,
    first: list[Deployment],
    second: list[Deployment],
    declared: list[Any],
    other: list[Any],
) -> None:
    body = prop(properties.test_a_deploy_that_is_refused_leaves_exactly_what_was_there)
    body(server=postgresql, first=first, second=second, declared=declared, other=other)
