"""A rollback where runs use the working tree: settings come back, code does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.baking import Project
from tests.deployer.conftest import DeployerProject
from tests.support.server import PrefectServer

FLOW = "from prefect import flow\n\n\n@flow\ndef {}(times: int = 1) -> None: ...\n"
CATALOG = """\
from deployer import Deployment
from flows.own import {0}

CATALOG = [Deployment({0}, "main", parameters={{"times": {1}}})]
"""
CAME_BACK = (
    "The settings of release 1 came back. The code did not: runs use what is in the working tree "
    "now; git brings code back."
)


@pytest.fixture
def twice(bake: Callable[..., Project], server: PrefectServer) -> DeployerProject:
    """A project that was deployed, then with another flow in another place."""
    made = DeployerProject(bake(project_slug="working-tree"), server)
    assert made.deployer("setup", "local").returncode == 0
    for name in ("first", "second"):
        write(made, name)
        done = made.deployer("deploy", "local", "--no-verify", "--resume")
        assert done.returncode == 0, done.stderr
    return made


def write(project: DeployerProject, name: str) -> None:
    """Write a flow of this name, instead of the one that was there, and its catalog."""
    project.write("flows/own.py", FLOW.format(name))
    project.write("deployments/catalog.py", CATALOG.format(name, 1))


def deployed(project: DeployerProject) -> list[str]:
    """Return the entrypoints of what is deployed."""
    where = {"deployments": {"tags": {"all_": ["project:working-tree"]}}}
    return [
        row["entrypoint"] for row in project.server.request("POST", "/deployments/filter", where)
    ]


def test_a_rollback_needs_its_flows_and_says_what_did_not_come_back(twice: DeployerProject) -> None:
    rollback = ("rollback", "local", "--to", "1", "--no-verify")

    gone = twice.deployer(*rollback)

    assert gone.returncode == 1
    (line,) = gone.stderr.splitlines()
    assert line.startswith(
        "error: The working tree does not have the flows of this release: flows.own.first ("
    )
    assert "Nothing was changed: restore the code with git, or choose another release" in line
    assert deployed(twice) == ["flows.own.second"]

    twice.write("flows/own.py", "print('imported')\n" + FLOW.format("first"))
    done = twice.deployer(*rollback)

    assert done.returncode == 0, done.stderr
    assert CAME_BACK in done.stdout.splitlines()
    assert "imported" not in done.stdout
    assert deployed(twice) == ["flows.own.first"]
