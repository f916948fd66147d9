"""The importer writes a catalog that declares exactly the existing deployments and is readable."""

from __future__ import annotations

import ast
import copy
import json
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from deployer import importing, plan
from deployer.catalog import Deployment
from deployer.cli import render
from deployer.desired import from_catalog
from deployer.environment import Environment
from deployer.errors import DeployerError
from deployer.importing import flows, prefect_yaml
from deployer.importing.source import Call, Imports, source
from deployer.release import Release
from deployer.spec import Spec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prefect.events import DeploymentEventTrigger
from prefect.schedules import Cron

from tests.baking import ROOT, TEMPLATE_FOLDER
from tests.deployer.conftest import DeployerProject
from tests.deployer.sample_flows import anywhere, bare, plain
from tests.deployer.strategies import catalogs
from tests.deployer.world import World
from tests.support.server import PrefectServer

PRODUCTION = Environment("a project", "production", work_pool="a pool", work_pool_type="docker")
ENVIRONMENTS = st.builds(
    Environment,
    st.just("a project"),
    st.just("production"),
    work_pool=st.just("a pool"),
    work_pool_type=st.sampled_from(["process", "docker"]),
    work_queue=st.sampled_from([None, "fast"]),
    job_variables=st.sampled_from([{}, {"env": {"A": "b"}}]),
    name_suffix=st.sampled_from(["", "-x"]),
    schedules=st.sampled_from([None, "off"]),
)


def declared(catalog: list[Deployment], environment: Environment = PRODUCTION) -> dict[str, Spec]:
    """Return the specs of a catalog by key."""
    return from_catalog(catalog, environment).specs


def executed(text: str) -> list[Deployment]:
    """Execute the text of a catalog and return its CATALOG."""
    module: dict[str, Any] = {}
    exec(text, module)  # noqa: S102 - a project would run this text too
    return list(module["CATALOG"])


def imported(specs: list[Spec], environment: Environment = PRODUCTION) -> tuple[str, list[str]]:
    """Return the catalog's text for specs, and the notes without the last one, which counts."""
    text, notes = importing.catalog([(spec, []) for spec in specs], environment)
    assert notes[-1] == f"{len(specs)} of {len(specs)} deployments are in the catalog."
    return text, notes[:-1]


