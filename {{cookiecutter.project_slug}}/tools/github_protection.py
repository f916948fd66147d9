"""Decides what to set on GitHub so that only images that main built reach production.

Pure: `tools/setup_github.py` reads the state and carries out the steps. Standard library only.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from tools.github_credentials import KEY, SECRETS, URL, wants_key
from tools.preflight import PREVIEWS

ENVIRONMENTS = ("preview", "staging", "production")  # which the workflows deploy to
OPEN = "preview"  # the environment that every branch may use
UPDATE = "update"  # holds the token that opens pull requests with template updates
PLAN = "PLAN_ENVIRONMENT"  # variable: the environment without reviewers that plans production
CODE_OWNERS = ".github/CODEOWNERS"
OWNED = (
    "/.github/",
    "/Dockerfile*",
    "/deployer/",
    "/tools/",
    "/poetry.lock",
    "/requirements*.txt",
    "/deployments/environments.toml",
)
RULESET = "main"
CHECK = "Pass"  # the job of ci.yml that passes if all others did
RULES: tuple[dict[str, Any], ...] = (
    {"type": "deletion"},
    {"type": "non_fast_forward"},
    {
        "type": "pull_request",
        "parameters": {
            "required_approving_review_count": 0,
            "require_code_owner_review": True,
            "dismiss_stale_reviews_on_push": True,
            "require_last_push_approval": False,
            "required_review_thread_resolution": False,
        },
    },
    {
        "type": "required_status_checks",
        "parameters": {
            "required_status_checks": [{"context": CHECK}],
            "strict_required_status_checks_policy": False,
            "do_not_enforce_on_create": True,  # or the first push of main would be refused
        },
    },
)
# Nobody can approve their own pull request: an administrator may merge it anyway, but not push.
BYPASS = {"actor_id": 5, "actor_type": "RepositoryRole", "bypass_mode": "pull_request"}

DONE, NEW, CHANGED = "already set", "created", "changed"
NOTE, MISSING = "note", "missing"


@dataclass(frozen=True)
class Place:
    """What GitHub holds for one environment, or for the repository as a whole.

    Attributes:
        variables: by name.
        secrets: their names.
        settings: the environment as GitHub's API shows it.
        branches: the patterns of the branches that may use it, if it restricts them.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: frozenset[str] = frozenset()
    settings: Mapping[str, Any] = field(default_factory=dict)
    branches: tuple[str, ...] = ()


@dataclass(frozen=True)
class State:
    """What GitHub and the working tree hold.

    Attributes:
        repository: `OWNER/NAME`.
        protects: whether GitHub has environments and rules for this repository.
        owner: who reviews, without the `@`.
        place: the repository.
        environments: those of `names` that exist.
        rules: the rules that apply to main, from all rulesets.
        ruleset: the one called RULESET, with its rules; None if there is none.
        actions: ID of the app that runs workflows, so that no other app can report that a check
            passed; None if it is not known.
        code_owners: the text of CODEOWNERS, empty if there is no file.
    """

    repository: str
    protects: bool
    owner: str
    place: Place = Place()
    environments: Mapping[str, Place] = field(default_factory=dict)
    rules: tuple[Mapping[str, Any], ...] = ()
    ruleset: Mapping[str, Any] | None = None
    actions: int | None = None
    code_owners: str = ""

    @property
    def planned_in(self) -> str:
        """The environment in which production is planned; GitHub ignores the case of its name."""
        name = self.place.variables.get(PLAN) or "production"
        return name.lower() if name.lower() in ENVIRONMENTS else name

    @property
    def plans(self) -> str | None:
        """The environment in which production is planned, if it is a separate one."""
        return None if self.planned_in in ENVIRONMENTS else self.planned_in

    @property
    def names(self) -> list[str]:
        """The environments that the workflows use."""
        return [*ENVIRONMENTS, UPDATE, *([self.plans] if self.plans else ())]


@dataclass(frozen=True)
class Command:
    """One call of `gh`.

    Attributes:
        arguments: never a secret, because every process can read them.
        stdin: its input, which may be a secret.
        secret: the name of the secret that stdin holds.
    """

    arguments: tuple[str, ...]
    stdin: str | None = None
    secret: str = ""

    def __str__(self) -> str:
        """Return the shell command, with the name of a secret instead of its value."""
        text = shlex.join(["gh", *self.arguments])
        if self.secret:
            return f"{text} < the value of {self.secret}"
        return text if self.stdin is None else f"{text} <<< {shlex.quote(self.stdin)}"


@dataclass(frozen=True)
class Step:
    """One setting, and how to change it.

    Attributes:
        outcome: DONE, NEW, CHANGED, NOTE or MISSING.
        what: the setting, in words.
        commands: the calls that change it.
        text: the new text of CODEOWNERS; empty if it stays.
    """

    outcome: str
    what: str
    commands: tuple[Command, ...] = ()
    text: str = ""


