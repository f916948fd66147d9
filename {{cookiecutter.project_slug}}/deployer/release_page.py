"""Write the page of a release for Prefect's UI: who deployed what, and what it changed. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from deployer.environment import Environment
from deployer.errors import cell, on_one_line, short_digests
from deployer.plan import SYMBOLS, Plan
from deployer.release import Release
from deployer.spec import Spec

SHORT = 12  # characters of a commit or a version


def summary(plan: Plan) -> str:
    """Return what a plan changed, in words."""
    counts = plan.counts
    return f"{counts['create']} added, {counts['update']} changed, {counts['delete']} deleted"


def markdown(environment: Environment, release: Release, plan: Plan) -> str:
    """Return a page about a release.

    Args:
        environment: whose it is.
        release: what is deployed now.
        plan: what the release changed.
    """
    facts = {
        "when": release.at,
        "who": release.who,
        "commit": (release.commit or "")[:SHORT],
        "image": short_digests(release.image or ""),
        **{f"image {name}": short_digests(image) for name, image in release.images.items()},
        "run": release.run_url,
        "verified": release.verified,
        "changes": release.summary,
        "rolled back to": f"release {release.again}" if release.again else None,
    }
    lines = [f"# {environment.project} in {environment.name}: release {release.number}", ""]
    lines += ["| | |", "| --- | --- |"]
    lines += [f"| {name} | {value} |" for name, value in facts.items() if value]
    lines += ["", "| | deployment | what changed | version |", "| --- | --- | --- | --- |"]
    return "\n".join([*lines, *_rows(release.specs, plan)]) + "\n"


def _rows(specs: dict[str, Spec], plan: Plan) -> Iterator[str]:
    """Yield a table row for each deployment and for each change.

    A row names fields without values: an old value may be a secret that was removed since.
    """
    changes = {each.key: each for each in plan.everything}
    for key in sorted({*specs, *changes}):
        change = changes.get(key)
        fields = change.fields if change else ()
        paths = dict.fromkeys(".".join(path.split(".")[:2]) for path in fields)
        version = (specs[key]["version"] or "")[:SHORT] if key in specs else ""
        cells = (SYMBOLS[change.action] if change else "", key, ", ".join(paths), version)
        yield f"| {' | '.join(cell(on_one_line(each)) for each in cells)} |"
