"""The runner recognises a push that changes nothing without the image, and no other push."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import nullcontext
from email.message import Message
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest
from deployer import Deployment, environment_state
from deployer.cli import commands
from deployer.cli.context import desired_state
from deployer.desired import Desired
from deployer.environment import Environment
from deployer.errors import DeployerError
from deployer.note_unchanged import note_if_unchanged
from deployer.options import Options, Wanted, Where
from deployer.server import Server
from deployer.unchanged import LONGEST, Exchange, Unchanged, deploy_hash, digest, note
from prefect.events import DeploymentEventTrigger
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings
from prefect.variables import Variable
from tools import prefect_api
from tools import unchanged as runner
from tools.unchanged import is_unchanged

from tests.deployer.sample_flows import anywhere
from tests.deployer.world import World, requests, writes
from tests.support.server import PrefectServer

IMAGE = "registry.example.com/flows@sha256:" + "a" * 64
TRIGGER = DeploymentEventTrigger(name="a trigger", expect={"an.event"})


def rows(number: int, **options: Any) -> list[Deployment]:
    """Return a catalog with a parameter that identifies the release."""
    return [Deployment(anywhere, "main", parameters={"rows": number}, **options)]


CATALOG = rows(1, triggers=[TRIGGER], concurrency_limit=3, interval=3600)


def pool(world: World) -> str:
    """Return the API path of the work pool."""
    return f"/work_pools/{quote(world.environment.work_pool)}"


class Pipeline:
    """What the pipeline does with one image: deploy, record, and check on the runner."""

    def __init__(self, server: PrefectServer) -> None:
        self.world = World(server)
        self.environ = {"PREFECT_API_URL": server.api_url}

    def deploy(self, catalog: list[Deployment], order: int) -> None:
        """Deploy as the image does, and record that nothing differs."""
        self.world.deploy(catalog, order=order)
        self.remember(catalog, order)

    def remember(self, catalog: list[Deployment], order: int) -> None:
        async def want(server: Server) -> tuple[Environment, Desired]:
            return await desired_state(server, self.world.environment, catalog)

        self.world.run(lambda server: note_if_unchanged(server, want, self.deploy_hash, order))

    @property
    def deploy_hash(self) -> str:
        """The hash that identifies the deploy."""
        found = deploy_hash({"": IMAGE}, "production", None, self.world.api_url)
        assert found
        return found

    def recognises(self, order: int, deploy_hash: str | None = None) -> bool:
        """Return whether the runner finds that nothing differs."""
        keys = self.world.environment.keys
        return is_unchanged(keys, deploy_hash or self.deploy_hash, order, self.environ)

    @property
    def variable(self) -> dict[str, Any]:
        """The Variable with the record, on the server."""
        name = environment_state.unchanged_name(self.world.environment)
        return dict(self.world.call("GET", f"/variables/name/{name}"))


@pytest.fixture
def pipeline(server: PrefectServer) -> Pipeline:
    """A pipeline that has deployed once and recorded it."""
    made = Pipeline(server)
    made.deploy(CATALOG, 10)
    return made


def test_a_push_of_the_same_image_is_known_to_change_nothing_and_remembered(
    pipeline: Pipeline,
) -> None:
    assert pipeline.recognises(11)
    assert pipeline.recognises(12)
    with pytest.raises(DeployerError, match="Run 11 is older than run 12"):
        pipeline.world.deploy(rows(2), order=11)
    # The refused deploy deleted the record, so the next run is not recognised.
    assert not pipeline.recognises(13)


def test_what_a_worker_and_running_flows_change_is_no_difference(pipeline: Pipeline) -> None:
    world = pipeline.world
    world.call("POST", f"{pool(world)}/workers/heartbeat", {"name": "a worker"})
    (live,) = world.live().values()
    world.call("POST", "/deployments/get_scheduled_flow_runs", {"deployment_ids": [live.id]})
    held = world.call("POST", "/v2/concurrency_limits/filter", {"limit": 200})
    (name,) = {each["name"] for each in held if live.id in each["name"]}
    slots = {"names": [name], "slots": 1, "mode": "concurrency"}
    world.call("POST", "/v2/concurrency_limits/increment", slots)

    assert pipeline.recognises(11)


def edited(path: str, body: dict[str, Any]) -> Callable[[Pipeline], object]:
    """Return a function that edits the deployment by hand."""

    def edit(pipeline: Pipeline) -> None:
        (live,) = pipeline.world.live().values()
        pipeline.world.call("PATCH", f"/deployments/{live.id}{path}", body)

    return edit


def switch_schedule(pipeline: Pipeline) -> None:
    """Switch the schedule off by hand."""
    (live,) = pipeline.world.live().values()
    (schedule,) = live.row["schedules"]
    edited(f"/schedules/{schedule['id']}", {"active": False})(pipeline)


def delete(pipeline: Pipeline) -> None:
    """Delete the deployment by hand."""
    (live,) = pipeline.world.live().values()
    pipeline.world.call("DELETE", f"/deployments/{live.id}")


def change_trigger(pipeline: Pipeline) -> None:
    """Switch the trigger off by hand."""
    for each in pipeline.world.automations():
        if each["tags"] == [] and each["enabled"]:
            pipeline.world.call("PATCH", f"/automations/{each['id']}", {"enabled": False})


def change_pool(pipeline: Pipeline) -> None:
    """Change the work pool's concurrency limit."""
    path = pool(pipeline.world)
    limit = pipeline.world.call("GET", path)["concurrency_limit"] or 100
    pipeline.world.call("PATCH", path, {"concurrency_limit": limit + 1})


