"""Failures during a deploy: it is completed or restored, and no data is lost."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from deployer import environment_state, lock
from deployer.catalog import Deployment
from deployer.errors import DeployerError
from deployer.server import Server
from prefect.automations import Automation, EventTrigger
from prefect.client.schemas.actions import ConcurrencyLimitCreate, GlobalConcurrencyLimitCreate
from prefect.events import DeploymentEventTrigger
from prefect.events.actions import DoNothing
from prefect.schedules import Cron, Interval
from prefect.variables import Variable

from tests.baking import ROOT, TEMPLATE_FOLDER
from tests.deployer.sample_flows import anywhere, plain, typed
from tests.deployer.world import World, lock_of, take_over
from tests.support.proxy import BUSY, Proxy
from tests.support.server import PrefectServer
from tests.support.waiting import eventually

SOAK = bool(os.environ.get("DEPLOYER_SOAK"))
KINDS = ["drop", "cut", "500", "503", "429", "delay", "gone"]
BEFORE = [
    Deployment(plain, "changes", schedules=[Cron("0 1 * * *", slug="a"), Interval(60, slug="b")]),
    Deployment(anywhere, "stays", parameters={"rows": 1}),
    Deployment(typed, "leaves", parameters={"items": [1]}),
]
AFTER = [
    Deployment(plain, "changes", description="new", schedules=[Cron("0 2 * * *", slug="a")]),
    Deployment(anywhere, "stays", parameters={"rows": 1}),
    Deployment(anywhere, "comes", schedules=[Interval(60)]),
]

POOL = "faults"


def resources_of(number: int) -> list[Any]:
    """Return the resources for BEFORE (1) or AFTER (2): some change, one leaves, one comes."""
    name = "leaves" if number == 1 else "comes"
    trigger = EventTrigger(expect={"a"}, threshold=number, within=timedelta(seconds=9))
    return [
        Variable(name="changes", value={"number": number}),
        Variable(name=name, value=None),
        GlobalConcurrencyLimitCreate(name="changes", limit=number),
        ConcurrencyLimitCreate(tag=name, concurrency_limit=1),
        Automation(name="changes", trigger=trigger, actions=[DoNothing()]),
        Automation(name=name, trigger=trigger, actions=[DoNothing()]),
    ]


def deploy_all(world: World, catalog: list[Deployment], **options: Any) -> None:
    """Deploy BEFORE or AFTER with its resources and its limit of the work pool."""
    number = 1 if catalog is BEFORE else 2
    world.environment = replace(world.environment, work_pool_concurrency_limit=number)
    world.deploy(catalog, resources=resources_of(number), **options)


def held(world: World) -> dict[str, Any]:
    """Return the normalised specs of all deployments and resources, and the pool's limit."""
    resources = {key: each.spec for key, each in world.resources().items()}
    pool = world.call("GET", f"/work_pools/{POOL}")
    return {**world.states(), **resources, POOL: pool["concurrency_limit"]}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the expiry of locks, and the number of attempts to restore."""
    monkeypatch.setattr(lock, "EXPIRY", 3)
    monkeypatch.setattr(lock, "RENEWAL", 1)
    monkeypatch.setattr("deployer.deploy.RESTORE_ATTEMPTS", 2)


def unrenewed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a deploy be too short for a renewal of its lock, also on a slow machine."""
    monkeypatch.setattr(lock, "EXPIRY", 180)
    monkeypatch.setattr(lock, "RENEWAL", 1000)


def interrupt() -> None:
    """Send SIGINT to this process, like Ctrl-C."""
    os.kill(os.getpid(), signal.SIGINT)


def count_writes(server: PrefectServer) -> int:
    """Return the number of writing requests of the deploy from BEFORE to AFTER."""
    world = World(server, work_pool=POOL)
    deploy_all(world, BEFORE)
    with Proxy(server.api_url) as proxy, pytest.MonkeyPatch.context() as patch:
        unrenewed(patch)  # a renewal is not one of them
        world.api_url = proxy.api_url
        deploy_all(world, AFTER)
    return len(proxy.writes)


