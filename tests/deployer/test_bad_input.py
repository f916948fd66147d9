"""Bad catalogs and environments: an error that names the place and the problem, and no request."""

from __future__ import annotations

import importlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.baking import Project, bake_into

OURS = ("deployer", "deployments", "flows")
FLOWS = """\
from prefect import flow


@flow
def plain() -> None:
    pass


@flow
def sample(rows: int = 1, label: str = "x") -> None:
    pass


@flow
def needs(items: list[int]) -> None:
    pass


@flow
def 数据(数量: int = 1) -> None:
    pass
"""
HEAD = """\
from datetime import datetime, timedelta
from pathlib import Path

import flows.sample
from flows.sample import needs, plain, sample, 数据
from prefect import flow
from prefect.client.schemas.objects import ConcurrencyLimitConfig
from prefect.events import DeploymentEventTrigger
from prefect.schedules import Cron, Interval, RRule, Schedule
from pydantic import SecretStr

from deployer.catalog import Deployment

"""
UUID = "01234567-89ab-cdef-0123-456789abcdef"
SECRET = "correct-horse"  # noqa: S105 - planted; no message may repeat it


class Listener:
    """A port that counts connections and answers nothing."""

    def __init__(self) -> None:
        self.connections = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/api"
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            connection.close()

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()


@dataclass
class Answer:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str

    def refuses(self, *fragments: str) -> None:
        """Assert that the exit code is 1 and stderr has whole sentences with these fragments."""
        assert self.code == 1, self
        assert self.out == ""
        lines = self.err.splitlines()
        assert lines
        for line in lines:
            assert line.startswith("error: "), line
            assert line.endswith((".", "?")), line
            assert "deployments/" in line or "flows/" in line or "environment" in line, line
        assert "Traceback" not in self.err
        assert SECRET not in self.err
        for fragment in fragments:
            assert fragment in self.err, f"{fragment!r} is not in:\n{self.err}"


class Harness:
    """A generated project whose deployer runs in this process and imports the catalog afresh."""

    def __init__(self, project: Project, listener: Listener) -> None:
        self.project, self.listener = project, listener
        self.catalog = project.path / "deployments/catalog.py"
        self.environments = project.path / "deployments/environments.toml"
        self.originals = {each: each.read_bytes() for each in (self.catalog, self.environments)}

    def module(self, name: str) -> ModuleType:
        """Import a module of the project's deployer."""
        return importlib.import_module(f"deployer.{name}")

    def reset(self) -> None:
        """Restore the files and forget the modules that were imported from them."""
        for path, content in self.originals.items():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        (self.project.path / "flows/sample.py").write_text(FLOWS, encoding="utf-8")
        forget("deployments", "flows")
        self.listener.connections = 0

    def declare(self, body: str) -> None:
        """Write a catalog from a module's whole body or from a single entry."""
        catalog = body if "CATALOG" in body else f"CATALOG = [\n    {body},\n]\n"
        self.catalog.write_text(HEAD + catalog, encoding="utf-8")

    def run(self, capsys: pytest.CaptureFixture[str], *words: str) -> Answer:
        """Run the command `python -m deployer` in this process."""
        forget("deployments", "flows")
        importlib.invalidate_caches()
        capsys.readouterr()
        try:
            code = self.module("cli").main(list(words))
        except SystemExit as end:
            code = end.code
        printed = capsys.readouterr()
        return Answer(code, printed.out, printed.err)

    def refuses(self, capsys: pytest.CaptureFixture[str], *fragments: str) -> None:
        """Assert that `check` fails with these fragments and sends no request."""
        self.run(capsys, "check").refuses(*fragments)
        assert self.listener.connections == 0


def forget(*packages: str) -> dict[str, ModuleType]:
    """Remove packages from sys.modules and return their modules."""
    names = [name for name in sys.modules if name.split(".")[0] in packages]
    return {name: sys.modules.pop(name) for name in names}


