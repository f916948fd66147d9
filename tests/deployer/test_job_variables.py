"""Job variables: precedence, and that none is lost on the way to a run."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from deployer import spec as specs
from deployer.catalog import Deployment
from deployer.environment import Environment
from deployer.errors import DeployerError
from deployer.spec import Spec
from deployer.work_pool import unknown_variables
from prefect.client.schemas.objects import WorkPool
from prefect.workers.utilities import get_default_base_job_template_for_infrastructure_type

from tests.deployer.sample_flows import plain
from tests.deployer.world import World, planned
from tests.support.server import PrefectServer


def variables(
    environment: dict[str, Any], entry: dict[str, Any], command_line: dict[str, Any]
) -> dict[str, Any]:
    """Return the merged job variables of an environment, an entry and the command line."""
    where = Environment(
        project="project",
        name="production",
        work_pool="pool",
        job_variables=environment,
        given_variables=command_line,
    )
    found: dict[str, Any] = specs.declared(Deployment(plain, "x", job_variables=entry), where)[
        "job_variables"
    ]
    return found


def test_each_variable_of_env_is_the_strongest_ones() -> None:
    environment = {"env": {"ALL": "1", "BOTH": "environment", "LEVEL": "INFO"}}
    entry = {"env": {"BOTH": "entry", "OWN": "entry", "LEVEL": "DEBUG"}}
    command_line = {"env": {"LEVEL": "ERROR"}}

    assert variables(environment, entry, command_line) == {
        "env": {"ALL": "1", "BOTH": "entry", "OWN": "entry", "LEVEL": "ERROR"}
    }
    assert environment == {"env": {"ALL": "1", "BOTH": "environment", "LEVEL": "INFO"}}


@pytest.mark.parametrize(
    ("environment", "entry", "command_line", "expected"),
    [
        ({"a": 1, "b": 1, "c": 1}, {"b": 2, "c": 2}, {"c": 3}, {"a": 1, "b": 2, "c": 3}),
        ({"labels": {"a": 1}}, {"labels": {"b": 2}}, {}, {"labels": {"b": 2}}),
        ({"env": {"A": "1"}}, {"env": {"B": "1"}}, {"env.A": "2"}, {"env": {"A": "2", "B": "1"}}),
        ({"env.A": "1"}, {"env": {"B": "1"}}, {}, {"env": {"A": "1", "B": "1"}}),
        ({"env.A": "1", "env": {"A": "2"}}, {}, {}, {"env": {"A": "2"}}),  # as a worker does it
        ({"labels": {"a": 1}}, {"labels.b": 2}, {}, {"labels": {"a": 1, "b": 2}}),
    ],
)
def test_the_command_line_wins_over_the_entry_and_the_entry_over_the_environment(
    environment: dict[str, Any],
    entry: dict[str, Any],
    command_line: dict[str, Any],
    expected: dict[str, Any],
) -> None:
    assert variables(environment, entry, command_line) == expected


def pool(kind: str = "docker", template: dict[str, Any] | None = None) -> WorkPool:
    """Return a work pool, by default with Prefect's base job template for its type."""
    found = template
    if found is None:
        found = asyncio.run(get_default_base_job_template_for_infrastructure_type(kind))
    row: dict[str, Any] = {"name": "pool", "type": kind, "base_job_template": found or {}}
    return WorkPool.model_construct(**row)


def asking(**variables: Any) -> dict[str, Spec]:
    """Return the spec of one deployment with these job variables."""
    return {"flow/x": {"work_pool": "pool", "job_variables": variables}}


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        ("docker", {"env": {"A": "1"}, "image": "i", "mem_limit": "1g", "command": "c"}),
        ("kubernetes", {"env": {"A": "1"}, "image": "i", "memory_limit": "1Gi", "namespace": "n"}),
        ("process", {"env": {"A": "1"}, "working_dir": "/", "stream_output": True}),
    ],
)
def test_what_the_template_of_a_pool_knows_passes(kind: str, known: dict[str, Any]) -> None:
    assert not [*unknown_variables(asking(**known), [pool(kind)])]


@pytest.mark.parametrize(
    ("kind", "name", "near"),
    [
        ("docker", "memory_limit", "mem_limit"),
        ("docker", "netwrk_mode", "network_mode"),
        ("kubernetes", "mem_limit", "memory_limit"),
    ],
)
def test_a_job_variable_that_prefect_would_drop_is_named_with_the_near_one(
    kind: str, name: str, near: str
) -> None:
    (found,) = unknown_variables(asking(**{name: 1}), [pool(kind)])

    assert found.startswith(f"flow/x has the job variable {name!r}, which the template of the work")
    assert "so that Prefect would drop it silently" in found
    assert found.endswith(f"; did you mean {near}?")


def test_one_name_like_no_other_is_said_once_with_all_that_there_are() -> None:
    both = {f"flow/{name}": asking(zzz=1)["flow/x"] for name in "ab"}

    (found,) = unknown_variables(both, [pool("process")])

    assert found.startswith("flow/a and 1 more have the job variable 'zzz'")
    assert found.endswith("it has command, env, labels, name, stream_output, working_dir.")


@pytest.mark.parametrize(
    "template",
    [
        {},
        {"variables": {}, "job_configuration": {"x": "{{ own }}", "env": {}}},
        {"variables": {"properties": {"own": {}, "env": {}}}, "job_configuration": {}},
    ],
    ids=["no template", "a placeholder without a variable", "a variable without a placeholder"],
)
def test_a_template_of_ones_own_knows_what_is_in_it(template: dict[str, Any]) -> None:
    assert not [*unknown_variables(asking(own=1, env={}), [pool(template=template)])]


def test_an_unknown_job_variable_is_refused_by_a_plan_on_a_real_pool(server: PrefectServer) -> None:
    world = World(server, work_pool="a pool with a template", job_variables={"env": {"A": "1"}})
    good = Deployment(plain, "good", job_variables={"env.B": "2", "stream_output": False})

    found = planned(world, [good])
    assert found.specs[world.key(good)]["job_variables"]["env"] == {"A": "1", "B": "2"}

    bad = Deployment(plain, "bad", job_variables={"steam_output": True})
    with pytest.raises(DeployerError, match=r"'steam_output'.* did you mean stream_output\?"):
        planned(world, [good, bad])