def steps(state: State, wanted: Mapping[str, Mapping[str, str]], share: bool = False) -> list[Step]:
    """Return all steps, in the order in which they are carried out.

    Args:
        state: the current state.
        wanted: for each environment the values of URL and SECRETS that are known here.
        share: whether previews get production's server.
    """
    result = []
    if state.protects:
        for name in wanted:
            result += [*_environment(state, name), *_values(state, name, wanted[name])]
        result += _environment(state, UPDATE)
        if plans := state.plans:
            values = wanted.get("production", {})
            result += [*_environment(state, plans), *_values(state, plans, values)]
        result += _unattended(state)
        result += [*_repository_wide(state), *_without_previews_variable(state)]
        result.append(_ruleset(state))
    else:
        result.append(Step(NOTE, FREE))
        result += _values(state, "", wanted.get("production", {}))
        result.append(_previews(state, share))
    return [*result, _code_owners(state)]


FREE = (
    "GitHub has no environments and no rules for a private repository on a free plan. So the "
    "secrets are the repository's, and anyone who may push a branch can change production. Make it "
    "public or upgrade to GitHub Pro or Team, and run this again."
)
APART = (
    "preview gets no server: what a pull request runs could change production with these "
    "credentials. If there is a second server or workspace, set PREVIEW_PREFECT_API_URL with "
    "PREVIEW_PREFECT_API_KEY or PREVIEW_PREFECT_API_AUTH_STRING; or give previews the same one "
    "with --share-server."
)


def _request(method: str, path: str, body: Mapping[str, Any] | None = None) -> Command:
    given = () if body is None else ("--input", "-")
    stdin = None if body is None else json.dumps(body)
    return Command(("api", "--method", method, path, *given), stdin)


def _environment(state: State, name: str) -> Iterator[Step]:
    path = f"repos/{state.repository}/environments/{quote(name, safe='')}"
    place = state.environments.get(name)
    if name == OPEN:
        commands = () if place else (_request("PUT", path),)
        yield Step(NEW if commands else DONE, f"environment {name}", commands)
        return
    settings = place.settings if place else {}
    policy = {"protected_branches": False, "custom_branch_policies": True}
    calls = []
    if settings.get("deployment_branch_policy") != policy:
        calls.append(_request("PUT", path, {"deployment_branch_policy": policy, **_kept(settings)}))
    branches = place.branches if place else ()
    if "main" not in branches:
        body = {"name": "main", "type": "branch"}
        calls.append(_request("POST", f"{path}/deployment-branch-policies", body))
    outcome = DONE if not calls else CHANGED if place else NEW
    yield Step(outcome, f"environment {name}, only for main", tuple(calls))
    if others := [each for each in branches if each != "main"]:
        yield Step(NOTE, f"environment {name} also allows {', '.join(others)}: is that intended?")


def _unattended(state: State) -> Iterator[Step]:
    """Yield a note if workflows with a schedule have to wait for a person or a timer."""
    name = state.planned_in
    rules = state.environments.get(name, Place()).settings.get("protection_rules", ())
    if any(each["type"] in ("required_reviewers", "wait_timer") for each in rules):
        yield Step(
            NOTE,
            f"drift.yml, and renew.yml before it deletes old images, wait at each run for the "
            f"reviewers or the timer of {name}: set the variable {PLAN} to the name of an "
            "environment without them, and run this again",
        )