@pytest.fixture(scope="module")
def shared_harness(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    """The project that all tests share."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    project = bake_into(tmp_path_factory.mktemp("bad input"), template)
    listener = Listener()
    others = forget(*OURS)
    with pytest.MonkeyPatch.context() as patch, temporary_settings({PREFECT_API_URL: listener.url}):
        patch.syspath_prepend(str(project.path))
        patch.setattr(sys, "dont_write_bytecode", True)  # files change within a second
        patch.setenv("PREFECT_API_URL", listener.url)
        harness = Harness(project, listener)
        # test_import_time.py tests the process that imports a catalog a second time.
        again = harness.module("check.import_time")
        patch.setattr(again, "importing", nullcontext)
        patch.setattr(again, "require_same", lambda *_: None)
        yield harness
    forget(*OURS)
    sys.modules.update(others)
    listener.close()


@pytest.fixture
def harness(shared_harness: Harness) -> Iterator[Harness]:
    """The project in its original state."""
    shared_harness.reset()
    yield shared_harness
    shared_harness.reset()


def entry(arguments: str, flow: str = "sample") -> str:
    """Return the source of one entry."""
    return f'Deployment({flow}, "hourly", {arguments})'


def of_the_api(arguments: str) -> str:
    """Return the source of a catalog with an entry that uses classes of Prefect's API."""
    modules = ("schedules", "actions")
    head = "".join(f"from prefect.client.schemas.{each} import *\n" for each in modules)
    return f"{head}CATALOG = [\n    {entry(arguments)},\n]\n"


def named(name: object) -> str:
    """Return the source of an entry with this name."""
    return f"Deployment(sample, {name!r})"


HOURLY = "deployments/catalog.py, sample/hourly: "
BAD_CATALOGS: dict[str, tuple[str, tuple[str, ...]]] = {
    # The module
    "a syntax error": ("CATALOG = [", ("catalog.py, line 14: SyntaxError: '[' was never closed",)),
    "an indentation error": ("  CATALOG = []", ("catalog.py, line 14: IndentationError",)),
    "an unknown name": ("CATALOG = [nothing]", ("catalog.py, line 14: NameError", "'nothing'")),
    "an unknown module": (
        "import nothing\nCATALOG = []",
        ("catalog.py, line 14: ModuleNotFoundError: No module named 'nothing'",),
    ),
    "an exit": ("raise SystemExit('CATALOG')", ("catalog.py, line 14: SystemExit: CATALOG",)),
    "an error without a text": ("raise ValueError  # CATALOG", ("line 14: ValueError: Val",)),
    "an error of many lines": (
        "raise ValueError('a\\nb')  # CATALOG",
        ("catalog.py, line 14: ValueError: a. Fix it",),
    ),
    "no CATALOG": ("CATALOGUE = []", ("CATALOG is missing: write CATALOG = [",)),
    "a tuple": ("CATALOG = ()", ("CATALOG is a tuple, not a list",)),
    "a dict": ("CATALOG = {}", ("CATALOG is a dict, not a list",)),
    "a flow as an entry": (
        "CATALOG = [plain, Deployment(plain, 'x'), 3]",
        ("entry 1 of CATALOG is <prefect.flows.Flow", "entry 3 of CATALOG is 3", "write Deploym"),
    ),
    "an entry without a name": ("Deployment(plain)", ("line 15: TypeError", "'name'")),
    "a flow name that Prefect refuses": (
        "@flow(name='a/b')\ndef bad(): ...\nCATALOG = []",
        ("catalog.py, line 14: InvalidNameError: Name 'a/b'",),
    ),
    # The flow
    "a function that is no flow": ("Deployment(plain.fn, 'x')", ("<function plain", "put @flow")),
    "no flow at all": ("Deployment(None, 'x')", ("None/x", "None is not a flow: put @flow on")),
    "a lambda": (
        "Deployment(flow(lambda: None, name='f'), 'x')",
        ("f/x: a worker cannot import deployments.catalog.<lambda>: define the flow with @flow",),
    ),
    "a local flow": (
        "def make():\n    @flow\n    def f(): ...\n    return f\n"
        "CATALOG = [Deployment(make(), 'x')]",
        ("f/x: a worker cannot import deployments.catalog.f",),
    ),
    "a flow of __main__": (
        "def f(): ...\nf.__module__ = '__main__'\nCATALOG = [Deployment(flow(f), 'x')]",
        ("f/x: a worker cannot import __main__.f",),
    ),
    "options that a run would not have": (
        "Deployment(sample.with_options(retries=3), 'x')",
        (
            "sample/x: a run imports flows.sample.sample and would lose what with_options changed",
            "or write sample = sample.with_options(…) in flows.sample itself.",
        ),
    ),
    "a name that a run would not have": (
        "Deployment(sample.with_options(name='renamed'), 'x')",
        ("renamed/x: a run imports flows.sample.sample and would lose what with_options",),
    ),
    "a flow under another name": (
        "def f(): ...\ng = flow(f)\nCATALOG = [Deployment(g, 'x')]",
        ("f/x: a worker cannot import deployments.catalog.f", "under the name of its function"),
    ),
    # Options
    "an unknown option": (entry("tagz=['a']"), (f"{HOURLY}there is no option 'tagz", "mean tags?")),
    "an option unlike any": (entry("zzz=1"), ("no option 'zzz'; see the options of Flow.deploy",)),
    "an image": (
        entry("image='an/image:1'"),
        (f"{HOURLY}there is no image 'an/image:1' in [images] of deployments/environments.toml;",),
    ),
    "an image that is no text": (entry("image=['a']"), ("there is no image ['a'] in [images]",)),
    "a work pool of a bad name": (
        entry("work_pool_name='a/b'"),
        (f"{HOURLY}work_pool_name is 'a/b': leave '/' out",),
    ),
    "a work pool of numbers": (entry("work_pool_name=7"), ("work_pool_name is 7, but it has to",)),
    **{
        f"the step {name}": (
            entry(f"{name}=[{{'prefect.deployments.steps.git_clone': {{}}}}]"),
            (f"{HOURLY}{name} cannot be set here; no code is pulled when a run starts",),
        )
        for name in ("pull", "pull_steps")
    },
    "an image among the job variables": (
        entry("job_variables={'image': 'an/image:1'}"),
        (f"{HOURLY}job_variables.image would be overwritten", "with --image"),
    ),
    "a build": (entry("build=False"), (f"{HOURLY}build cannot be set here",)),
    "paused is text": (entry("paused='no'"), ("paused is 'no', but it should be a valid bool",)),
    "a description of numbers": (entry("description=3"), ("description is 3", "valid string")),
    "a version of numbers": (entry("version=1.0"), ("version is 1.0", "valid string")),
    "a description with NUL": (entry("description='\\0'"), ("description holds a NUL",)),
    "half a character": (entry("description='\\ud800'"), ("description cannot be sent as JSON",)),
    "tags as one text": (entry("tags='a'"), ("tags is 'a', but it should be a valid list",)),
    "a tag of numbers": (entry("tags=['a', 3]"), ("tags.1 is 3, but it should be a valid string",)),
    "a blank tag": (entry("tags=[' ']"), ("the tag ' ' is blank",)),
    "a reserved tag": (entry("tags=['project:other']"), ("'project:other' is reserved",)),
    "another reserved tag": (entry("tags=['environment:x']"), ("'environment:x' is reserved",)),
    "a tag of an origin": (entry("tags=['origin:x']"), ("'origin:x' is reserved",)),
    "no runs at once": (entry("concurrency_limit=0"), ("concurrency_limit is 0", "1 or more")),
    "less than no runs": (entry("concurrency_limit=-1"), ("concurrency_limit is -1",)),
    "a limit in text": (entry("concurrency_limit='2'"), ("concurrency_limit is '2'", "integer")),
    "a limit of True": (entry("concurrency_limit=True"), ("concurrency_limit is True", "integer")),
    "a limit in a dict": (entry("concurrency_limit={'limit': 1}"), ("limit is {'limit': 1}",)),
    "a configured limit of 0": (
        entry("concurrency_limit=ConcurrencyLimitConfig(limit=0)"),
        ("concurrency_limit is ConcurrencyLimitConfig(limit=0",),
    ),
    "a trigger without a name": (
        entry("triggers=[DeploymentEventTrigger(expect={'e'})]"),
        (f"{HOURLY}a trigger has no name",),
    ),
    "a trigger that is none": (entry("triggers=['e']"), ("triggers.0 is 'e'", "EventTrigger")),
    "two triggers of one name": (
        entry("triggers=2 * [DeploymentEventTrigger(name='t', expect={'e'})]"),
        ("two triggers have the same name",),
    ),
    "a queue of a bad name": (entry("work_queue_name='a/b'"), ("work_queue_name is 'a/b'", "'/'")),
    # Names
    **{
        f"the name {name!r}": (named(name), ("deployments/catalog.py, sample/", text))
        for name, text in {
            "a/b": "leave '/' out",
            "50%": "leave '%' out",
            "a&b": "leave '&' out",
            "a<b": "leave '<' out",
            "a>b": "leave '>' out",
            "a?": "leave '?' out",
            "#1": "leave '#' out",
            "a\nb": "sample/a\\nb: the deployment's name is 'a\\nb': leave '\\n' out",
            "a\0": "leave '\\x00' out",
            "a\x7f": "leave '\\x7f' out",
            "a\ud800": "leave '\\ud800' out",
            " a": "leave the space",
            "a ": "leave the space",
            "a.py": "ends with .py",
            "": "cannot be blank",
            " ": "cannot be blank",
            ".": "means a folder",
            "..": "means a folder",
            "x" * 300: "cannot have more than 255 characters",
        }.items()
    },
    "the name None": ("Deployment(sample, None)", ("sample/None", "None, but it has to be text")),
    "the name 7": ("Deployment(sample, 7)", ("sample/7", "is 7, but it has to be text")),
    "a flow's name with a question mark": (
        "Deployment(sample.with_options(name='why?'), 'x')",
        ("why?/x: the flow's name is 'why?': leave '?' out",),
    ),
    "a flow's name of spaces": (
        "Deployment(sample.with_options(name=' '), 'x')",
        (" /x: the flow's name is ' ', but it cannot be blank",),
    ),
    "two of one name": (
        "CATALOG = [Deployment(plain, 'x'), Deployment(plain, 'y'), Deployment(plain, 'x')]",
        ("plain/x: there are 2 entries of this name",),
    ),
    "two of one name by with_options": (
        "CATALOG = [Deployment(plain, 'x'), Deployment(sample.with_options(name='plain'), 'x')]",
        ("plain/x: there are 2 entries of this name",),
    ),
    # Parameters
    "an unknown parameter": (
        entry("parameters={'row': 1}"),
        (f"{HOURLY}parameters: the flow has no parameter 'row'; did you mean rows?",),
    ),
    "a parameter unlike any": (entry("parameters={'zzz': 1}"), ("it takes rows, label.",)),
    "a parameter of a flow without": (
        entry("parameters={'a': 1}", "plain"),
        ("plain/hourly: parameters: the flow has no parameter 'a'; it takes none.",),
    ),
    "a parameter of the wrong type": (
        entry("parameters={'rows': 'many'}"),
        ("parameters.rows: 'many' is not of type 'integer'.",),
    ),
    "a wrong type in any script": (
        entry("parameters={'数量': '多'}", "数据"),
        ("数据/hourly: parameters", "数量", "'多' is not of type 'integer'"),
    ),
    "a wrong type inside a list": (
        entry("parameters={'items': [1, 'x']}", "needs"),
        ("parameters.items[1]: 'x' is not of type 'integer'.",),
    ),
    "parameters as a list": (entry("parameters=['rows']"), ("parameters is ['rows']", "diction")),
    "a parameter that is no name": (entry("parameters={1: 2}"), ("parameters.1 is 1", "string")),
    "a schedule without what is needed": (
        entry("schedules=[Cron('@daily')]", "needs"),
        ("needs/hourly: schedule schedule-1: 'items' is a required property.",),
    ),
    "a schedule with an unknown parameter": (
        entry("schedules=[Cron('@daily', slug='s', parameters={'row': 1})]"),
        ("schedule s: the flow has no parameter 'row'; did you mean rows?",),
    ),
    "a timedelta": (
        entry("parameters={'label': timedelta(1)}"),
        ("parameters cannot be sent as JSON: datetime.timedelta(days=1)", "PT1H"),
    ),
    "an object": (entry("parameters={'label': object()}"), ("parameters cannot be sent as JSON",)),
    "a set": (entry("parameters={'label': {'a'}}"), ("{'a'} has no order: use a list",)),
    "not a number": (entry("parameters={'rows': float('nan')}"), ("cannot be sent as JSON",)),
    "a secret": (
        entry(f"parameters={{'label': SecretStr({SECRET!r})}}"),
        ("a secret is sent as asterisks: load a Secret block",),
    ),
    "a NUL": (entry("parameters={'label': 'a\\0'}"), ("parameters holds a NUL character",)),
    "itself": (
        "own = {}\nown['label'] = own\nCATALOG = [Deployment(sample, 'x', parameters=own)]",
        ("sample/x: parameters cannot be sent as JSON",),
    ),
    "a smoke run without what is needed": (
        entry("smoke={}", "needs"),
        ("needs/hourly: smoke: 'items' is a required property.",),
    ),
    "a smoke run of an unknown parameter": (entry("smoke={'row': 1}"), ("smoke: the flow has no",)),
    "a smoke run of a wrong type": (entry("smoke={'rows': '1'}"), ("smoke.rows: '1' is not of",)),
    "a smoke run of True": (entry("smoke=True"), ("smoke is True, but it has to be a dict",)),
    # Schedules
    "a schedule that is text": (
        entry("schedules=['@daily']"),
        ("schedules.0 is '@daily', but it should be an instance of Schedule",),
    ),
    "one schedule instead of a list": (
        entry("schedules=Cron('@daily')"),
        ("schedules is Schedule(", "valid list"),
    ),
    "a bad cron in a schedule of the API": (
        of_the_api("schedules=[CronSchedule(cron='61 * * * *')]"),
        ("catalog.py, line 17: ValidationError: cron: Value error, Invalid cron string",),
    ),
    "a schedule that never runs": (
        of_the_api("schedule=NoSchedule()"),
        ("schedule is NoSchedule()", "instance of Schedule"),
    ),
    "a limit of scheduled runs": (
        of_the_api(
            "schedules=[DeploymentScheduleCreate(schedule=CronSchedule(cron='@daily'), "
            "max_scheduled_runs=3)]"
        ),
        (
            "line 17: ValueError: max_scheduled_runs=3 would be lost: Prefect's server",
            "leave it out",
        ),
    ),
    "an unknown time zone in a schedule of the API": (
        of_the_api("schedules=[CronSchedule(cron='@daily', timezone='Mars/Base')]"),
        ("line 17: ValidationError: timezone: Value error, Invalid timezone",),
    ),
    "a bad cron": (
        "CATALOG = [\n    Deployment(sample, 'x', schedules=[Cron('61 * * * *')]),\n]",
        ("catalog.py, line 15: ValueError: Invalid cron string",),
    ),
    "a bad cron option": (entry("cron='never'"), (f"{HOURLY}cron: Invalid cron string",)),
    "a bad rrule": (entry("rrule='FREQ=NEVER'"), ("rrule: Invalid RRule string",)),
    "an interval of nothing": (
        entry("schedules=[Interval(0, slug='s')]"),
        ("schedule s: its interval is 0:00:00, but it has to be longer than 0 seconds",),
    ),
    "an interval backwards": (entry("interval=-60"), ("its interval is -1 day, 23:59:00",)),
    "an interval of no number": (entry("interval=float('nan')"), (f"{HOURLY}interval: cannot",)),
    "an endless interval": (entry("interval=float('inf')"), (f"{HOURLY}interval: cannot convert",)),
    "an interval in text": (entry("interval='1h'"), ("interval is '1h', but it should be",)),
    "an interval that is no time": (
        entry("schedules=[Schedule(interval=3600)]"),
        ("schedules.0.interval is 3600, but it should be a valid timedelta",),
    ),
    "a schedule of nothing": (entry("schedule=Schedule()"), ("neither an interval, a cron nor",)),
    "an unknown time zone": (
        entry("schedules=[Cron('@daily', timezone='Mars/Base')]"),
        ("schedule schedule-1: there is no time zone 'Mars/Base'",),
    ),
    "a time zone of numbers": (
        entry("schedules=[Cron('@daily', timezone=1)]"),
        ("schedules.0.timezone is 1, but it should be a valid string",),
    ),
    "an rrule that begins anew": (
        entry("schedules=[RRule('FREQ=MINUTELY')]"),
        ("its rrule would start again with every deploy: put DTSTART",),
    ),
    "two equal slugs": (
        entry("schedules=[Interval(1, slug='s'), Interval(2, slug='s')]"),
        ("two schedules have the same slug",),
    ),
    "a slug that is another's number": (
        entry("schedules=[Interval(1, slug='schedule-2'), Interval(2)]"),
        ("two schedules have the same slug",),
    ),
    "a blank slug": (entry("schedules=[Interval(1, slug='')]"), ("its slug is blank",)),
    "a slug like an id": (
        entry(f"schedules=[Interval(1, slug={UUID!r})]"),
        (f"schedule {UUID}: its slug is blank or looks like an id",),
    ),
    "interval and cron": (
        entry("interval=60, cron='@daily'"),
        ("interval and cron are both given: choose one",),
    ),
    # Job variables
    "job variables in a list": (entry("job_variables=['a']"), ("job_variables is ['a']", "dict")),
    "job variables that are no JSON": (
        entry("job_variables={'a': {1, 2}}"),
        ("job_variables cannot be sent as JSON",),
    ),
    "a variable of the environment that has a number for a name": (
        entry("job_variables={'env': {1: 'x'}}"),
        ("job_variables.env has 1, but names in it have to be text",),
    ),
    **{
        f"a readable {name}": (
            entry(f"job_variables={{'env': {{{name!r}: {value!r}}}}}"),
            (f"{HOURLY}job_variables.env.{name} would be readable in the UI", block),
        )
        for name, value, block in [
            ("DB_PASSWORD", SECRET, "{{ prefect.blocks.secret.db-password }}"),
            ("GITHUB_TOKEN", SECRET, "{{ prefect.blocks.secret.github-token }}"),
            ("AWS_SECRET_ACCESS_KEY", SECRET, "aws-secret-access-key"),
            ("OPENAI_API_KEY", SECRET, "openai-api-key"),
            ("apikey", SECRET, "secret.apikey"),
            ("PGPASSWORD", SECRET, "secret.pgpassword"),
            ("MYSQL_PWD", SECRET, "secret.mysql-pwd"),
            ("PREFECT_API_AUTH_STRING", f"admin:{SECRET}", "prefect-api-auth-string"),
            ("DATABASE_URL", f"postgresql://user:{SECRET}@db/x", "secret.database-url"),
            ("BROKER", f"redis://:{SECRET}@redis", "secret.broker"),
        ]
    },
}


@pytest.mark.parametrize("case", BAD_CATALOGS)
def test_a_bad_catalog_is_refused_with_its_file_and_entry(
    harness: Harness, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    body, fragments = BAD_CATALOGS[case]
    harness.declare(body)

    harness.refuses(capsys, "deployments/catalog.py", *fragments)


def test_all_errors_of_a_catalog_come_at_once(
    harness: Harness, capsys: pytest.CaptureFixture[str]
) -> None:
    harness.declare(
        "CATALOG = [\n"
        "    Deployment(plain, 'a?'),\n"
        "    Deployment(sample, 'b', tagz=[], paused='no'),\n"
        "    Deployment(sample, 'c', parameters={'rows': 'x', 'row': 1}, concurrency_limit=0),\n"
        "    Deployment(plain.fn, 'd'),\n"
        "]"
    )

    harness.refuses(capsys, "plain/a?", "'tagz'", "paused", "'row'", "'x' is not", "limit is 0")

    assert len(harness.run(capsys, "check").err.splitlines()) == 7


def test_what_is_wrong_with_the_parameters_is_not_said_again_for_each_run(
    harness: Harness, capsys: pytest.CaptureFixture[str]
) -> None:
    harness.declare(entry("parameters={'rows': 'x'}, smoke={}, schedules=[Cron('@daily')]"))

    answer = harness.run(capsys, "check")

    assert answer.err == f"error: {HOURLY}parameters.rows: 'x' is not of type 'integer'.\n"


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("import nothing\n", ("flows/sample.py, line 1: ModuleNotFoundError",)),
        ("x = (\n", ("flows/sample.py, line 1: SyntaxError: '(' was never closed",)),
        ("def f():\n    1 / 0\nf()\n", ("flows/sample.py, line 2: ZeroDivisionError",)),
        ("import json\njson.loads('x')\n", ("flows/sample.py, line 2: JSONDecodeError",)),
    ],
)
def test_an_error_in_a_flows_module_names_its_file_and_line(
    harness: Harness, capsys: pytest.CaptureFixture[str], text: str, fragments: tuple[str, ...]
) -> None:
    harness.declare(named("x"))
    (harness.project.path / "flows/sample.py").write_text(text)

    harness.refuses(capsys, *fragments)