def ruff(folder: Path, *command: str) -> str:
    """Run ruff with the project's settings and return its complaints."""
    if not (folder / "pyproject.toml").exists():
        shutil.copy(ROOT / TEMPLATE_FOLDER / "pyproject.toml", folder)
    done = subprocess.run(
        [Path(sys.executable).parent / "ruff", *command],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_a_catalog_that_was_forgotten_comes_back_with_the_same_specs_and_ruff_has_no_complaint(
    tmp_path: Path,
) -> None:
    texts = []

    @given(catalogs().filter(bool), ENVIRONMENTS)
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    def there_and_back(catalog: list[Deployment], environment: Environment) -> None:
        wanted = declared(catalog, environment)

        text, notes = imported(list(wanted.values()), environment)

        texts.append(text)
        assert notes == []
        assert declared(executed(text), environment) == wanted

    there_and_back()
    (tmp_path / "deployments").mkdir()
    for number, text in enumerate(texts):
        project_text = text.replace("tests.deployer.sample_flows", "flows.samples")
        (tmp_path / f"deployments/catalog_{number}.py").write_text(project_text, encoding="utf-8")
    assert len(texts) >= 60
    assert ruff(tmp_path, "format", "--diff") == ""
    assert ruff(tmp_path, "check") == ""


def spec_of(flow: Any = plain, **options: Any) -> Spec:
    """Return the spec of one entry in production."""
    (spec,) = declared([Deployment(flow, "a", **options)]).values()
    return spec


def entry_text(spec: Spec, environment: Environment = PRODUCTION) -> str:
    """Return the only entry of a catalog's text, without indentation."""
    text, _ = importing.catalog([(spec, [])], environment)
    return textwrap.dedent(text.partition("CATALOG = [\n")[2].rpartition(",\n]")[0])


READS_AS_WRITTEN = '''\
"""What is deployed: one entry for each deployment.

An entry is a flow and options of `Flow.deploy`, with the same names:
https://docs.prefect.io/v3/how-to-guides/deployments/create-deployments
"""

from datetime import UTC, datetime, timedelta

from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.events import DeploymentCompoundTrigger, DeploymentEventTrigger, EventTrigger
from prefect.schedules import Cron, Interval, RRule

from deployer import Deployment
from tests.deployer.sample_flows import plain, typed

CATALOG = [
    Deployment(plain, name="nothing but a name"),
    Deployment(
        typed,
        name="all of it",
        schedules=[
            Interval(3600, timezone="Europe/Berlin"),
            Cron("0 3 * * *", timezone="UTC", day_or=False, active=False),
            RRule("FREQ=WEEKLY;BYDAY=MO", parameters={"items": [1]}, slug="weekly"),
            Interval(90.5, anchor_date=datetime(2024, 2, 29, 12, 30, tzinfo=UTC), slug="odd"),
        ],
        parameters={"items": [1, 2], "note": "a 'quoted' \\"word\\""},
        enforce_parameter_schema=False,
        description=(
            "The first line of a description that somebody wrote into the UI.\\n"
            "It is followed by a second one, which is by far too long for one line, so that it "
            "goes on in a second one."
        ),
        version="1.0",
        work_queue_name="fast",
        paused=True,
        tags=["b"],
        job_variables={"stream_output": False, "env": {"REGION": "eu"}},
        concurrency_limit=ConcurrencyLimitConfig(
            limit=1,
            collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW,
        ),
        triggers=[
            DeploymentEventTrigger(
                name="a file came",
                match={"prefect.resource.id": "file.*"},
                expect={"file.arrived", "file.moved"},
                within=timedelta(seconds=60),
                parameters={"items": []},
            ),
            DeploymentCompoundTrigger(
                name="both",
                triggers=[EventTrigger(expect={"one"}), EventTrigger(expect={"two"})],
                within=timedelta(seconds=7200),
                require="all",
            ),
        ],
    ),
]
'''


def test_a_catalog_reads_as_a_person_would_write_it() -> None:
    text, notes = imported(list(declared(executed(READS_AS_WRITTEN)).values()))

    assert notes == []
    assert text == READS_AS_WRITTEN


def test_flows_of_one_name_are_told_apart(tmp_path: Path) -> None:
    imports = Imports()

    names = [imports.name(f"flows.{module}", "run") for module in ("a", "b", "a", "c.d")]
    imports.name("prefect.schedules", "Cron")

    assert names == ["run", "b_run", "run", "c_d_run"]
    assert str(imports).splitlines() == [
        "from prefect.schedules import Cron",
        "",
        "from flows.a import run",
        "from flows.b import run as b_run",
        "from flows.c.d import run as c_d_run",
    ]


def test_many_imports_are_wrapped_and_sorted_as_ruff_wants_it(tmp_path: Path) -> None:
    imports = Imports()
    names = [f"a_flow_with_a_long_name_{number}" for number in (10, 9, 2)]
    called = [imports.name(module, name) for module in ("flows.b10", "flows.b9") for name in names]
    (tmp_path / "a.py").write_text(f'"""A."""\n\n{imports}\n\nX = [{", ".join(called)}]\n')

    assert ruff(tmp_path, "check", "--ignore", "E501") == ""
    assert "import (\n    a_flow_with_a_long_name_2,\n" in str(imports)


def test_long_texts_are_laid_out_as_ruff_does_it_wherever_they_stand(tmp_path: Path) -> None:
    imports, calls = Imports(), []
    for length in range(60, 108):
        for text in (
            "word " * 40,
            "wörd\n" * 40,
            "x" * 200,
            "'a' \"b\" " * 30,
            "SELECT\n  1,\n" * 9,
        ):
            cut = text[:length]
            options = {"description": cut, "parameters": {"x": cut, "y": [cut, {"z": text}]}}
            schedules = [Call(Cron, (cut,), {"timezone": cut})]
            calls.append(Call(Deployment, (plain,), {**options, "schedules": schedules}))

    entries = "\n".join(source(call, imports, "    ", end=",") for call in calls)

    (tmp_path / "a.py").write_text(f"{imports}\n\nCATALOG = [\n{entries}\n]\n", encoding="utf-8")
    assert ruff(tmp_path, "format", "--diff") == ""
    assert ruff(tmp_path, "check", "--select", "E") == ""


def test_switches_of_an_environment_that_has_them_off_are_not_written() -> None:
    off = replace(PRODUCTION, schedules="off")
    (spec,) = declared([Deployment(plain, "a", cron="0 3 * * *")], off).values()
    spec["schedules"]["schedule-1"]["active"] = True  # switched by an operator

    text, notes = imported([spec], off)

    assert "active" not in text
    assert notes == []


def test_a_version_that_is_a_date_was_written_by_somebody() -> None:
    assert 'version="20240229"' in entry_text({**spec_of(), "version": "20240229"})


def test_the_moment_of_a_deploy_is_no_anchor_that_somebody_wrote() -> None:
    spec = spec_of(interval=3600)
    spec["schedules"]["schedule-1"]["anchor_date"] = "2024-02-29T12:00:00.123456+00:00"

    assert entry_text(spec) == 'Deployment(plain, name="a", schedules=[Interval(3600)])'


@pytest.mark.parametrize(
    ("edit", "note"),
    [
        ({"entrypoint": "tests/deployer/sample_flows.py:plain"}, "entrypoint: 'tests/deployer/"),
        ({"entrypoint": "elsewhere/flows.py:f"}, "is left out; its entrypoint 'elsewhere/flows.py"),
        (
            {"entrypoint": "tests/deployer/sample_flows.py:made"},
            "is left out; tests.deployer.samp",
        ),
        (
            {"pull_steps": [{"git_clone": {"access_token": "s3cret"}}]},
            "pull_steps: changes; the im",
        ),
        ({"work_pool": None}, "work_pool: None becomes 'a pool'; it has none on the server"),
        ({"job_variables": {"image": "i:1"}}, "job_variables.image: 'i:1' becomes None; a deploy "),
        ({"tags": ["project:x"]}, "tags: changes; project:, environment: and origin: are res"),
        ({"version": "c0ffee" * 5}, "version: 'c0ffee"),
        ({"description": None}, "description: None becomes 'Do nothing.'; it is the flow's docst"),
        ({"parameter_schema": {}}, "parameter_schema: changes; the flow has other parameters here"),
        ({"flow": "another"}, "flow: 'another' becomes 'plain'; the flow has another name here"),
    ],
)
def test_what_a_catalog_cannot_say_is_a_line_with_the_reason_and_what_to_do(
    edit: Spec, note: str
) -> None:
    spec = {**spec_of(), **edit}
    others = spec_of(bare)

    _, notes = importing.catalog([(spec, []), (others, [])], PRODUCTION)

    (line,) = notes[:-1]
    assert line.startswith(f"{spec['flow']}/a: {note}")
    assert "s3cret" not in line


def test_an_automation_that_does_more_than_a_trigger_is_reported() -> None:
    spec = spec_of(triggers=[DeploymentEventTrigger(name="t", expect={"a"})])
    spec["triggers"]["t"]["actions"].append({"type": "do-nothing"})

    _, notes = importing.catalog([(spec, [])], PRODUCTION)

    assert notes[0].startswith("plain/a: triggers: changes; an automation does more than run")


def test_a_flow_is_found_where_it_moved_to_and_a_module_that_fails_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = "from prefect import flow\n@flow\ndef f():\n    pass\n"
    (tmp_path / "flows_here").mkdir()
    (tmp_path / "flows_here/moved.py").write_text(flow)
    (tmp_path / "failing.py").write_text(f"import not_there_at_all\n{flow}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(flows, "HOME", "flows_here")

    assert flows.find("/opt/old-app/pipelines/moved.py:f").fn.__module__ == "flows_here.moved"
    with pytest.raises(ValueError, match="failing raises ModuleNotFoundError: No module named 'no"):
        flows.find("failing.py:f")
    with pytest.raises(ValueError, match="py:f' is not in this repository: move the"):
        flows.find("hello-world.py:f")
    with pytest.raises(ValueError, match="its entrypoint None is not in this repository"):
        flows.find(None)


def test_a_schedule_without_a_slug_gets_a_free_one() -> None:
    spec = spec_of(schedules=[Cron("0 1 * * *"), Cron("0 2 * * *", slug="schedule-3")])
    spec["schedules"]["0e95f79d-8a74-4e5a-afa1-c0c5780e3e19"] = spec["schedules"].pop("schedule-1")

    text, notes = importing.catalog([(spec, [])], PRODUCTION)

    (entry,) = executed(text)
    assert entry.schedules.keys() == {"schedule-1", "schedule-3"}
    assert notes[0].startswith("plain/a: schedules: changes; one has no slug")


def test_a_secret_in_a_variable_reaches_neither_the_text_nor_the_report() -> None:
    spec = spec_of()
    spec["job_variables"] = {"env": {"DB_PASSWORD": "hunter2", "URL": "x://u:hunter2@h", "A": "b"}}

    text, notes = importing.catalog([(spec, [])], PRODUCTION)

    assert "hunter2" not in text + "".join(notes)
    assert '"DB_PASSWORD": "{{ prefect.blocks.secret.db-password }}"' in text
    assert '"A": "b"' in text
    assert any("job_variables.env" in note for note in notes)


def test_what_prefect_deploy_fills_in_is_left_out_and_named() -> None:
    file = """
pull: [{prefect.deployments.steps.set_working_directory: {directory: /opt}}]
deployments:
- name: a
  entrypoint: tests/deployer/sample_flows.py:anywhere
  version: "{{ build-image.tag }}"
  sla: []
  tags: one
  parameters: {rows: 2, label: "{{ prefect.variables.label }}"}
  concurrency_limit: {limit: 1, collision_strategy: CANCEL_NEW}
  work_pool:
    name: a pool
    job_variables:
      image: "{{ build-image.image }}"
      env: {TOKEN: "{{ prefect.blocks.secret.token }}"}
  schedules:
  - {interval: 3600, anchor_date: "2023-01-01T09:00:00", timezone: America/Sao_Paulo, slug: x}
  - {interval: PT1H, flow_run_name: y}
  - {cron: "not one"}
  triggers: [{expect: [file.arrived], enabled: "{{ prefect.variables.on }}"}, {expect: [b]}]
- entrypoint: tests/deployer/sample_flows.py:plain
"""
    text, notes = importing.catalog(prefect_yaml.read(file), PRODUCTION)

    assert [note.partition("/")[2].split("; ")[0] for note in notes[:-1]] == [
        "a: version: is left out",
        "a: parameters.label: is left out",
        "a: job_variables.image: is left out",
        "a: triggers.1.enabled: is left out",
        "a: sla: is left out",
        "a: schedules.schedule-2.flow_run_name: is left out",
        "a: schedules.schedule-3: is left out",
        "a: entrypoint: 'tests/deployer/sample_flows.py:anywhere' becomes "
        "'tests.deployer.sample_flows.anywhere'",
        "a: pull_steps: changes",
        "deployer/sample_flows.py:plain/None: is left out",
    ]
    assert notes[-1] == "1 of 2 deployments are in the catalog."
    (spec,) = declared(executed(text)).values()
    assert (spec["parameters"], "one" in spec["tags"]) == ({"rows": 2}, True)
    assert spec["job_variables"] == {"env": {"TOKEN": "{{ prefect.blocks.secret.token }}"}}
    assert (spec["concurrency_limit"], spec["collision_strategy"]) == (1, "CANCEL_NEW")
    assert spec["schedules"]["x"]["anchor_date"] == "2023-01-01T09:00:00+00:00"
    assert spec["schedules"]["schedule-2"]["interval"] == 3600
    assert spec["triggers"].keys() == {"a__automation_1", "a__automation_2"}


def test_an_import_of_nothing_says_why() -> None:
    with pytest.raises(DeployerError, match="There is no deployment that can be imported"):
        importing.catalog([], PRODUCTION)
    with pytest.raises(DeployerError, match=r"is not a prefect\.yaml with a list"):
        prefect_yaml.read("deployments: 5")


def released(*catalog: Deployment) -> tuple[dict[str, Spec], Release]:
    """Return the live specs after a release of a catalog, and the release's record."""
    specs = declared(list(catalog))
    live = {key: plan.keep_switches(spec, None, None) for key, spec in specs.items()}
    smoke: dict[str, dict[str, Any]] = {key: {} for key in specs}
    record = Release(7, "now", "ada", None, None, None, None, "verified", "", specs, smoke)
    return copy.deepcopy(live), record


def test_an_edit_on_the_server_comes_with_the_entry_that_accepts_it() -> None:
    hourly = Deployment(anywhere, "hourly", interval=3600, parameters={"rows": 500})
    live, record = released(hourly, Deployment(plain, "stays"), Deployment(plain, "gone"))
    edited = live[hourly.key]
    edited["parameters"] = {"rows": 7}
    edited["schedules"]["schedule-1"] |= {"interval": 60.0, "active": False}
    edited["paused"] = True  # an operator's switch, like that of the schedule: no drift
    edited["job_variables"] = {"image": "i:1", "env": {"API_TOKEN": "hunter2hunter2"}}
    live["plain/new"] = {**live.pop("plain/gone"), "name": "new"}
    made = plan.make(record.specs, live, record.specs)

    entries, notes = importing.acceptance(made, PRODUCTION, record)

    assert entries[0].splitlines() == [
        "Deployment(",
        "    anywhere,",
        '    name="hourly",',
        "    schedules=[Interval(60)],",
        '    parameters={"rows": 7},',
        '    job_variables={"env": {"API_TOKEN": "{{ prefect.blocks.secret.api-token }}"}},',
        "    smoke={},",
        "),",
    ]
    assert entries[1:] == ['Deployment(plain, name="new"),']
    assert "plain/gone: somebody deleted it: remove its entry." in notes


def test_what_accepts_an_edit_is_folded_and_no_text_ends_the_code() -> None:
    entry = Deployment(plain, "a", description="~~~~\n</details>")
    live, record = released(entry)
    live["plain/a"]["version"] = "~~~~"
    made = plan.make(record.specs, live, record.specs)

    shown = render.acceptance(*importing.acceptance(made, PRODUCTION, record))

    assert "<summary>To accept this edit, put into deployments/catalog.py:</summary>" in shown
    assert [line for line in shown.splitlines() if line.startswith("~~~~")] == [
        "~~~~python",
        "~~~~",
    ]
    assert shown.rstrip().splitlines()[-1] == "</details>"


def test_an_edit_that_no_entry_can_say_is_named_with_the_reason() -> None:
    live, record = released(Deployment(plain, "a"), Deployment(plain, "b"))
    live["plain/a"]["entrypoint"] = "elsewhere.flow"
    live["plain/b"]["pull_steps"] = [{"git_clone": {}}]
    made = plan.make(record.specs, live, record.specs)

    entries, notes = importing.acceptance(made, PRODUCTION, record)

    assert entries == ['Deployment(plain, name="b", smoke={}),']
    assert [note.split(";")[0] for note in notes] == [
        "plain/a: its entrypoint 'elsewhere.flow' is not in this repository: move the flow into a "
        "module of flows/, and import again.",
        "plain/b: pull_steps: changes",
    ]


PROJECTS = json.loads(Path(__file__).with_name("public_projects.json").read_text(encoding="utf-8"))
FILLED_IN = "{{ build-image.tag }}"
OF_A_SCHEDULE = {
    **{"interval": 3600, "cron": "0 3 * * *", "anchor_date": "2024-01-01T00:00:00"},
    **{"timezone": "America/Sao_Paulo", "active": True, "parameters": {"x": 1}},
    **{"flow_run_name": "a run", "deployment_name": "a deployment"},
}
OF_A_DEPLOYMENT = {
    **{"parameters": {"x": 1}, "tags": ["a tag"], "paused": True},
    **{"concurrency_limit": {"limit": 1, "collision_strategy": "CANCEL_NEW"}},
    "schedule": None,  # the older field for schedules
}


def of_project(name: str) -> importing.Found:
    """Return deployments with the same fields as those of a public project, with other values."""
    project = PROJECTS[name]
    rows: list[dict[str, Any]] = []
    for shape in project["shapes"]:
        step, flow = shape.get("pull", project["pull"]), "made" if "flow" in shape else "anything"
        variables = dict.fromkeys(shape.get("job_variables", ()), "a value")
        if "image" in variables and "image" in project:
            variables["image"] = FILLED_IN
        kinds = shape.get("schedules", {}).items()
        keys = [kind.split() for kind, count in kinds for _ in range(count)]
        row = {
            "entrypoint": f"tests/deployer/sample_flows.py:{flow}",
            "pull": [{f"prefect.deployments.steps.{step}": {}}] if step else [],
            "version": project.get("version") and FILLED_IN,
            "work_pool": {"name": f"pool {shape.get('pool', 1)}", "job_variables": variables},
            "schedules": [
                {key: OF_A_SCHEDULE.get(key, f"slug {number}") for key in each}
                for number, each in enumerate(keys)
            ],
            **{field: OF_A_DEPLOYMENT[field] for field in shape.get("fields", ())},
        }
        for _ in range(shape["deployments"]):
            own = FILLED_IN if "name" in shape else f"deployment {len(rows)}"
            rows.append({key: value for key, value in {**row, "name": own}.items() if value})
    found = prefect_yaml.read(json.dumps({"pull": [], "deployments": rows}))
    for spec, _ in found if project["declared in"] == "Python" else ():
        schedules = enumerate(spec["schedules"].values())
        spec["schedules"] = {str(UUID(int=number)): each for number, each in schedules}  # no slugs
    return found


@pytest.mark.parametrize("name", PROJECTS)
def test_the_table_of_public_projects_says_what_an_import_of_their_deployments_does(
    name: str, tmp_path: Path
) -> None:
    found = of_project(name)

    text, notes = importing.catalog(found, replace(PRODUCTION, work_pool="pool 1"))

    keys: dict[str, set[str]] = {}
    for key, what, *_ in (note.split(": ") for note in notes[:-1]):
        if not what.startswith("is left out"):
            field = re.sub(r"^schedules\..*\.", "schedules.", what)
            keys.setdefault(field, set()).add(key)
    others = [each["deployments"] for each in PROJECTS[name]["shapes"] if each.get("pool")]
    assert text.count("work_pool_name=") == sum(others)
    fields = ", ".join(f"`{field}` {len(each)}" for field, each in sorted(keys.items()))
    page = (ROOT / "docs/importing.md").read_text(encoding="utf-8")
    entries = text.count("\n    Deployment(")
    assert f"| {name} | {len(found)} | {entries} | {fields} |" in page
    (tmp_path / "deployments").mkdir()
    project_text = text.replace("tests.deployer.sample_flows", "flows.samples")
    (tmp_path / "deployments/catalog.py").write_text(project_text, encoding="utf-8")
    assert ruff(tmp_path, "check") == ruff(tmp_path, "format", "--check") == ""


PREFECT_YAML = """
pull:
- prefect.deployments.steps.set_working_directory: {directory: .}
deployments:
- name: by file
  entrypoint: flows/many.py:sized
  tags: [legacy]
  description: "Somebody's: \\"words\\""
  parameters: {rows: 3, label: "a 'quoted' one"}
  concurrency_limit: {limit: 2, collision_strategy: CANCEL_NEW}
  schedules:
  - {interval: 86400, anchor_date: "2023-01-01T09:00:00", timezone: America/Sao_Paulo, slug: daily}
  - {cron: "0 6 * * *", timezone: America/Sao_Paulo, slug: morning, parameters: {rows: 9}}
  - {rrule: "FREQ=WEEKLY;BYDAY=MO", slug: weekly, active: false}
  triggers: [{expect: [file.arrived], within: 60, parameters: {label: "{{ event.id }}"}}]
  work_pool: {name: an import pool, job_variables: {stream_output: false, env: {REGION: eu}}}
- name: plain
  entrypoint: flows/many.py:plain
  tags: [legacy]
  enforce_parameter_schema: false
  version: "1.4"
  work_pool: {name: an import pool, work_queue_name: slow}
"""
MANY = '''\
from prefect import flow


@flow
def plain():
    """Do nothing."""


@flow(name="sized flow")
def sized(rows: int = 1, label: str = "x"):
    """Do nothing many times."""


if __name__ == "__main__":
    from prefect.schedules import Cron, Interval
    from prefect.types.entrypoint import EntrypointType

    from flows.many import plain, sized

    how = {"work_pool_name": "an import pool", "tags": ["legacy"], "print_next_steps": False}
    module = EntrypointType.MODULE_PATH
    hourly = Interval(3600, slug="hourly", active=False)
    sized.deploy("modern", schedules=[hourly], paused=True, entrypoint_type=module, **how)
    plain.deploy("without a slug", schedules=[Cron("0 1 * * *")], entrypoint_type=module, **how)
    other = {**how, "tags": ["other"]}
    plain.deploy("another", entrypoint_type=module, **other)
'''
IMPORT_ENVIRONMENTS = """\
project = "imported"

[production]
work_pool = "an import pool"
work_pool_type = "process"
"""


@pytest.fixture
def legacy(project: DeployerProject) -> Iterator[DeployerProject]:
    """A project, and deployments of its flows that Prefect made without the deployer."""
    project.write("deployments/environments.toml", IMPORT_ENVIRONMENTS)
    project.write("flows/many.py", MANY)
    project.write("prefect.yaml", PREFECT_YAML)
    setup = project.deployer("setup", "production")
    assert setup.returncode == 0, setup.stderr
    prefect = str(Path(sys.executable).parent / "prefect")
    for command in ([prefect, "deploy", "--all"], [sys.executable, "-m", "flows.many"]):
        done = subprocess.run(
            command, cwd=project.path, env=project.server.env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
    yield project
    for row in rows_of(project):
        project.server.request("DELETE", f"/deployments/{row['id']}")


def rows_of(project: DeployerProject) -> list[dict[str, Any]]:
    """Return the deployments in the work pool of these tests."""
    where = {"work_pools": {"name": {"any_": ["an import pool"]}}}
    return list(project.server.request("POST", "/deployments/filter", where))


def planned(project: DeployerProject) -> dict[str, set[str]]:
    """Return the differing fields, by key, of a plan that adopts the existing deployments."""
    done = project.deployer("plan", "production", "--adopt", "--format", "json")
    assert done.returncode == 0, done.stderr
    found: dict[str, set[str]] = {}
    for change in json.loads(done.stdout)["changes"]:
        assert change["action"] in ("update", "unchanged")
        found[change["key"]] = {path.split(".")[0] for path in change["fields"]}
    return found


def test_what_plain_prefect_deployed_is_taken_over_and_nothing_differs_but_what_was_reported(
    legacy: DeployerProject,
) -> None:
    file = ("--output", "deployments/catalog.py")
    refused = legacy.deployer("import", *file)
    assert "exists already: to overwrite it, add --force" in refused.stderr

    done = legacy.deployer("import", "--tag", "legacy", *file, "--force")

    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "4 of 4 deployments are in the catalog." in done.stderr
    assert ruff(legacy.path, "format", "--check", "deployments/catalog.py") == ""
    assert ruff(legacy.path, "check", "deployments/catalog.py") == ""
    reported: dict[str, set[str]] = {}
    for line in done.stderr.splitlines()[:-1]:
        key, field, _ = line.split(": ", 2)
        reported.setdefault(key, {"tags"}).add(field.split(".")[0])
    plan = planned(legacy)
    common = {"tags", "job_variables"}  # ownership; the folder, since the pool runs no image
    assert plan == {
        "plain/plain": {*common, "entrypoint", "pull_steps"},
        "plain/without a slug": {*common, "schedules"},
        "sized flow/by file": {*common, "entrypoint", "pull_steps"},
        "sized flow/modern": common,
    }
    reported["sized flow/by file"] -= {"triggers"}  # may be a user's own automation
    assert plan == reported

    before = {row["id"]: row for row in rows_of(legacy)}
    done = legacy.deployer("deploy", "production", "--adopt", "--no-verify")
    assert done.returncode == 0, done.stderr
    assert set(map(frozenset, planned(legacy).values())) == {frozenset()}
    after = {row["id"]: row for row in rows_of(legacy)}
    assert after.keys() == before.keys()
    for identity, row in before.items():
        kept = {each["id"] for each in row["schedules"] if each["slug"]}
        assert kept <= {each["id"] for each in after[identity]["schedules"]}
        assert row["paused"] == after[identity]["paused"]


def test_a_prefect_yaml_and_what_prefect_made_of_it_become_the_same_catalog(
    legacy: DeployerProject,
) -> None:
    live = legacy.deployer("import", "--tag", "legacy", "--name", "*/[!mw]*")
    one = legacy.deployer("import", "--name", "sized flow/by file")
    file = legacy.deployer("import", "--from", "prefect.yaml")

    done = (live, one, file)
    assert [each.returncode for each in done] == [0, 0, 0], [each.stderr for each in done]
    entries = [
        {ast.unparse(entry) for entry in ast.parse(each.stdout).body[-1].value.elts}  # type: ignore[attr-defined]
        for each in done
    ]
    assert entries[0] == entries[2]
    assert [len(each) for each in entries] == [2, 1, 2]


def test_a_catalog_that_was_deployed_and_forgotten_comes_back_to_an_empty_plan(
    server: PrefectServer,
) -> None:
    catalog = executed(READS_AS_WRITTEN)
    world = World(server)
    world.deploy(catalog)
    (tag,) = (tag for tag in world.environment.tags if tag.startswith("project:"))

    found = importing.from_server(world.run(lambda connection: connection.tagged(tag)))
    text, notes = importing.catalog(found, world.environment)

    assert len(notes) == 3  # one per trigger, and the count
    assert world.plan(executed(text)).empty
    world.destroy()