def _kept(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return an environment's protection rules: a PUT without them would remove them."""
    body: dict[str, Any] = {}
    for rule in settings.get("protection_rules", ()):
        if rule["type"] == "wait_timer":
            body["wait_timer"] = rule["wait_timer"]
        elif rule["type"] == "required_reviewers":
            body["prevent_self_review"] = rule.get("prevent_self_review", False)
            body["reviewers"] = [
                {"type": each["type"], "id": each["reviewer"]["id"]} for each in rule["reviewers"]
            ]
    return body


def _values(state: State, name: str, values: Mapping[str, str]) -> Iterator[Step]:
    place = state.environments.get(name, Place()) if name else state.place
    where = f"of {name}" if name else "of the repository"
    scope = (*(("--env", name) if name else ()), "--repo", state.repository)
    held = place.variables.get(URL)
    url = values.get(URL) or held
    if not url:
        yield (
            Step(NOTE, APART)
            if name == OPEN
            else Step(
                MISSING,
                f"variable {URL} {where}: set it here to the address of the Prefect server that "
                "GitHub's runners and the workers reach, and run this again",
            )
        )
        return
    variable = _variable(URL, url, held, where, scope)
    yield variable
    for secret in SECRETS:
        is_set = secret in place.secrets
        if secret in values and (variable.commands or not is_set):
            command = Command(("secret", "set", secret, *scope), values[secret], secret)
            yield Step(CHANGED if is_set else NEW, f"secret {secret} {where}", (command,))
        elif is_set:
            # GitHub never shows the value of a secret.
            change = shlex.join(["gh", "secret", "set", secret, *scope])
            yield Step(DONE, f"secret {secret} {where}; `{change}` changes it")
        elif secret == KEY and wants_key(url):
            yield Step(MISSING, f"secret {KEY} {where}: Prefect Cloud requires it, so set it here")


def _previews(state: State, share: bool) -> Step:
    """Return the step that keeps previews from the repository's server until that is wanted."""
    held = state.place.variables.get(PREVIEWS)
    value = "on" if share else held or "off"
    step = _variable(PREVIEWS, value, held, "of the repository", ("--repo", state.repository))
    why = ": a preview would use production's server, which --share-server allows"
    return replace(step, what=step.what + why) if value == "off" else step


def _variable(name: str, value: str, held: str | None, where: str, scope: tuple[str, ...]) -> Step:
    """Return the step that sets a variable, unless GitHub holds this value already."""
    outcome = DONE if value == held else CHANGED if held else NEW
    command = Command(("variable", "set", name, "--body", value, *scope))
    what = f"variable {name} {where} is {value}"
    return Step(outcome, what, () if outcome == DONE else (command,))


def _without_previews_variable(state: State) -> Iterator[Step]:
    """Yield the step that takes the variable away, because previews have an environment now."""
    if PREVIEWS in state.place.variables:
        delete = Command(("variable", "delete", PREVIEWS, "--repo", state.repository))
        yield Step(CHANGED, f"variable {PREVIEWS} of the repository is no longer needed", (delete,))


def _repository_wide(state: State) -> Iterator[Step]:
    """Yield a note for each value of the repository, which every branch can use."""
    held = {"variable": [URL] if URL in state.place.variables else []}
    held["secret"] = [each for each in SECRETS if each in state.place.secrets]
    for kind, names in held.items():
        for name in names:
            what = f"every branch can use the {kind} {name} of the repository; each environment has"
            command = f"gh {kind} delete {name} --repo {state.repository}"
            yield Step(NOTE, f"{what} its own now, so delete the repository's: `{command}`")


def _ruleset(state: State) -> Step:
    what = "main accepts only pull requests that pass and code owners approve, and no force push"
    if not [*_missing(state.rules)]:
        return Step(DONE, what)
    path = f"repos/{state.repository}/rulesets"
    old = state.ruleset or {"rules": [], "bypass_actors": [BYPASS]}
    # Rules that were added or made stricter by hand stay.
    rules = {each["type"]: each for each in old["rules"]}
    for each in _missing(old["rules"]):
        rules[each["type"]] = _join(rules.get(each["type"], {}), each, state.actions)
    body = {
        "name": RULESET,
        "target": "branch",
        "enforcement": "active",
        "bypass_actors": old["bypass_actors"],
        "conditions": {"ref_name": {"include": ["refs/heads/main"], "exclude": []}},
        "rules": list(rules.values()),
    }
    if state.ruleset is None:
        return Step(NEW, what, (_request("POST", path, body),))
    return Step(CHANGED, what, (_request("PUT", f"{path}/{state.ruleset['id']}", body),))


def _missing(rules: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield each of RULES that the given rules do not cover."""
    for wanted in RULES:
        same = [each.get("parameters") or {} for each in rules if each["type"] == wanted["type"]]
        if wanted["type"] == "required_status_checks":
            checks = [check for each in same for check in each["required_status_checks"]]
            same = [check for check in checks if check["context"] == CHECK]
        elif wanted["type"] == "pull_request":
            same = [each for each in same if each.get("require_code_owner_review")]
        if not same:
            yield wanted


def _join(old: Mapping[str, Any], wanted: Mapping[str, Any], actions: int | None) -> dict[str, Any]:
    """Return a rule with its present parameters and with the wanted ones."""
    given = {**wanted.get("parameters", {}), **old.get("parameters", {})}
    if wanted["type"] == "pull_request":
        given["require_code_owner_review"] = True
    elif wanted["type"] == "required_status_checks":
        own = {"context": CHECK} | ({"integration_id": actions} if actions else {})
        others = [each for each in given["required_status_checks"] if each["context"] != CHECK]
        given["required_status_checks"] = [*others, own]
    return {"type": wanted["type"], **({"parameters": given} if given else {})}


def _code_owners(state: State) -> Step:
    lines = state.code_owners.splitlines()
    if any(line.strip() and not line.startswith("#") for line in lines):
        return Step(DONE, f"{CODE_OWNERS} names who reviews the files that affect a deploy")
    kept = [line for line in lines if not re.match(r"# +/", line)]
    width = max(map(len, OWNED))
    text = "\n".join([*kept, *(f"{path:<{width}}  @{state.owner}" for path in OWNED), ""])
    what = f"{CODE_OWNERS}: @{state.owner} reviews the files that affect a deploy; commit it"
    return Step(CHANGED if lines else NEW, what, text=text)