def test_a_missing_catalog_is_named(harness: Harness, capsys: pytest.CaptureFixture[str]) -> None:
    harness.catalog.unlink()

    harness.refuses(capsys, "deployments/catalog.py", "No module named 'deployments.catalog'")


GOOD_CATALOGS = {
    "text of one's own": entry("description='多 <b>?&%', tags=['a/b', '标 签'], version='?'"),
    "what is switched off": entry("paused=None, tags=None, schedules=None, parameters=None"),
    "dates and paths": entry("parameters={'label': datetime(2024, 2, 29), 'rows': 2}"),
    "a path": entry("parameters={'label': Path('/x')}"),
    "types that Prefect is told not to look at": entry(
        "parameters={'rows': '1'}, enforce_parameter_schema=False"
    ),
    "what a run completes": entry("smoke={'items': [1]}", "needs"),
    "a rule of one's own": entry("schedules=[RRule('DTSTART:20240101T000000\\nFREQ=MINUTELY')]"),
    "a daily rule": entry("schedules=[RRule('RRULE:FREQ=DAILY;BYHOUR=3', timezone='UTC')]"),
    "a name in any script": "Deployment(数据, '每 小时: \"+@*\\\\🚀', parameters={'数量': 2})",
    "a flow called like a file": (
        "@flow(name='load.py')\ndef load(): ...\nCATALOG = [Deployment(load, 'load.PY')]"
    ),
    "options that the module itself changes": (
        "@flow\ndef own(): ...\nown = own.with_options(retries=3)\nCATALOG = [Deployment(own, 'x')]"
    ),
    "the schedules of the API": of_the_api(
        "schedules=[CronSchedule(cron='@daily'), IntervalSchedule(interval=timedelta(hours=1)), "
        "RRuleSchedule(rrule='FREQ=DAILY'), "
        "DeploymentScheduleCreate(schedule=CronSchedule(cron='@daily'), active=False, slug='s')]"
    ),
    "a work pool and a queue of its own": entry("work_pool_name='a pool', work_queue_name='fast'"),
    "a long name": f"Deployment(sample, {'数' * 255!r})",
    # This is only a conflict if production and staging share a server: the deploy checks that.
    "a name that is another one with a suffix": (
        "CATALOG = [Deployment(sample, 'x'), Deployment(sample, 'x-staging')]"
    ),
    "a flow of the catalog": "@flow\ndef own(): ...\nCATALOG = [Deployment(own, 'x')]",
    "no credentials": entry(
        "job_variables={'env': {"
        "'MAX_TOKENS': '500', 'TOKENIZERS_PARALLELISM': 'false', 'DB_PASSWORD_FILE': '/run/x', "
        "'GOOGLE_APPLICATION_CREDENTIALS': '/etc/key.json', 'AWS_ACCESS_KEY_ID': 'A', "
        "'TOKEN_URL': 'https://user@host/token', 'API_TOKEN': '', "
        "'DB_PASSWORD': '{{ prefect.blocks.secret.db-password }}', "
        "'DATABASE_URL': 'postgresql://u:{{ prefect.blocks.secret.pw }}@db/x'}}"
    ),
    "an empty catalog": "CATALOG = []",
    "a catalog that prints": "print('loaded')\nCATALOG = []",
}


