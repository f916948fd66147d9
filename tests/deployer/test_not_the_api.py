"""PREFECT_API_URL leads to something other than the API, such as a login page or redirects."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import prefect
import pytest
from deployer import environment_state
from deployer.api_errors import explain
from deployer.errors import DeployerError
from deployer.server import connect
from prefect.settings import PREFECT_API_URL, temporary_settings

from tests.deployer.test_doctor import connection, front
from tests.deployer.world import World
from tests.support.listener import Listener, QuietHandler
from tests.support.server import PrefectServer

Page = tuple[int, dict[str, str], str]
LOGIN: Page = (200, {"content-type": "text/html"}, "<html>Who are you?</html>")


@contextmanager
def proxy(answer: Callable[[str], Page]) -> Iterator[str]:
    """Run a server whose answer depends only on the path; yield its address without a path."""

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            status, headers, text = answer(self.path)
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(text))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text.encode())

        do_POST = do_GET

    with Listener("127.0.0.1", Handler) as listener:
        yield listener.origin


def refused(url: str) -> str:
    """Return the error that a command's first requests to this address cause."""

    async def go() -> None:
        async with connect() as connected:
            await connected.pages("/deployments/filter", {})
            raise AssertionError(f"{url} was taken for the Prefect API")

    with temporary_settings({PREFECT_API_URL: url}), pytest.raises(DeployerError) as found:
        asyncio.run(go())
    return str(found.value)


def moved(path: str) -> Page:
    """Redirect every path to the login page."""
    return LOGIN if path.startswith("/login") else (302, {"location": "/login?next=canary"}, "")


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (lambda _: LOGIN, "something else answers there, such as a login page"),
        (lambda _: (204, {}, ""), "something else answers there"),
        (moved, "it redirects to {origin}/login"),
        (lambda path: (307, {"location": path}, ""), "it redirects in a loop"),
        (lambda _: (404, {}, "{}"), "it answers 404"),
        (lambda _: (405, {}, "{}"), "it answers 405"),
    ],
    ids=["a page", "nothing", "a login", "a loop", "no such path", "no such method"],
)
def test_commands_and_doctor_say_what_answers_instead(
    answer: Callable[[str], Page], what: str
) -> None:
    with proxy(answer) as origin:
        url = f"{origin}/api"
        said, finding = refused(url), connection(url)

    expected = (
        f"PREFECT_API_URL is {url}, and there is no Prefect API: {what.format(origin=origin)}"
    )
    assert said.startswith(expected)
    assert said.endswith("requires a login, set PREFECT_CLIENT_CUSTOM_HEADERS")
    assert said == str(finding)
    assert "canary" not in said


def test_an_address_without_api_is_told_with_the_right_one(server: PrefectServer) -> None:
    wrong = server.api_url.removesuffix("/api")

    said = refused(wrong)

    assert said.startswith(f"PREFECT_API_URL is {wrong}, and there is no Prefect API: ")
    assert said.endswith(f"To fix it: export PREFECT_API_URL={server.api_url}")


def test_an_address_that_redirects_to_the_api_is_told_with_the_right_one(
    server: PrefectServer,
) -> None:
    origin = server.api_url.removesuffix("/api")
    with proxy(lambda path: (301, {"location": f"{origin}{path}"}, "")) as elsewhere:
        said = refused(f"{elsewhere}/api")

    assert f"there is no Prefect API: it redirects to {server.api_url}/admin/version." in said
    assert said.endswith(f"To fix it: export PREFECT_API_URL={server.api_url}")


@pytest.mark.parametrize(
    ("version", "fix"),
    [("2.20.1", "upgrade the server first: "), ("4.0.0", "install the server's version here: ")],
)
def test_a_server_of_another_major_version_is_told_as_one_sentence(
    server: PrefectServer, version: str, fix: str
) -> None:
    with front(server, {"/admin/version": (200, f'"{version}"')}) as url:
        said = refused(url)

    what = f"Prefect is {prefect.__version__} here and {version} on the server."
    assert said.startswith(f"{what} To fix it: {fix}")


def test_a_login_that_ends_on_the_way_is_a_sentence(server: PrefectServer) -> None:
    world = World(server)
    page = {f"/variables/name/deployer-unchanged-{world.environment.key}": (200, LOGIN[2])}

    with front(server, page) as world.api_url, pytest.raises(DeployerError) as found:
        world.run(lambda connected: environment_state.merge_note(connected, world.environment))

    assert str(found.value).startswith(f"The answer from {world.api_url} is not from the Prefect")


def test_an_error_without_json_is_explained() -> None:
    with pytest.raises(ValueError, match="Expecting value") as error:
        json.loads("<html>")

    assert "a new login, then try again." in explain(error.value)


def test_an_error_of_our_own_keeps_its_sentence() -> None:
    assert explain(DeployerError("Another deployer has the lock.")) == (
        "Another deployer has the lock."
    )
