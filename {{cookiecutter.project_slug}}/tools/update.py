"""Merges the template's changes: `python3 -m tools.update`. Standard library only.

cruft merges as git does, and skips the files that are yours. If the dependencies in pyproject.toml
change, Poetry locks them again and exports the requirements, as the commit hook would.

In a workflow, one job updates and passes the changes on with `--outputs`; another job opens a pull
request with them with `--propose`.
"""
# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deployer.alive import alive
from deployer.errors import DeployerError
from tools import ROOT, proposal
from tools.build import call

CRUFT = "cruft@2.16.0"  # the last release; docs/updating.md says what to do if cruft stops working
LOCK = "`uvx poetry lock`"


def origin() -> tuple[str, str]:
    """Return the template's address, and the commit of it that this project is based on.

    Raises:
        DeployerError: .cruft.json does not exist, or is not valid.
    """
    try:
        state = json.loads((ROOT / ".cruft.json").read_text(encoding="utf-8"))
        return state["template"], state["commit"]
    except FileNotFoundError:
        raise DeployerError(
            "There is no .cruft.json, which names the template of this project: "
            f"`uvx {CRUFT} link gh:org/template` writes one."
        ) from None
    except (KeyError, TypeError, ValueError) as error:
        raise DeployerError(f".cruft.json cannot be read: {error!r}: restore it.") from None


def dependencies() -> list[Any]:
    """Return the parts of pyproject.toml that poetry.lock depends on.

    Raises:
        DeployerError: pyproject.toml does not parse.
    """
    try:
        content = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise DeployerError(f"pyproject.toml is not valid: {error}.") from None
    project, poetry = content.get("project", {}), content.get("tool", {}).get("poetry", {})
    declared = [project.get(each) for each in ("requires-python", "dependencies")]
    own = [poetry.get(each) for each in ("dependencies", "group", "source")]
    return [*declared, content.get("dependency-groups"), *own]


def conflicts() -> list[str]:
    """Return the files in which both sides changed the same lines."""
    unmerged = call("git", "diff", "--name-only", "--diff-filter=U").splitlines()
    rejected = call("git", "ls-files", "--others", "--", "*.rej").splitlines()
    return sorted({*unmerged, *(each.removesuffix(".rej") for each in rejected)})


def merge(options: list[str]) -> None:
    """Merge the template's changes with cruft.

    Raises:
        DeployerError: cruft failed; the error has its message.
    """
    command = ["uvx", CRUFT, "update", "--skip-apply-ask", *options]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    except FileNotFoundError:
        where = "https://docs.astral.sh/uv/getting-started/installation/"
        raise DeployerError(f"uv is not on PATH: {where}") from None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()[-15:]
        raise DeployerError(f"`{' '.join(command[:3])}` failed:", *lines)


def lock() -> None:
    """Lock and export the requirements, with the commit hook's version of Poetry.

    Raises:
        DeployerError: Poetry failed, or no hook has it.
    """
    file = ROOT / ".pre-commit-config.yaml"
    hooks = file.read_text(encoding="utf-8") if file.exists() else ""
    found = list(dict.fromkeys(re.findall(r"poetry[a-z-]*==[0-9.]+", hooks)))
    if not found:
        raise DeployerError(f"No hook of {file.name} has a version of Poetry.")
    poetry, *plugins = found
    program = ["uvx", *(f"--with={each}" for each in plugins), f"--from={poetry}", "poetry"]
    for words in ("lock", *re.findall(r"entry: poetry (export .+)", hooks)):
        call(*program, *words.split())


def update(options: list[str]) -> tuple[str, list[str]]:
    """Update this project.

    Args:
        options: for `cruft update`, such as `--checkout v1.2.0`.

    Returns:
        `same`, `updated` or `conflict`, which a person has to resolve; and sentences that say what
        was done, and what to do.

    Raises:
        DeployerError: there are uncommitted changes, a file is not valid, or a program failed.
    """
    template, before = origin()
    if call("git", "status", "--porcelain"):
        raise DeployerError("There are changes that are not committed: commit or stash them first.")
    declared = dependencies()
    print(f"Looking for changes in {template} …", file=sys.stderr, flush=True)
    with alive("cruft", leave_terminal=True):  # git or ssh may ask for a password there
        merge(options)
    _, now = origin()
    if now == before:
        return "same", [f"This project is up to date with {template}."]
    notes = [f"Updated from {before[:7]} to {now[:7]} of {template}."]
    if found := conflicts():
        notes += [f"Both sides changed {each}: resolve the conflict by hand." for each in found]
        return "conflict", [*notes, f"Then run {LOCK} if pyproject.toml has changed, and commit."]
    if dependencies() != declared:
        if not (ROOT / "poetry.lock").exists():
            return "updated", [*notes, "The dependencies have changed: lock them again."]
        try:
            with alive("poetry lock"):
                lock()
        except DeployerError as error:
            notes.append(f"It is merged, but Poetry could not lock the dependencies: {error}")
            return "conflict", [*notes, f"Lock with {LOCK}, review all changes, and commit."]
        notes.append("The dependencies have changed, and are locked again.")
    return "updated", [*notes, "Review it with `git diff HEAD`, and commit."]


def set_outputs(environ: Mapping[str, str], **outputs: str) -> None:
    """Set outputs of this step, for the workflow's next steps and jobs."""
    with Path(environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as file:
        file.writelines(f"{name}={value}\n" for name, value in outputs.items())


def main(argv: list[str] | None = None) -> int:
    """Update, and report it; return 1 if it failed, or if a person has to resolve a conflict."""
    parser = argparse.ArgumentParser(prog="python -m tools.update", description=__doc__)
    parser.add_argument("--outputs", action="store_true", help="pass the changes on to another job")
    parser.add_argument("--propose", action="store_true", help="open a pull request with PATCH")
    options, rest = parser.parse_known_args(argv)
    environ = os.environ
    try:
        if options.propose:
            proposed, done = False, ""
            if environ.get("GH_TOKEN"):
                proposed, done = proposal.propose(environ["PATCH"], environ["REPORT"], environ)
                print(done)
            set_outputs(environ, proposed=str(proposed).lower(), done=done)
            return 0
        if options.outputs and not (ROOT / ".cruft.json").exists():
            set_outputs(environ, state="same", report="This project follows no template.", patch="")
            return 0
        state, notes = update(rest)
        print("\n".join(notes))
        if options.outputs:
            changed = proposal.pack() if state == "updated" else ""
            report = " ".join([*notes[:-1], "`uvx nox -s update` does the same on your machine."])
            set_outputs(environ, state=state, report=report, patch=changed)
            return 0
    except DeployerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 1 if state == "conflict" else 0


if __name__ == "__main__":
    sys.exit(main())