@pytest.mark.parametrize("case", GOOD_CATALOGS)
def test_a_good_catalog_is_not_refused(
    harness: Harness, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    harness.declare(GOOD_CATALOGS[case])

    answer = harness.run(capsys, "check")

    assert answer.code == 0, answer.err
    assert answer.out.endswith("are fine.\n")
    assert len(answer.out.splitlines()) == 1  # without the catalog's own output
    assert harness.listener.connections == 0


def production(settings: str, top: str = 'project = "p"') -> str:
    """Return an environments.toml with more settings of production."""
    return f'{top}\n[production]\nwork_pool = "pool"\n{settings}\n'


PRODUCTION = "deployments/environments.toml [production]: "
BAD_ENVIRONMENTS: dict[str, tuple[str | bytes, tuple[str, ...]]] = {
    "no TOML": ("[production", ("environments.toml is not valid TOML: ", "end of document")),
    "two tables of one name": ("[a]\n[a]", ("is not valid TOML", "line 2")),
    "not UTF-8": ('project = "café"'.encode("latin-1"), ("environments.toml is not UTF-8",)),
    "UTF-16": (production("").encode("utf-16"), ("environments.toml is not",)),
    "empty": ("", ("project is missing", "has no environment: add a table")),
    "no environment": ('project = "p"', ("environments.toml has no environment",)),
    "no project": (
        '[production]\nwork_pool = "pool"',
        ("project is missing", 'project = "my-flows"'),
    ),
    "a project of numbers": (production("", "project = 1"), ("project is 1, but it has to be",)),
    "a blank project": (production("", 'project = " "'), ("project is ' ', but it cannot be",)),
    "a project with a line": (production("", 'project = "a\\nb"'), ("project is 'a\\nb'",)),
    "an origin with capitals": (
        production("", 'project = "p"\norigin = "A b"'),
        ("environments.toml: origin is 'A b': use up to 60 of a-z, 0-9 and -",),
    ),
    "an origin of numbers": (production("", 'project = "p"\norigin = 1'), ("origin is 1: use up",)),
    "an origin alone": ('project = "p"\norigin = "a"', ("environments.toml has no environment",)),
    "no table of images": (production("", 'project = "p"\nimages = 1'), ("images is 1, but it",)),
    "an image in capitals": (
        production("[images]\nGPU = 'gpu'"),
        ("environments.toml: image 'GPU': use up to 30 of a-z, 0-9 and -",),
    ),
    "an image called src": (production("[images]\nsrc = 'gpu'"), ("image 'src': use up to 30",)),
    "an image made of nothing": (
        production("[images]\ngpu = ''"),
        ("environments.toml: image 'gpu' is '': write a stage of the Dockerfile, or",),
    ),
    "an image made by numbers": (production("[images]\ngpu = 1"), ("image 'gpu' is 1: write a",)),
    "an option as an image": (production("[images]\ngpu = '-x'"), ("image 'gpu' is '-x': write",)),
    "no release to keep": (
        production("keep_releases = 0"),
        ("keep_releases is 0, but it has to be",),
    ),
    "a number as an environment": ('project = "p"\nproduction = 1', (f"{PRODUCTION}it is 1, but",)),
    "a list of tables": (
        'project = "p"\n[[production]]\nwork_pool = "pool"',
        (f"{PRODUCTION}it is [{{'work_pool'", "has to be a table"),
    ),
    "a name in capitals": ('project = "p"\n[Prod]\nwork_pool = "x"', ("['Prod']: its name has",)),
    "a name with a line": ('project = "p"\n["a\\nb"]\nwork_pool = "x"', ("['a\\nb']: its name",)),
    "nested too deeply": (f"a = {'[' * 5000}", ("is not valid TOML: ",)),
    "a number of too many digits": (production(f"a = {'1' * 5000}"), ("is not valid TOML: ",)),
    "no work pool": ('project = "p"\n[production]', (f"{PRODUCTION}work_pool is missing",)),
    "an unknown setting": (
        production("work_que = 'a'"),
        (f"{PRODUCTION}there is no setting 'work_que'; did you mean work_queue?",),
    ),
    "a setting unlike any": (production("zzz = 1"), ("no setting 'zzz'; known are base_job_tem",)),
    "a setting that is not the file's": (production('label = "x"'), ("no setting 'label'",)),
    "a queue of numbers": (production("work_queue = 1"), (f"{PRODUCTION}work_queue is 1, but",)),
    "a suffix of booleans": (production("name_suffix = true"), ("name_suffix is True, but it",)),
    "a queue without a name": (production('work_queue = ""'), ("work_queue is '', but it cannot",)),
    "a queue with a slash": (production('work_queue = "a/b"'), ("work_queue is 'a/b': leave '/'",)),
    "a suffix with a hash": (production('name_suffix = "-#"'), ("name_suffix is", "leave '#' out")),
    "a suffix like a file": (production('name_suffix = ".py"'), ("name_suffix ends with .py",)),
    "a suffix that ends in a space": (production('name_suffix = "a "'), ("leave the space",)),
    "a wrong placeholder": (
        production('name_suffix = "-{lab}"'),
        (f"{PRODUCTION}name_suffix has braces: only {{label}} is replaced",),
    ),
    "half a placeholder": (production('work_queue = "{name"'), ("work_queue has braces",)),
    "a placeholder in the pool": (
        'project = "p"\n[production]\nwork_pool = "{label}"',
        ("work_pool has braces: only {label} is replaced, and only in name_suffix",),
    ),
    "a queue for each and one name for all": (
        production('work_queue = "{label}"'),
        ("work_queue has {label}, so name_suffix needs it too",),
    ),
    "a number in text": (
        production('work_pool_concurrency_limit = "2"'),
        (f"{PRODUCTION}work_pool_concurrency_limit is '2', but it has to be a whole number, 1",),
    ),
    "a number below 1": (
        production("work_pool_concurrency_limit = -1"),
        ("work_pool_concurrency_limit is -1, but it has to be a whole number, 1 or more",),
    ),
    "a boolean for a number": (
        production('work_queue = "q"\nwork_queue_priority = true'),
        ("work_queue_priority is True, but it has to be a whole number, 1 or more",),
    ),
    "a fraction": (
        production('work_queue = "q"\nwork_queue_concurrency_limit = 1.5'),
        ("work_queue_concurrency_limit is 1.5, but it has to be a whole number, 1 or more",),
    ),
    "a number no database holds": (
        production(f"work_pool_concurrency_limit = {2**40}"),
        ("work_pool_concurrency_limit is 1099511627776, but",),
    ),
    "a priority of no queue": (
        production("work_queue_priority = 1"),
        (f"{PRODUCTION}work_queue_priority needs a queue: add work_queue",),
    ),
    "schedules are a boolean": (production("schedules = false"), ("schedules is False: write",)),
    "schedules are a word": (production('schedules = "no"'), ("schedules is 'no': write",)),
    "job variables as text": (production('job_variables = "a"'), ("job_variables is 'a', but",)),
    "a date in job variables": (
        production("job_variables = {a = 2024-01-01}"),
        (f"{PRODUCTION}job_variables cannot be sent as JSON",),
    ),
    "no number in job variables": (
        production("job_variables = {a = nan}"),
        ("job_variables cannot be sent as JSON",),
    ),
    "an image in job variables": (
        production('job_variables = {image = "an/image:1"}'),
        (f"{PRODUCTION}job_variables.image would be overwritten",),
    ),
    "a NUL in job variables": (
        production('job_variables = {a = "\\u0000"}'),
        ("job_variables holds a NUL character",),
    ),
    "a readable credential": (
        production(f'[production.job_variables.env]\nDB_PASSWORD = "{SECRET}"'),
        (f"{PRODUCTION}job_variables.env.DB_PASSWORD would be readable in the UI",),
    ),
    "a template that is not there": (
        production('base_job_template = "pool.json"'),
        (f"{PRODUCTION}base_job_template 'pool.json' is not a file in the project",),
    ),
    "a template outside": (
        production('base_job_template = "../outside.json"'),
        ("base_job_template '../outside.json' is not a file in the project",),
    ),
    "a template at an absolute path": (
        production('base_job_template = "/etc/passwd"'),
        ("base_job_template '/etc/passwd' is not a file in the project",),
    ),
    "a template that is no JSON": (
        production('base_job_template = "README.md"'),
        ("base_job_template 'README.md' is not JSON",),
    ),
    "a template that is a list": (
        production('base_job_template = "list.json"'),
        ("base_job_template 'list.json' is not a JSON object",),
    ),
    "secrets in a list": (production('secrets = ["a"]'), (f"{PRODUCTION}secrets is ['a'], but",)),
    "a secret with a bad name": (
        production('secrets = {API_TOKEN = "API_TOKEN"}'),
        ("secret block 'API_TOKEN': use a-z, 0-9 and -",),
    ),
    "a secret itself": (
        production(f'secrets = {{api-token = "{SECRET}!"}}'),
        ("secret 'api-token' has to be the name of an environment variable",),
    ),
    "a secret of numbers": (production("secrets = {a = 1}"), ("secret 'a' has to be the name",)),
}


@pytest.mark.parametrize("case", BAD_ENVIRONMENTS)
def test_a_bad_environments_file_is_refused_with_its_environment(
    harness: Harness, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    content, fragments = BAD_ENVIRONMENTS[case]
    (harness.project.path / "list.json").write_text("[]")
    (harness.project.path.parent / "outside.json").write_text("{}")
    harness.environments.write_bytes(content.encode() if isinstance(content, str) else content)

    harness.refuses(capsys, "deployments/environments.toml", *fragments)
    harness.run(capsys, "environments").refuses(*fragments)


def test_all_errors_of_an_environments_file_come_at_once(
    harness: Harness, capsys: pytest.CaptureFixture[str]
) -> None:
    harness.environments.write_text(
        '[staging]\nwork_queue = 1\n[Production]\nwork_pool = "a/b"\nschedules = true\n'
    )

    assert len(harness.run(capsys, "check").err.splitlines()) == 6


@pytest.mark.parametrize("missing", ["the file", "a folder instead"])
def test_a_missing_environments_file_is_named(
    harness: Harness, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    harness.environments.unlink()
    if missing == "a folder instead":
        harness.environments.mkdir()
    try:
        harness.refuses(capsys, "deployments/environments.toml cannot be read: ", "Restore it.")
    finally:
        if harness.environments.is_dir():
            harness.environments.rmdir()


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff" + production(""),
        production('name_suffix = " 数-{label}"\nwork_queue = "q {label}"'),
        production('secrets = {api-token = "API_TOKEN"}\nbase_job_template = "good.json"'),
        production("", 'project = "数据 项目"'),
        production("keep_releases = 5", 'project = "p"\norigin = "3f9ac2d41b7e"'),
        production("").replace("\n", "\r\n"),
    ],
)
def test_a_good_environments_file_is_not_refused(
    harness: Harness, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    (harness.project.path / "good.json").write_text("{}")
    harness.environments.write_bytes(content.encode())

    answer = harness.run(capsys, "environments", "--json")

    assert (answer.code, answer.err) == (0, "")
    assert json.loads(answer.out) == ["production"]


PREVIEWS = """\
project = "p"
[preview]
work_pool = "pool"
name_suffix = "-{label}"
[preview-eu]
work_pool = "pool"
name_suffix = "-eu-{label}"
[preview-us]
work_pool = "pool"
[production]
work_pool = "pool"
"""


@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        (("prod",), ("There is no environment 'prod'", "preview-us, production")),
        (("preview",), ("The environment 'preview' needs --label: add --label pr-7",)),
        (("production", "--label", "pr-7"), ("The environment 'production' takes no --label",)),
        (("preview", "--label", ""), ("--label '' is no label for",)),
        (("preview", "--label", "PR 7"), ("--label 'PR 7' is no label for",)),
        (("preview", "--label", "a/b"), ("--label 'a/b' is no label for",)),
        (("preview", "--label", "x" * 41), ("is no label for the environment 'preview'",)),
        # They would be confused with another environment's previews, and deleted with them.
        (("preview", "--label", "us"), ("the name preview-us, which belongs to [preview-us]",)),
        (("preview", "--label", "eu-7"), ("the name preview-eu-7, which belongs to [preview-eu]",)),
    ],
)
@pytest.mark.parametrize("command", ["destroy", "releases", "export", "doctor"])
def test_a_wrong_environment_is_refused(
    harness: Harness,
    capsys: pytest.CaptureFixture[str],
    command: str,
    words: tuple[str, ...],
    fragments: tuple[str, ...],
) -> None:
    harness.environments.write_text(PREVIEWS)

    answer = harness.run(capsys, command, *words)

    answer.refuses(*fragments)
    assert len(answer.err.splitlines()) == 1
    assert harness.listener.connections == 0