def add_twin(pipeline: Pipeline) -> None:
    """Create another deployment with our tags."""
    (live,) = pipeline.world.live().values()
    body = {"name": "other", "flow_id": live.row["flow_id"], "tags": live.row["tags"]}
    pipeline.world.call("POST", "/deployments/", body)


def deploy_elsewhere(pipeline: Pipeline) -> None:
    """Deploy something else without recording it."""
    pipeline.world.deploy(rows(2))


def roll_back(pipeline: Pipeline) -> None:
    """Roll back to the current release, which holds it."""
    pipeline.world.roll_back(1)


@pytest.mark.parametrize(
    "change",
    [
        edited("", {"parameters": {"rows": 5}}),
        edited("", {"paused": True}),
        edited("", {"description": "by hand"}),
        edited("", {"job_variables": {"status": "a name that the server uses too"}}),
        switch_schedule,
        change_trigger,
        change_pool,
        add_twin,
        delete,
        deploy_elsewhere,
        roll_back,
    ],
    ids=lambda change: getattr(change, "__name__", None),
)
def test_whatever_was_changed_on_the_server_the_image_is_asked(
    pipeline: Pipeline, change: Callable[[Pipeline], object]
) -> None:
    assert pipeline.recognises(11)
    change(pipeline)
    assert not pipeline.recognises(12)


def test_another_image_environment_work_pool_or_address_is_asked(pipeline: Pipeline) -> None:
    url = pipeline.world.api_url
    others = [
        deploy_hash({"": IMAGE.replace("a" * 64, "b" * 64)}, "production", None, url),
        deploy_hash({"": IMAGE, "gpu": IMAGE}, "production", None, url),
        deploy_hash({"": IMAGE}, "staging", None, url),
        deploy_hash({"": IMAGE}, "production", "another", url),
        deploy_hash({"": IMAGE}, "production", None, "http://another/api"),
    ]
    assert len({pipeline.deploy_hash, *others}) == 6
    assert [pipeline.recognises(11, other) for other in others] == [False] * 5


@pytest.mark.parametrize(
    "images", [{}, {"": "flows:latest"}, {"": IMAGE, "gpu": "flows:gpu"}, {"": IMAGE[:-1]}]
)
def test_nothing_is_known_of_an_image_without_a_digest(images: dict[str, str]) -> None:
    assert deploy_hash(images, "production", None, "http://a/api") is None


def test_an_older_run_is_left_to_the_image(pipeline: Pipeline) -> None:
    assert pipeline.recognises(12)
    assert not pipeline.recognises(11)
    assert pipeline.recognises(12)  # the same one, again


def test_a_deploy_that_holds_the_lock_is_waited_for_by_the_image(pipeline: Pipeline) -> None:
    lock = {"name": f"deployer-lock-{pipeline.world.environment.keys[-1]}", "value": "x"}
    held = pipeline.world.call("POST", "/variables/", lock)
    assert not pipeline.recognises(11)
    pipeline.world.call("DELETE", f"/variables/{held['id']}")
    assert pipeline.recognises(12)