def test_a_fault_at_any_write_ends_in_all_or_nothing(
    server: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    total = count_writes(server)
    assert total >= 24  # a slow deploy also renews its lock
    cases = [(kind, k) for kind in KINDS for k in range(1, total + 1)]
    if not SOAK:
        cases = random.Random(os.getpid()).sample(cases, 4)  # different ones in each run
    wrong = []
    for kind, k in cases:
        world = World(server, work_pool=POOL)
        deploy_all(world, BEFORE)
        before = held(world)
        deploy_all(world, AFTER)
        after = held(world)
        deploy_all(world, BEFORE)
        recorded = world.releases()
        start = time.monotonic()
        # Prefect's default of five retries takes a minute and tests nothing more.
        with Proxy(server.api_url, kind, k) as proxy, monkeypatch.context() as patch:
            patch.setenv("PREFECT_CLIENT_MAX_RETRIES", "2")
            world.api_url = proxy.api_url
            try:
                deploy_all(world, AFTER)
                expected, recorded = [after], [recorded[0] + 1, *recorded]
            except DeployerError:
                # If the server stays away, nothing can be restored: the next deploy converges.
                expected = [before] if kind != "gone" else []
        took = time.monotonic() - start
        world.api_url = server.api_url
        found = held(world)
        if expected and found not in expected:
            wrong.append(f"{kind} at write {k} ({proxy.writes[k - 1]}): a half state")
        if expected and world.releases() != recorded:
            wrong.append(f"{kind} at write {k}: the records are {world.releases()}, not {recorded}")
        if took > 300:
            wrong.append(f"{kind} at write {k}: took {took:.0f} seconds")
        deploy_all(world, AFTER)
        if held(world) != after:
            wrong.append(f"{kind} at write {k}: the next deploy did not converge")
        world.destroy()
    assert not wrong, "\n".join(wrong)


def test_a_release_whose_record_gets_no_answer_is_recorded_once(server: PrefectServer) -> None:
    world = World(server)
    world.deploy(BEFORE)
    with Proxy(server.api_url, "cut", 1, path="/artifacts/") as proxy:
        world.api_url = proxy.api_url
        world.deploy(AFTER)

        sent = proxy.writes.count("POST /api/artifacts/")
        assert (sent, world.releases()) == (2, [2, 1])


def test_a_deploy_interrupted_while_it_is_recorded_leaves_no_record(server: PrefectServer) -> None:
    world = World(server)
    world.deploy(BEFORE)
    before = world.states()
    with Proxy(server.api_url, "none", 1, then=interrupt, path="/artifacts/") as proxy:
        world.api_url = proxy.api_url
        with pytest.raises(KeyboardInterrupt):
            world.deploy(AFTER)
        time.sleep(1)  # time for a record that may still be sent

        assert "POST /api/artifacts/" in proxy.writes
        assert world.releases() == [1]
        assert world.states() == before


def test_a_server_that_is_busy_for_a_while_is_waited_for(server: PrefectServer) -> None:
    world = World(server)
    world.deploy(BEFORE)
    with Proxy(server.api_url, "busy", 2) as proxy:
        world.api_url = proxy.api_url
        world.deploy(AFTER)

    assert proxy.writes.count(proxy.writes[1]) > BUSY, "the refused write was sent again"


def test_two_deployers_at_once_take_turns(
    server: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "EXPIRY", 180)
    world = World(server)
    failures: list[BaseException] = []

    def deploy(catalog: list[Deployment]) -> None:
        try:
            world.deploy(catalog, prune_limit=100, who=f"the deployer of {len(catalog)}")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=deploy, args=(each,)) for each in (BEFORE, AFTER[:2])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)

    assert not failures
    keys = {world.key(entry) for entry in BEFORE}, {world.key(entry) for entry in AFTER[:2]}
    assert set(world.states()) in keys
    catalog = BEFORE if set(world.states()) == keys[0] else AFTER[:2]
    assert world.plan(catalog).empty


def test_a_deployer_that_is_waited_for_too_long_is_named(
    server: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "EXPIRY", 8)
    world = World(server)
    started, finish = threading.Event(), threading.Event()

    async def hold(connection: Server) -> None:
        async with lock.held(connection, world.environment, "Ada", 1, lambda _: None):
            started.set()
            while not finish.is_set():
                await asyncio.sleep(0.1)

    thread = threading.Thread(target=lambda: world.run(hold))
    thread.start()
    assert started.wait(30)
    try:
        # Longer than the expiry: the lock is renewed while its holder lives.
        with pytest.raises(DeployerError, match="Ada is deploying here"):
            world.deploy(BEFORE, lock_timeout=11)
    finally:
        finish.set()
        thread.join(30)
    world.deploy(BEFORE, lock_timeout=1)