@pytest.mark.parametrize("command", ["plan", "deploy", "verify"])
@pytest.mark.parametrize("case", ["the name 'a?'", "an unknown option", "no CATALOG"])
def test_a_bad_catalog_is_refused_before_the_server_is_asked(
    harness: Harness, capsys: pytest.CaptureFixture[str], command: str, case: str
) -> None:
    body, fragments = BAD_CATALOGS[case]
    harness.declare(body)

    answer = harness.run(capsys, command, "production", "--image", "an/image:1")

    assert harness.listener.connections == 0
    answer.refuses(*fragments)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        *[(each, ("local",)) for each in ("setup", "releases", "rollback", "verify", "plan")],
        ("deploy", ("local",)),
        ("destroy", ("local", "--yes")),
        ("serve", ()),
    ],
)
def test_every_command_says_that_what_answers_is_no_prefect_api(
    harness: Harness, capsys: pytest.CaptureFixture[str], command: str, words: tuple[str, ...]
) -> None:
    answer = harness.run(capsys, command, *words)

    url = harness.listener.url
    assert (answer.code, answer.out) == (1, "")
    (line,) = answer.err.splitlines()
    assert line.startswith(f"error: PREFECT_API_URL is {url}, and there is no Prefect API: ")
    assert "it answers 404. To fix it: use the address that the server prints" in line