def deploy_and_record(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deploy something else, and record it."""
    pipeline.deploy(rows(2), 11)


def deploy_keeping_record(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deploy something else with a deployer that does not delete the record."""

    async def keep_note(*given: Any) -> Any:
        state, _ = await environment_state.read(*given)
        return state

    monkeypatch.setattr(environment_state, "merge_note", keep_note)
    pipeline.world.deploy(rows(2), order=11)


def delete_record(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """Delete the record, as a deployer does before it deploys."""
    pipeline.world.call("DELETE", f"/variables/{pipeline.variable['id']}")


def overwrite_record(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """Overwrite the record with an older run, which had read it earlier."""
    value = pipeline.variable["value"] | {"order": 11}
    pipeline.world.call("PATCH", f"/variables/{pipeline.variable['id']}", {"value": value})


@pytest.mark.parametrize(
    ("meanwhile", "before"),
    [
        (deploy_and_record, True),
        (deploy_keeping_record, True),
        (delete_record, True),
        (delete_record, False),
        (overwrite_record, False),
    ],
)
def test_who_comes_while_the_order_is_noted_is_seen(
    pipeline: Pipeline,
    monkeypatch: pytest.MonkeyPatch,
    meanwhile: Callable[[Pipeline, pytest.MonkeyPatch], None],
    before: bool,
) -> None:
    def ask(method: str, *asked: Any) -> Any:
        if method == "PATCH" and before:
            meanwhile(pipeline, monkeypatch)
        answer = prefect_api.ask(method, *asked)
        if method == "PATCH" and not before:
            meanwhile(pipeline, monkeypatch)
        return answer

    monkeypatch.setattr(runner, "ask", ask)
    assert not pipeline.recognises(12)


def test_a_run_that_comes_again_takes_no_newer_order_away(pipeline: Pipeline) -> None:
    assert pipeline.recognises(12)
    pipeline.deploy(CATALOG, 10)
    with pytest.raises(DeployerError, match="Run 11 is older than run 12"):
        pipeline.world.deploy(rows(2), order=11)


def test_a_deploy_that_waited_for_its_lock_is_refused_after_a_newer_run(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    merge_note = environment_state.merge_note

    async def meanwhile(*given: Any) -> Any:
        assert pipeline.variable["value"]["order"] == 10
        value = pipeline.variable["value"] | {"order": 12}
        pipeline.world.call("PATCH", f"/variables/{pipeline.variable['id']}", {"value": value})
        return await merge_note(*given)

    monkeypatch.setattr(environment_state, "merge_note", meanwhile)
    with pytest.raises(DeployerError, match="Run 11 is older than run 12"):
        pipeline.world.deploy(rows(2), order=11)
    (spec,) = pipeline.world.states().values()
    assert spec["parameters"] == {"rows": 1}


def test_only_reading_is_asked_again_whatever_somebody_wrote_into_the_variable(
    pipeline: Pipeline,
) -> None:
    found = pipeline.variable
    (live,) = pipeline.world.live().values()
    for asked in (
        ["DELETE", f"/deployments/{live.id}", None],
        ["POST", "/deployments/", {"name": "bad"}],
        ["GET", "@example.com/", None],
        ["GET", 5, None],
        [["GET"], "/health", None],
        ["GET", "/health\r\n\r\nDELETE /api/", None],
        ["POST", f"/deployments/{live.id}/pause_deployment?/filter", None],
    ):
        value = found["value"] | {"requests": [*found["value"]["requests"], asked]}
        pipeline.world.call("PATCH", f"/variables/{found['id']}", {"value": value})
        assert not pipeline.recognises(11)
    for value in ("by hand", {"deploy_hash": pipeline.deploy_hash}, [1]):
        pipeline.world.call("PATCH", f"/variables/{found['id']}", {"value": value})
        assert not pipeline.recognises(11)
    assert pipeline.world.live().keys() == {pipeline.world.key(rows(1)[0])}
    pipeline.world.deploy(rows(2), order=11)


def test_nothing_is_noted_where_something_differs_or_an_operator_holds_it(
    pipeline: Pipeline,
) -> None:
    pipeline.world.deploy(rows(2), order=11)
    pipeline.remember(rows(1), 11)
    assert not pipeline.recognises(12)
    pipeline.world.roll_back(2)
    pipeline.remember(rows(2), 12)
    assert not pipeline.recognises(13)
    pipeline.world.deploy(rows(2), order=14, resume=True)
    pipeline.remember(rows(2), 14)
    assert pipeline.recognises(15)


def test_what_is_destroyed_is_not_known_any_more(pipeline: Pipeline) -> None:
    pipeline.world.destroy()
    with requests() as sent:
        assert not pipeline.recognises(11)
    assert writes(sent) == []


def test_reading_asks_nothing_but_what_is_noted(pipeline: Pipeline) -> None:
    noted = Unchanged(**pipeline.variable["value"])
    assert all(Exchange(*each).reads for each in noted.requests)
    assert not any("unchanged" in path for _, path, _ in noted.requests)


def run_command(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, checked: Any) -> None:
    """Run the command `deploy`, as the pipeline does in the image."""
    url = pipeline.world.api_url
    monkeypatch.setenv("DEPLOYER_IMAGE", IMAGE)
    monkeypatch.setenv("PREFECT_API_URL", url)
    monkeypatch.setattr(commands, "checked", checked)
    options = Options(verify=False, order=11)
    home = pipeline.world.server.env["PREFECT_HOME"]
    with temporary_settings({PREFECT_API_URL: url, PREFECT_HOME: home}):
        commands.deploy(Where("production"), wanted=Wanted((IMAGE,)), options=options)


@pytest.mark.parametrize("asks", [False, True])
def test_a_catalog_that_asks_a_server_when_it_is_imported_is_never_known(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, asks: bool
) -> None:
    def checked(*_: object) -> tuple[Environment, list[Deployment]]:
        if asks:
            Variable.get("none", default=1)
        return pipeline.world.environment, CATALOG

    run_command(pipeline, monkeypatch, checked)
    assert pipeline.recognises(12) is not asks


async def interrupt(*_: object) -> None:
    """Send SIGTERM to this process, as a cancelled job does."""
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.sleep(60)


async def refuse(*_: object) -> None:
    """Fail as if the work pool had been deleted."""
    raise DeployerError("There is no work pool.")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (interrupt, "Interrupted after the deploy was done: nothing is rolled back."),
        (refuse, "The next push will pull the image to find what differs: There is no work pool."),
    ],
)
def test_whatever_goes_wrong_after_the_deploy_it_is_done_and_reported(
    pipeline: Pipeline,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    wrong: Callable[..., object],
    said: str,
) -> None:
    monkeypatch.setattr("deployer.note_unchanged.note_if_unchanged", wrong)
    run_command(pipeline, monkeypatch, lambda *_: (pipeline.world.environment, rows(2)))
    out, err = capsys.readouterr()
    assert said in err
    assert "is at release 2" in out
    (spec,) = pipeline.world.states().values()
    assert spec["parameters"] == {"rows": 2}


def test_whatever_the_name_of_a_work_pool_to_read_its_queues_is_reading() -> None:
    assert Exchange("POST", "/work_pools/My-pool%202/queues/filter", {}).reads
    assert not Exchange("POST", "/work_pools/My-pool/queues/?/filter", {}).reads


@pytest.mark.parametrize(("refused", "known"), [(1, True), (prefect_api.BUSY, False)])
def test_a_busy_server_is_asked_again(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, refused: int, known: bool
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    answers = iter([True] * refused)

    def busy(request: Request, **given: Any) -> Any:
        if next(answers, False):
            raise HTTPError(request.full_url, 503, "busy", Message(), None)
        return urlopen(request, **given)

    monkeypatch.setattr(prefect_api, "urlopen", busy)
    with nullcontext() if known else pytest.raises(DeployerError, match="it answers 503"):
        assert pipeline.recognises(11)


def test_too_much_for_a_variable_is_not_noted_nor_is_a_write() -> None:
    read = Exchange("POST", "/flows/filter", {"names": ["n" * LONGEST]}, [])
    assert note("x", [read], 1) is None
    assert note("x", [Exchange("POST", "/flows/", {}, {})], 1) is None
    assert note("x", [Exchange("GET", "/flows/1", None, None)], 1)


def test_only_what_the_server_moves_itself_is_left_out_of_the_hash() -> None:
    row = {"id": 1, "updated": 1, "status": "READY", "parameters": {"status": "x"}}
    moved = row | {"updated": 2, "status": "NOT_READY"}
    assert digest([[row]]) == digest([[moved]])
    assert digest([[row]]) != digest([[row | {"parameters": {"status": "y"}}]])
    assert digest([[row]]) != digest([row])
    assert digest([None]) != digest([[]])
