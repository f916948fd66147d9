"""Names in any script can be deployed and found by name; names that Prefect loses are refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from types import FunctionType
from typing import Any

import httpx
import pytest
from deployer.catalog import Deployment
from deployer.check.catalog import check
from deployer.server import Server
from prefect import Flow, flow
from prefect.exceptions import InvalidNameError, ObjectNotFound
from prefect.types.entrypoint import EntrypointType

from tests.deployer.world import World
from tests.support.server import PrefectServer

PARAMETERS = {
    "数量": 2,
    "größe": 1.5,
    "имя": '🚀 "quoted" \\ back',
    "اسم": ["ا", "ب"],
    "ключ": None,
}


@flow(name="名")
def scripted(
    数量: int = 1,
    größe: float = 1.0,
    имя: str = "",
    اسم: list[str] | None = None,
    ключ: dict[str, int] | None = None,
) -> None:
    """Do nothing."""


NAMES = [
    "每小时",
    "rocket 🚀",
    "family 👨‍👩‍👧 flag 🇩🇪",
    "كل ساعة",
    "e\u0301 and \u00e9",  # two encodings of the same letter
    "zero\u200bwidth\u202eright",
    "no\u00a0break",
    "two  spaces",
    "'single' \"double\" `back`",
    "back\\slash",
    "a:b@c+d*e=f,g;h!i$j",
    "(round) [square] {curly} {{ jinja }} {name}",
    "~^|_-.",
    "-dash",
    "--help",
    "...",
    "a.b.py.txt",
    "load.PY",
    "Ω".join("abc"),
    "$HOME",
    "http:",
    "None",
    "NAME",
    "filter",
    "'",
    "数" * 255,
]
CONTROL = [chr(number) for number in (*range(0x20), 0x7F)]
PAIRS = list(zip(NAMES[::2], NAMES[1::2], strict=True))
# All such names, found by trying every ASCII character and many others in all positions.
REFUSED_BY_PREFECT = ["", "a/b", "50%", "a&b", "<a", "a>", *(f"a{each}b" for each in CONTROL)]
NOT_READ_BACK = ["a?", "#1", ".", ".."]
CUT = ["load.py", "数据.py", "..py"]


def with_name(name: str) -> Flow[..., Any]:
    """Return a flow of this name whose function is in this module, where a run can import it."""
    function = FunctionType(scripted.fn.__code__, globals(), f"flow_{len(globals())}")
    function.__defaults__ = scripted.fn.__defaults__
    function.__annotations__, function.__doc__ = scripted.fn.__annotations__, scripted.fn.__doc__
    made: Flow[..., Any] = flow(name=name)(function)
    globals()[function.__name__] = made
    return made


@dataclass
class Deployed:
    """A world in which all names are deployed, half of them as names of flows."""

    world: World
    catalog: list[Deployment]


@pytest.fixture(scope="module")
def deployed(server: PrefectServer) -> Iterator[Deployed]:
    world = World(server, name_suffix="", job_variables={"env": {"名": "值"}})
    catalog = [Deployment(with_name(one), other, parameters=PARAMETERS) for one, other in PAIRS]
    world.deploy(catalog)
    yield Deployed(world, catalog)
    world.deploy([], prune_limit=100)


def test_the_check_accepts_them(deployed: Deployed) -> None:
    assert check(deployed.catalog) == []


def test_after_the_deploy_nothing_differs(deployed: Deployed) -> None:
    assert deployed.world.plan(deployed.catalog).empty
    assert deployed.world.states().keys() == {f"{one}/{other}" for one, other in PAIRS}


def test_each_is_found_by_name_with_its_parameters(deployed: Deployed) -> None:
    ids = {key: each.id for key, each in deployed.world.live().items()}

    async def read(server: Server) -> None:
        for one, other in PAIRS:
            found = await server.client.read_deployment_by_name(f"{one}/{other}")
            assert (str(found.id), found.name) == (ids[f"{one}/{other}"], other)
            assert found.parameters == PARAMETERS

    deployed.world.run(read)


def prefect(world: World, *words: str) -> str:
    """Run Prefect's command line against the server."""
    done = subprocess.run(
        [sys.executable, "-m", "prefect", *words],
        env={**world.server.env, "PYTHONIOENCODING": "utf-8", "COLUMNS": "10000"},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("number", [0, 4, 5])
def test_prefects_own_program_inspects_it(deployed: Deployed, number: int) -> None:
    one, other = PAIRS[number]

    printed = prefect(deployed.world, "deployment", "inspect", "-o", "json", "--", f"{one}/{other}")

    found = json.loads(printed)
    # Not by name: Prefect's output treats text in [] as markup.
    assert found["id"] == deployed.world.live()[f"{one}/{other}"].id
    assert found["parameters"] == PARAMETERS


@pytest.mark.parametrize("number", [1, 6])
def test_prefects_own_program_runs_it(deployed: Deployed, number: int) -> None:
    world, (one, other) = deployed.world, PAIRS[number]

    prefect(world, "deployment", "run", "--param", "数量=7", "--", f"{one}/{other}")

    identity = world.live()[f"{one}/{other}"].id
    query = {"deployments": {"id": {"any_": [identity]}}}
    (run,) = world.call("POST", "/flow_runs/filter", query)
    assert run["parameters"] == {**PARAMETERS, "数量": 7}


def refused(name: str, as_flow: bool) -> bool:
    entry = Deployment(scripted, name)
    if as_flow:
        entry = Deployment(scripted.with_options(), "x")
        entry.flow.name = name  # set later, because `@flow` refuses some names
    return any("'s name" in problem for problem in check([entry]))


@pytest.mark.parametrize("name", [*REFUSED_BY_PREFECT, *NOT_READ_BACK], ids=ascii)
def test_the_check_refuses_the_others(name: str) -> None:
    assert refused(name, as_flow=False)
    assert refused(name, as_flow=True)


@pytest.mark.parametrize("name", CUT)
def test_a_flow_may_be_called_like_a_file_but_no_deployment(name: str) -> None:
    assert refused(name, as_flow=False)
    assert not refused(name, as_flow=True)


def test_the_check_refuses_what_prefect_really_refuses_or_loses(
    server: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If Prefect accepts one of these names one day, this test fails."""
    world = World(server)
    monkeypatch.setattr("sys.stdout", StringIO())  # Prefect prints a table per deployment

    async def deploy(name: str) -> None:
        await scripted.adeploy(
            name, world.environment.work_pool, entrypoint_type=EntrypointType.MODULE_PATH
        )

    async def work(server: Server) -> None:
        for name in REFUSED_BY_PREFECT:
            with pytest.raises((InvalidNameError, httpx.InvalidURL)):
                await deploy(name)
        for name in [*NOT_READ_BACK, *CUT]:
            await deploy(name)
            with pytest.raises(ObjectNotFound):
                await server.client.read_deployment_by_name(f"名/{name}")

    world.run(work)
