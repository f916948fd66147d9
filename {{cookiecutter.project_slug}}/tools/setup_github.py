"""Sets up this project's repository on GitHub: environments, secrets, rules for main, code owners.

It keeps what is set already, so it can be run again. `tools/github_protection.py` decides, and this
module carries it out. Standard library only, except for `doctor` at the end.
"""
# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import argparse
import getpass
import json
import os
import subprocess
import sys
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from deployer.errors import DeployerError
from deployer.project import read
from tools import ROOT, github_credentials
from tools.gh import gh
from tools.github_credentials import URL
from tools.github_protection import (
    CODE_OWNERS,
    DONE,
    ENVIRONMENTS,
    MISSING,
    OPEN,
    RULESET,
    Place,
    State,
    Step,
    steps,
)

FAILED = "failed"
VIEW = "nameWithOwner,visibility,viewerCanAdminister,owner,isInOrganization,url"


def get(path: str) -> Any:
    """Return what GitHub's API answers."""
    return json.loads(gh("api", "--method", "GET", path))


def state(root: Path = ROOT) -> State:
    """Read the current state of the repository.

    Raises:
        DeployerError: `gh` finds no repository here, or the user may not administer it.
    """
    try:
        found = json.loads(gh("repo", "view", "--json", VIEW))
    except DeployerError as error:
        raise DeployerError(
            f"{error} This needs a repository on GitHub: run `gh auth login`, then "
            "`gh repo create NAME --private --source .`, and run this again."
        ) from None
    repository = found["nameWithOwner"]
    if not found["viewerCanAdminister"]:
        raise DeployerError(
            f"You may not administer {repository}: ask an administrator to run this."
        )
    host = urlsplit(found["url"]).hostname or ""
    if host != "github.com":
        os.environ.setdefault("GH_HOST", host)
    path = f"repos/{repository}"
    rulesets, protects = [], True
    try:
        rulesets = get(f"{path}/rulesets?includes_parents=false&per_page=100")
    except DeployerError as error:
        # The answer if a plan has neither rulesets nor environments. GitHub does not name the plan.
        if found["visibility"] == "PUBLIC" or "Upgrade to" not in str(error):
            raise
        protects = False
    number = next((each["id"] for each in rulesets if each["name"] == RULESET), None)
    file = root / CODE_OWNERS
    current = State(
        repository,
        protects,
        place=place(f"{path}/actions"),
        rules=tuple(get(f"{path}/rules/branches/main")) if protects else (),
        ruleset=get(f"{path}/rulesets/{number}") if number else None,
        actions=15368 if host == "github.com" else None,
        code_owners=file.read_text(encoding="utf-8") if file.exists() else "",
        # An organization cannot review, but the user who runs this can.
        owner=get("user")["login"] if found["isInOrganization"] else found["owner"]["login"],
    )
    return replace(current, environments=environments(path, current.names)) if protects else current


def environments(path: str, names: Collection[str]) -> dict[str, Place]:
    """Return those environments of these names that exist; GitHub ignores the case of a name."""
    places, wanted = {}, {name.lower(): name for name in names}
    for each in get(f"{path}/environments?per_page=100")["environments"]:
        if name := wanted.get(each["name"].lower()):
            base = f"{path}/environments/{quote(name, safe='')}"
            policy = each.get("deployment_branch_policy") or {}
            branches: tuple[str, ...] = ()
            if policy.get("custom_branch_policies"):
                found = get(f"{base}/deployment-branch-policies?per_page=100")["branch_policies"]
                branches = tuple(branch["name"] for branch in found)
            places[name] = place(base, each, branches)
    return places


def place(
    path: str, settings: Mapping[str, Any] | None = None, branches: tuple[str, ...] = ()
) -> Place:
    """Return the variables, secrets and settings of an environment or of the repository."""
    variables = get(f"{path}/variables?per_page=100")["variables"]
    secrets = get(f"{path}/secrets?per_page=100")["secrets"]
    return Place(
        {each["name"]: each["value"] for each in variables},
        frozenset(each["name"] for each in secrets),
        settings or {},
        branches,
    )


def collect(found: State, environ: Mapping[str, str], share: bool, may_ask: bool) -> dict[str, Any]:
    """Return the known values to set, for each environment."""
    common = github_credentials.shared(environ)
    if may_ask:
        held = found.environments.get("production", Place()) if found.protects else found.place
        arguments = (common, held.variables, held.secrets, input, getpass.getpass)
        common = github_credentials.ask(*arguments)
    declared = read(ROOT)
    return {
        name: github_credentials.of(name, environ, common, apart=name == OPEN and not share)
        for name in ENVIRONMENTS
        if name in declared
    }


def carry_out(step: Step, root: Path = ROOT) -> tuple[str, str]:
    """Carry out a step; return its outcome, and the setting in words."""
    try:
        for command in step.commands:
            gh(*command.arguments, stdin=command.stdin)
        if step.text:
            (root / CODE_OWNERS).parent.mkdir(parents=True, exist_ok=True)
            (root / CODE_OWNERS).write_text(step.text, encoding="utf-8")
    except (DeployerError, OSError) as error:
        return FAILED, f"{step.what}: {error}"
    return step.outcome, step.what


def script(step: Step) -> str:
    """Return a step as shell commands and comments."""
    lines = [f"# {step.what} ({step.outcome})", *map(str, step.commands)]
    if step.text:
        lines.append(f"cat >{CODE_OWNERS} <<'END'\n{step.text}END")
    return "\n".join(lines)


def doctor(values: Mapping[str, str]) -> bool:
    """Run `deployer doctor production`; return whether it finds no fault."""
    command = [sys.executable, "-m", "deployer", "doctor", "production"]
    print("\ndoctor production:", flush=True)
    env = {**os.environ, **values}
    return subprocess.run(command, cwd=ROOT, env=env, check=False).returncode == 0  # noqa: S603


def main(argv: list[str] | None = None) -> int:
    """Set up, or print the commands; return 1 if something failed or is missing."""
    parser = argparse.ArgumentParser(prog="python -m tools.setup_github", description=__doc__)
    parser.add_argument(
        "--dry-run", action="store_true", help="print the commands, and change nothing"
    )
    parser.add_argument(
        "--share-server",
        action="store_true",
        help="give previews the same server and credentials as production",
    )
    options = parser.parse_args(argv)
    try:
        found = state()
        may_ask = sys.stdin.isatty() and not options.dry_run
        wanted = collect(found, os.environ, options.share_server, may_ask)
    except DeployerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    bad = False
    for step in steps(found, wanted, options.share_server):
        outcome, what = (step.outcome, "") if options.dry_run else carry_out(step)
        print(f"{outcome:<{len(DONE)}}  {what}" if what else script(step), flush=True)
        bad |= outcome in (FAILED, MISSING)
    production = found.environments.get("production", found.place)
    values = {URL: production.variables.get(URL, "")} | wanted.get("production", {})
    if values[URL] and not options.dry_run:
        bad |= not doctor(values)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