def test_what_the_command_line_says_of_job_variables_is_checked_too(
    harness: Harness, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = harness.run(capsys, "plan", "production", "--job-variable", "image=an/image:1")

    assert answer.code == 1
    assert answer.err.startswith("error: --job-variable: job_variables.image would be overwritten")
    assert harness.listener.connections == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["gup=b"],
            "--image gup=…: there is no image 'gup' in [images] of FILE; did you mean gpu?",
        ),
        (
            ["b"],
            "--image gives the image without a name twice, last as 'b': leave one out.",
        ),
        (
            [],
            "sample/hourly runs the image 'gpu', which was not given: add --image gpu=REFERENCE; "
            "`nox -s image -- --target gpu` builds it.",
        ),
    ],
    ids=["unknown", "twice", "missing"],
)
def test_images_that_are_not_those_of_the_catalog_are_refused_offline(
    harness: Harness, capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    harness.environments.write_text(production("[images]\ngpu = 'gpu'"))
    harness.declare(entry("image='gpu'"))
    given = [part for word in words for part in ("--image", word)]

    answer = harness.run(capsys, "plan", "production", "--image", "a", *given)

    sentence = sentence.replace("FILE", "deployments/environments.toml")
    assert (answer.code, answer.err) == (1, f"error: {sentence}\n")
    assert harness.listener.connections == 0


def test_an_interval_that_is_hardly_meant_is_a_warning(
    harness: Harness, capsys: pytest.CaptureFixture[str]
) -> None:
    harness.declare(entry("schedules=[Interval(1), Interval(10), Cron('@daily')]"))

    answer = harness.run(capsys, "check")

    assert answer.code == 0
    (line,) = answer.err.splitlines()
    assert line.startswith(f"warning: {HOURLY}schedule schedule-1 starts a run every 1 s, faster")


def test_there_are_enough_bad_examples() -> None:
    assert len(BAD_CATALOGS) + len(BAD_ENVIRONMENTS) >= 60


def test_no_two_environments_share_what_is_recorded(harness: Harness) -> None:
    environment = harness.module("environment").Environment
    pairs = [("a-b", "c"), ("a", "b-c"), ("a_b", "c"), ("A-B", "c"), ("数据", "c"), ("流程", "c")]
    pairs += [("x" * 255, "y" * 100), ("x" * 254, "y" * 100)]
    origins = (None, "a", "b", "z" * 60)

    keys = [
        environment(project, name, origin, work_pool="pool").key
        for project, name in pairs
        for origin in origins
    ]

    assert len(set(keys)) == len(pairs) * len(origins)
    # The deployer stores its state in Variables, whose names Prefect limits.
    assert all(len(f"deployer-state-{key}") <= 255 for key in keys)
    assert all(key.replace("-", "").isalnum() and key.isascii() for key in keys)


@pytest.mark.parametrize(
    ("catalog", "environments", "fragment"),
    [
        ("CATALOG = [", None, "deployments/catalog.py, line 14: SyntaxError"),
        (named("a?"), None, "sample/a?: the deployment's name is 'a?': leave '?' out"),
        (None, "[production", "deployments/environments.toml is not valid TOML"),
    ],
)
def test_a_process_of_its_own_refuses_as_well(
    harness: Harness, catalog: str | None, environments: str | None, fragment: str
) -> None:
    if catalog is not None:
        harness.declare(catalog)
    if environments is not None:
        harness.environments.write_text(environments)

    done = subprocess.run(
        [sys.executable, "-m", "deployer", "export", "production", "--image", "an/image:1"],
        cwd=harness.project.path,
        env={
            **os.environ,
            "PREFECT_API_URL": harness.listener.url,
            "DO_NOT_TRACK": "1",
            "CI": "true",  # or a busy machine makes it print signs of life
        },
        capture_output=True,
        text=True,
        timeout=60,
    )

    Answer(done.returncode, done.stdout, done.stderr).refuses(fragment)
    assert harness.listener.connections == 0


quick = settings(
    max_examples=int(os.environ.get("DEPLOYER_EXAMPLES", "8")) * 10,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)
KEYS = [
    "project",
    "origin",
    "keep_releases",
    "production",
    "work_pool",
    "work_pool_type",
    "base_job_template",
    "work_pool_concurrency_limit",
    "work_queue",
    "work_queue_priority",
    "work_queue_concurrency_limit",
    "name_suffix",
    "schedules",
    "job_variables",
    "variables",
    "secrets",
    "env",
]
TEXTS = st.text() | st.sampled_from(["-{label}", "{", "on", ".py", "..", "a", "API_TOKEN", "flows"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.dates() | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)


def toml(value: Any) -> str:
    """Return a value as TOML; values that TOML does not have become invalid TOML."""
    if isinstance(value, Mapping):
        pairs = [f"{json.dumps(key, ensure_ascii=False)} = {toml(v)}" for key, v in value.items()]
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, bool | str):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def loads_or_says_why(harness: Harness, content: bytes) -> None:
    harness.environments.write_bytes(content)
    environment, errors = harness.module("environment"), harness.module("errors")
    try:
        found = environment.load()
        for name in found:
            chosen = environment.select(found, name, "pr-7" if found[name].wants_label else None)
            assert chosen.tags
            assert chosen.key
    except errors.DeployerError as error:
        sentences = error.problems
        assert sentences
        for problem in sentences:
            assert "environments.toml" in problem
            assert problem.isprintable(), problem


def with_pool(table: dict[str, Any]) -> dict[str, Any]:
    return {"work_pool": "pool", **table}


@given(
    st.dictionaries(
        st.sampled_from(["production", "a-b"]) | TEXTS,
        VALUES | st.dictionaries(st.sampled_from(KEYS), VALUES).map(with_pool),
        max_size=4,
    ),
    TEXTS,
)
@quick
def test_any_values_in_an_environments_file_load_or_are_named(
    shared_harness: Harness, tables: dict[str, Any], project: str
) -> None:
    lines = [
        f"{toml(key)} = {toml(value)}" for key, value in {"project": project, **tables}.items()
    ]

    loads_or_says_why(shared_harness, "\n".join(lines).encode(errors="surrogatepass"))


@given(
    st.lists(
        st.tuples(
            st.floats(0, 1), st.integers(0, 8), st.binary(max_size=4) | TEXTS.map(str.encode)
        ),
        min_size=1,
        max_size=6,
    )
)
@quick
def test_any_damage_to_the_environments_file_is_named(
    shared_harness: Harness, edits: list[tuple[float, int, bytes]]
) -> None:
    content = shared_harness.originals[shared_harness.environments]
    for place, gone, new in edits:
        start = int(place * len(content))
        content = content[:start] + new + content[start + gone :]

    loads_or_says_why(shared_harness, content)


OPTIONS = [
    *("interval", "cron", "rrule", "schedule", "schedules", "paused", "concurrency_limit", "tagz"),
    *("parameters", "description", "tags", "version", "enforce_parameter_schema", "job_variables"),
    *("work_queue_name", "triggers", "image", "smoke"),
]


@given(VALUES, st.dictionaries(st.sampled_from(OPTIONS), VALUES, max_size=4))
@quick
def test_any_values_in_an_entry_are_fine_or_named(
    shared_harness: Harness, name: Any, options: dict[str, Any]
) -> None:
    (shared_harness.project.path / "flows/sample.py").write_text(FLOWS, encoding="utf-8")
    catalog, check = shared_harness.module("catalog"), shared_harness.module("check.catalog")
    sample = importlib.import_module("flows.sample").sample

    problems = check.check([catalog.Deployment(sample, name, **options)])

    for problem in problems:
        assert problem.startswith("deployments/catalog.py, sample/")
        assert problem.isprintable(), problem
