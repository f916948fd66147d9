"""Write the text of a catalog from existing deployments, on a server or in a prefect.yaml."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from deployer import plan
from deployer.check.catalog import check
from deployer.environment import Environment
from deployer.errors import DeployerError, reason
from deployer.importing import prefect_yaml
from deployer.importing.entries import entry
from deployer.importing.source import Call, Imports, source
from deployer.plan import Plan
from deployer.release import Release
from deployer.server import Live
from deployer.spec import Spec

Found = list[tuple[Spec, list[str]]]  # specs, each with notes about what is missing in it
IMAGE = "job_variables.image:"  # the start of the note about the image
HEAD = '''\
"""What is deployed: one entry for each deployment.

An entry is a flow and options of `Flow.deploy`, with the same names:
https://docs.prefect.io/v3/how-to-guides/deployments/create-deployments
"""
'''


def from_yaml(path: str) -> Found:
    """Read a prefect.yaml.

    Raises:
        DeployerError: the file cannot be read, or is not a prefect.yaml.
    """
    try:
        return prefect_yaml.read(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise DeployerError(f"--from {path} cannot be read: {reason(error)}.") from None


def from_server(live: dict[str, Live]) -> Found:
    """Return the server's deployments, with a note about each automation that may be a trigger."""
    note = (
        "is imported as a trigger of the deployment; if somebody made this automation by hand, "
        "delete it before you deploy."
    )
    found: Found = []
    for _, row in sorted(live.items()):
        schedules = dict(sorted(row.spec["schedules"].items()))  # the server keeps no order
        notes = [f"triggers.{name}: {note}" for name in row.automations]
        found.append(({**row.spec, "schedules": schedules}, notes))
    return found


def catalog(
    found: Found,
    environment: Environment,
    name: str = "*",
    tag: str | None = None,
    recorded: Release | None = None,
) -> tuple[str, list[str]]:
    """Return the text of a catalog that declares deployments, and notes on what it leaves out.

    Args:
        found: the deployments.
        environment: where they are, or will be.
        name: glob on `FLOW/NAME`; all others are left out.
        tag: only deployments with this tag; None for all.
        recorded: the newest release, for the names of its images; None if there is none.

    Raises:
        DeployerError: no deployment can be imported.
    """
    calls: list[Call] = []
    notes: list[str] = []
    images = image_names(recorded)
    seen = 0
    for spec, known in found:
        call, lines = None, list[str]()
        try:
            variables = spec.get("job_variables", {})
            call, lines = with_image(entry(spec, environment), variables, images)
        except ValueError as error:
            known = [f"is left out; {reason(error)}."]
        flow = spec.get("flow") or (call.args[0].name if call else spec.get("entrypoint"))
        key = f"{flow}/{spec.get('name')}"
        if fnmatchcase(key, name) and (not tag or tag in spec.get("tags", ())):
            seen += 1
            calls += [call] if call else []
            notes += [f"{key}: {line}" for line in (*known, *lines)]
    if not calls:
        raise DeployerError(*notes, "There is no deployment that can be imported.")
    imports = Imports()
    entries = [source(call, imports, "    ", end=",") for call in calls]
    text = "\n".join([HEAD, f"{imports}\n", "CATALOG = [", *entries, "]\n"])
    notes += check([call() for call in calls], images.values())
    return text, [*notes, f"{len(calls)} of {seen} deployments are in the catalog."]


def image_names(recorded: Release | None) -> dict[str, str]:
    """Return the names of a release's images by reference; the default image has no name."""
    if recorded is None:
        return {}
    return {image: name for name, image in recorded.images.items() if image != recorded.image}


def with_image(
    made: tuple[Call, list[str]], variables: dict[str, Any], names: dict[str, str]
) -> tuple[Call, list[str]]:
    """Set the option `image` of an entry if its image has a name, and drop the note about it.

    Args:
        made: the entry and its notes, as `entry` returns them.
        variables: the job variables, with the image's reference.
        names: names of images by reference.
    """
    call, lines = made
    if name := names.get(str(variables.get("image"))):
        call.options["image"] = name
        lines = [line for line in lines if not line.startswith(IMAGE)]
    return call, lines


def acceptance(
    made: Plan, environment: Environment, recorded: Release | None
) -> tuple[list[str], list[str]]:
    """Return the catalog entries that would keep the edits that were made on the server.

    Args:
        made: a plan that compares the server with a release.
        environment: the environment of both.
        recorded: the release. Switches that operators changed since then are not in the entries.

    Returns:
        The entries' texts, and notes on what they cannot declare.
    """
    texts, notes = [], []
    released, smoke = (recorded.specs, recorded.smoke) if recorded else ({}, {})
    names = image_names(recorded)
    for change in made.of("create", "update", "delete"):
        if change.before is None:
            notes.append(f"{change.key}: somebody deleted it: remove its entry.")
            continue
        spec = plan.keep_switches(change.before, released.get(change.key), None)
        try:
            variables = released.get(change.key, spec)["job_variables"]
            declared = entry(spec, environment, smoke.get(change.key))
            call, lines = with_image(declared, variables, names)
        except ValueError as error:
            notes.append(f"{change.key}: {reason(error)}.")
            continue
        texts.append(source(call, Imports(), end=","))
        others = [line for line in lines if not line.startswith(IMAGE)]  # a deploy sets the image
        notes += [f"{change.key}: {line}" for line in others]
    return texts, notes