@pytest.mark.parametrize("value", ["kept for the week-end", None, 7])
def test_a_lock_that_somebody_made_by_hand_holds_too(
    server: PrefectServer, monkeypatch: pytest.MonkeyPatch, value: object
) -> None:
    monkeypatch.setattr(lock, "EXPIRY", 180)
    world = World(server)
    name = f"deployer-lock-{world.environment.key}"
    world.call("POST", "/variables/", {"name": name, "value": value})

    with pytest.raises(DeployerError, match=f"{value} is deploying here"):
        world.deploy(BEFORE, lock_timeout=0)
    assert world.states() == {}


def test_a_deployer_that_lost_its_lock_writes_nothing_more(
    server: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(server)
    world.deploy(BEFORE)
    before = world.states()
    monkeypatch.setattr(lock, "RENEWAL", 1000)  # as on a machine too busy to renew in time
    # The first write is the lock. Another deployer takes it over during that of a deployment.
    with Proxy(server.api_url, "delay", 3, then=lambda: take_over(world)) as proxy:
        world.api_url = proxy.api_url
        with pytest.raises(DeployerError, match="took the lock over"):
            world.deploy(AFTER)
    world.api_url = server.api_url

    touched = {key for key, state in world.states().items() if state != before.get(key)}
    assert touched == {world.key(AFTER[0])}, "only what was being written"
    assert not [each for each in proxy.writes if each.endswith("/artifacts/")]
    assert world.call("GET", lock_of(world))["value"]["holder"] == "Bob"


def test_a_deployer_that_loses_its_lock_before_it_puts_back_says_so_at_once(
    server: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(server)
    world.deploy(BEFORE)
    monkeypatch.setattr(lock, "RENEWAL", 1000)

    def lose() -> None:
        take_over(world)
        time.sleep(1.5)  # longer than a lock is valid without renewal

    with Proxy(server.api_url, "500", 1, then=lose, path="/automations/") as proxy:
        world.api_url = proxy.api_url
        with pytest.raises(DeployerError, match=r"^Another deployer took the lock over"):
            world.deploy(AFTER)

    lost = next(n for n, each in enumerate(proxy.writes) if "/automations/" in each)
    later = [each for each in proxy.writes[lost:] if each.startswith("PATCH /api/variables/")]
    assert len(later) == 1


def test_a_lock_that_expired_while_a_laptop_slept_is_renewed_before_a_write(
    server: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(server)
    world.deploy(BEFORE)
    unrenewed(monkeypatch)
    said: list[str] = []
    asleep = 0.0
    # The monotonic clock stops while a laptop sleeps.
    clocks = SimpleNamespace(monotonic=time.monotonic, time=lambda: time.time() + asleep)
    monkeypatch.setattr(lock, "time", clocks)

    def say(message: str) -> None:
        nonlocal asleep
        said.append(message)
        if message.startswith("2/"):
            asleep = 200
            take_over(world)

    with pytest.raises(DeployerError, match="took the lock over"):
        world.deploy(AFTER, say=say)

    assert said[-1].startswith("2/"), "nothing was written after that, and nothing was put back"
    assert world.releases() == [1]


def test_a_404_of_a_proxy_while_the_server_restarts_does_not_lose_the_lock(
    server: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(server)
    world.deploy(BEFORE)
    monkeypatch.setattr(lock, "RENEWAL", 0.05)
    with Proxy(server.api_url, "404", 2, path="/variables/") as proxy:
        world.api_url = proxy.api_url
        world.deploy(AFTER)

    of_the_lock = [each for each in proxy.writes if "/variables/" in each]
    assert of_the_lock[1].startswith("PATCH /api/variables/")


def test_a_renewal_with_a_strange_answer_is_tried_again(
    server: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(server)
    monkeypatch.setattr(lock, "RENEWAL", 0.01)
    tried: list[int] = []

    async def renew(_: lock.Lock) -> None:
        tried.append(1)
        raise json.JSONDecodeError("a page of a proxy", "<html>", 0)

    async def hold(connection: Server) -> None:
        async with lock.held(connection, world.environment, "Ada", 1, lambda _: None):
            while len(tried) < 3:
                await asyncio.sleep(0.01)

    monkeypatch.setattr(lock.Lock, "renew", renew)
    world.run(hold)


def test_what_a_deploy_under_way_has_written_is_not_taken_for_deployed(
    server: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "EXPIRY", 180)
    world = World(server)
    world.deploy(BEFORE)
    name = f"deployer-lock-{world.environment.key}"
    world.call("POST", "/variables/", {"name": name, "value": {"holder": "Ada"}})

    with pytest.raises(DeployerError, match="Ada is deploying here"):
        world.deploy(BEFORE, lock_timeout=0)


def state_of(world: World) -> environment_state.EnvironmentState:
    """Return the stored state of a world's environment."""
    state, _ = world.run(lambda connection: environment_state.read(connection, world.environment))
    return state


def test_a_rollback_interrupted_while_its_hold_is_stored_leaves_no_hold(
    server: PrefectServer,
) -> None:
    world = World(server)
    world.deploy(BEFORE, order=1)
    world.deploy(AFTER, order=2)
    before, state = world.states(), state_of(world)
    path = "/variables/name/deployer-state"
    with Proxy(server.api_url, "none", 1, then=interrupt, path=path) as proxy:
        world.api_url = proxy.api_url
        with pytest.raises(KeyboardInterrupt):
            world.roll_back(1)
    world.api_url = server.api_url

    assert (world.states(), state_of(world), world.releases()) == (before, state, [2, 1])


def test_a_rollback_whose_first_hold_gets_no_answer_is_done(
    server: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    unrenewed(monkeypatch)
    world = World(server)
    world.deploy(BEFORE)
    world.deploy(AFTER)
    with Proxy(server.api_url, "cut", 2, path="/variables/") as proxy:
        world.api_url = proxy.api_url
        world.roll_back(1)
    world.api_url = server.api_url

    assert proxy.writes.count("POST /api/variables/") == 3  # the lock, and the hold twice
    hold = state_of(world).hold
    assert hold
    assert (hold.release, world.releases()) == (1, [3, 2, 1])


def test_who_interrupts_after_the_deploy_is_told_that_it_stays(
    server: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    unrenewed(monkeypatch)
    world = World(server)
    world.deploy(BEFORE)
    said: list[str] = []
    # The first write to Variables takes the lock, the second releases it.
    with Proxy(server.api_url, "none", 2, then=interrupt, path="/variables/") as proxy:
        world.api_url = proxy.api_url
        done = world.deploy(AFTER, say=said.append)
    world.api_url = server.api_url

    assert [each for each in proxy.writes if "/variables/" in each][1].startswith("DELETE")
    assert said[-1] == "Interrupted after the deploy was done: nothing is rolled back."
    assert (done.interrupted, bool(done.release)) == (True, True)
    assert world.releases() == [2, 1]


def test_an_older_run_is_refused_after_a_newer_one(server: PrefectServer) -> None:
    world = World(server)
    world.deploy(BEFORE, order=7)
    before = world.states()

    with pytest.raises(DeployerError, match="Run 6 is older than run 7"):
        world.deploy(AFTER, order=6)
    assert world.states() == before

    world.deploy(AFTER, order=8)
    world.roll_back(1)
    with pytest.raises(DeployerError, match="Run 7 is older than run 8"):
        world.deploy(AFTER, order=7, resume=True)
    world.deploy(AFTER, order=8, resume=True)


DRIVER = """
import sys
sys.path[:0] = {paths!r}
from deployer import lock
from deployer.cli import context
lock.EXPIRY, lock.RENEWAL = 3, 1
from tests.deployer import test_faults
from tests.deployer.world import World
from tests.support.server import PrefectServer
server = PrefectServer.__new__(PrefectServer)
server.api_url, server.env = {api_url!r}, {{"PREFECT_HOME": {home!r}}}
world = World.of(server, {number!r}, work_pool=test_faults.POOL)
world.run = context.act  # with its handling of signals
print("ready", flush=True)
sys.stdin.readline()
test_faults.deploy_all(world, getattr(test_faults, {catalog!r}))
print("done", flush=True)
"""


def start_deployer(world: World, catalog: str) -> subprocess.Popen[str]:
    """Start a deployer in its own process, which waits for a line on stdin before it deploys."""
    code = textwrap.dedent(DRIVER).format(
        paths=[str(ROOT), str(ROOT / TEMPLATE_FOLDER)],
        api_url=world.server.api_url,
        home=world.server.env["PREFECT_HOME"],
        number=world.number,
        catalog=catalog,
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**world.server.env, "PREFECT_API_URL": world.server.api_url},
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n", process.communicate()
    return process


def release_deployer(process: subprocess.Popen[str]) -> None:
    """Let a waiting deployer start its deploy."""
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


def test_after_kill_9_at_any_moment_the_next_deploy_converges(server: PrefectServer) -> None:
    chance = random.Random(os.getpid())
    for _ in range(50 if SOAK else 2):
        world = World(server, work_pool=POOL)
        deploy_all(world, BEFORE)
        process = start_deployer(world, "AFTER")
        release_deployer(process)
        time.sleep(chance.uniform(0, 2))
        process.kill()
        process.wait(30)

        deploy_all(world, AFTER, lock_timeout=30)

        assert world.plan(AFTER, resources_of(2)).empty
        assert world.states().keys() == {world.key(entry) for entry in AFTER}
        assert len(world.resources()) == len(resources_of(2))
        world.destroy()


@pytest.mark.parametrize("signs", ["SIGTERM", "SIGINT SIGTERM", "SIGINT SIGINT", "SIGHUP SIGHUP"])
def test_an_interrupted_deploy_puts_back_what_was_there(server: PrefectServer, signs: str) -> None:
    world = World(server, work_pool=POOL)
    deploy_all(world, BEFORE)
    before = held(world)
    with Proxy(server.api_url, "delay", 6) as proxy:
        world.api_url = proxy.api_url
        started = threading.Event()
        proxy.then = started.set
        process = start_deployer_behind(world, proxy.api_url)
        release_deployer(process)
        assert started.wait(30)
        for sign in signs.split():
            # A cancelled job gets the second signal while it restores.
            process.send_signal(signal.Signals[sign])
            eventually(lambda: len(proxy.writes) > 6 or process.poll() is not None, every=0.01)
        process.wait(60)
    world.api_url = server.api_url

    assert process.returncode != 0
    assert held(world) == before
    deploy_all(world, AFTER, lock_timeout=5)


@pytest.mark.parametrize("twice", [False, True])
def test_who_interrupts_is_told_what_was_put_back(server: PrefectServer, twice: bool) -> None:
    world = World(server)
    world.deploy(BEFORE)
    before = world.states()
    said: list[str] = []
    deploying: list[asyncio.Task[Any] | None] = []

    def say(message: str) -> None:
        said.append(message)
        if message.startswith("2/"):
            deploying.append(asyncio.current_task())
            raise asyncio.CancelledError
        if twice and message.startswith("putting back"):
            (task,) = deploying
            assert task
            task.cancel()

    with pytest.raises(asyncio.CancelledError):
        world.deploy(AFTER, say=say)

    assert said[-1] == "The server is as it was before the deploy: put back 1 deployment."
    assert world.states() == before


def test_what_somebody_deletes_during_a_deploy_is_named_and_put_back(server: PrefectServer) -> None:
    world = World(server)
    world.deploy(BEFORE)
    before = world.states()
    changed = world.live()[world.key(BEFORE[0])]

    def say(message: str) -> None:
        if message.startswith("2/"):
            world.call("DELETE", f"/deployments/{changed.id}")

    with pytest.raises(DeployerError, match=rf"what was deployed: {world.key(BEFORE[0])}: create"):
        world.deploy(AFTER, say=say)

    assert world.states() == before


def start_deployer_behind(world: World, api_url: str) -> subprocess.Popen[str]:
    """Start a waiting deployer of AFTER that reaches the server through a proxy."""
    behind = PrefectServer.__new__(PrefectServer)
    behind.api_url, behind.env = api_url, world.server.env
    return start_deployer(World.of(behind, world.number), "AFTER")


def test_a_server_that_restarts_in_the_middle_ends_in_all_or_nothing(
    project_python: Path, tmp_path: Path
) -> None:
    with PrefectServer(project_python, tmp_path / "server") as own:
        world = World(own)
        world.deploy(BEFORE)
        before = world.states()
        with Proxy(own.api_url, "drop", 9, then=own.restart) as proxy:
            world.api_url = proxy.api_url
            try:
                world.deploy(AFTER)
            except DeployerError:
                world.api_url = own.api_url
                assert world.states() == before
        world.api_url = own.api_url
        assert "restarted" if len(proxy.writes) >= 9 else pytest.fail("it never restarted")

        world.deploy(AFTER, lock_timeout=30)

        assert world.plan(AFTER).empty


def test_an_automation_whose_creation_gets_no_answer_does_not_act_twice(
    server: PrefectServer,
) -> None:
    catalog = [
        Deployment(plain, "main", triggers=[DeploymentEventTrigger(name="a trigger", expect={"a"})])
    ]
    world = World(server)
    with Proxy(server.api_url, "cut", 2, path="/automations/") as proxy:
        world.api_url = proxy.api_url
        with pytest.raises(DeployerError, match="created the automation 'a trigger' of plain/main"):
            world.deploy(catalog)
        assert proxy.writes.count("POST /api/automations/") == 2
        assert world.states() == {}

        world.deploy(catalog)
        assert world.plan(catalog).empty


TRIGGERED: dict[str, Any] = {"triggers": [DeploymentEventTrigger(name="a trigger", expect={"a"})]}


def fail_at(start: str) -> Callable[[str], None]:
    """Return a `say` that fails at the first message with this start."""

    def say(message: str) -> None:
        if message.startswith(start):
            raise DeployerError("The test fails here.")

    return say


def add_schedules(world: World, *hours: int) -> list[Any]:
    """Add schedules to the only deployment as the UI does, without slugs; return them all."""
    (live,) = world.live().values()
    for hour in hours:
        body = [{"schedule": {"cron": f"0 {hour} * * *"}, "active": True}]
        world.call("POST", f"/deployments/{live.id}/schedules", body)
    return schedules_of(world)


def schedules_of(world: World) -> list[Any]:
    """Return slug and time of each schedule of the only deployment."""
    (live,) = world.live().values()
    return sorted((str(row["slug"]), row["schedule"]["cron"]) for row in live.row["schedules"])


@pytest.mark.parametrize(
    ("kind", "path", "k"),
    [
        ("500", "/automations/", 4),  # the first attempt to restore ends after the schedules
        ("cut", "/schedules", 4),  # the schedule is sent again, after three deletions
    ],
)
def test_schedules_without_slugs_are_restored_once(
    server: PrefectServer, kind: str, path: str, k: int
) -> None:
    world = World(server)
    options: dict[str, Any] = {"schedules": [Cron("0 1 * * *", slug="a")], **TRIGGERED}
    world.deploy([Deployment(plain, "main", **options)])
    before = add_schedules(world, 2, 3, 3)
    changed = Deployment(plain, "main", description="new", **options)
    with Proxy(server.api_url, kind, k, path=path) as proxy:
        world.api_url = proxy.api_url
        with pytest.raises(DeployerError, match="before the deploy: put back 1 deployment"):
            world.deploy([changed], say=fail_at("recording"))

    world.api_url = server.api_url
    assert len([each for each in proxy.writes if path in each]) > k
    assert schedules_of(world) == before


def test_a_deployment_that_is_created_again_has_its_schedules_without_slugs(
    server: PrefectServer,
) -> None:
    world = World(server)
    world.deploy([Deployment(plain, "main")])
    before = add_schedules(world, 2)

    with pytest.raises(DeployerError, match="put back 1 deployment"):
        world.deploy([], say=fail_at("recording"), prune_limit=100)

    restored = schedules_of(world)
    world.deploy([Deployment(plain, "main", description="new")])
    assert (restored, schedules_of(world)) == (before, [])


@pytest.mark.parametrize("retries", ["5", "0"])
def test_an_automation_whose_restoring_gets_no_answer_does_not_act_twice(
    server: PrefectServer, monkeypatch: pytest.MonkeyPatch, retries: str
) -> None:
    world = World(server)
    world.deploy([Deployment(plain, "main", **TRIGGERED)])
    (live,) = world.live().values()
    (row,) = [a for a in world.automations() if a["actions"][0]["deployment_id"] == live.id]
    body = {name: row[name] for name in ("name", "enabled", "trigger", "actions")}
    copy = world.call("POST", "/automations/", body)["id"]  # an operator's
    (live,) = world.live().values()

    def send_before() -> None:
        if retries == "0":  # as if every try had arrived, but no answer came back
            owner = {"owner_resource": f"prefect.deployment.{live.id}"}
            world.call("POST", "/automations/", {**body, **owner})

    monkeypatch.setenv("PREFECT_CLIENT_MAX_RETRIES", retries)
    with Proxy(server.api_url, "cut", 4, then=send_before, path="/automations/") as proxy:
        world.api_url = proxy.api_url
        with pytest.raises(DeployerError, match="before the deploy: put back 1 deployment"):
            world.deploy(
                [Deployment(plain, "main", description="new", **TRIGGERED)],
                say=fail_at("recording"),
            )

    world.api_url = server.api_url
    (now,) = world.live().values()
    assert now.automations == live.automations == ("a trigger", "a trigger")
    assert world.call("GET", f"/automations/{copy}")["name"] == "a trigger"
