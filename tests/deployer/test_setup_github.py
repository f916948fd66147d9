"""`nox -s github`: the settings on GitHub, idempotence, and that it prints no secret."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from deployer.errors import DeployerError
from tools import ROOT, github_credentials, github_protection, setup_github
from tools.github_protection import CHANGED, DONE, MISSING, NEW, NOTE, Place, State, Step, steps

from tests.baking import Project

GH = Path(__file__).resolve().parents[1] / "support" / "hub"
URL = "https://prefect.example.com/api"
CLOUD = "https://api.prefect.cloud/api/accounts/a/workspaces/b"
AUTH = "canary-user:canary-auth-string"
KEY = "canary-api-key"
COMMENTED = (ROOT / ".github/CODEOWNERS").read_text()
NAMES = ("URL", "KEY", "AUTH")
LIMITED = {"protected_branches": False, "custom_branch_policies": True}
STATE = State("Acme/Flows", protects=True, owner="jo", code_owners=COMMENTED)
SERVER = {"PREFECT_API_URL": URL, "PREFECT_API_AUTH_STRING": AUTH}


def outcomes(made: list[Step]) -> list[str]:
    return [each.outcome for each in made]


def find(made: list[Step], what: str) -> Step:
    (found,) = [each for each in made if each.what.startswith(what)]
    return found


def bodies(step: Step) -> list[Any]:
    return [json.loads(each.stdin) for each in step.commands if each.stdin]


# The steps to take: pure functions


def test_only_main_reaches_the_environments_that_have_productions_credentials() -> None:
    made = steps(STATE, {"preview": {}, "staging": SERVER, "production": SERVER})
    for name in ("staging", "production"):
        step = find(made, f"environment {name}")
        assert step.outcome == NEW
        path = f"repos/Acme/Flows/environments/{name}"
        assert [each.arguments[2:4] for each in step.commands] == [
            ("PUT", path),
            ("POST", f"{path}/deployment-branch-policies"),
        ]
        assert bodies(step) == [
            {"deployment_branch_policy": LIMITED},
            {"name": "main", "type": "branch"},
        ]
    preview = find(made, "environment preview")
    assert (preview.outcome, bodies(preview)) == (NEW, [])


def test_so_are_those_that_plan_production_and_bring_the_templates_changes() -> None:
    place = Place(variables={"PLAN_ENVIRONMENT": "production plans"})
    made = steps(replace(STATE, place=place), {"production": SERVER})
    for name, path in {"update": "update", "production plans": "production%20plans"}.items():
        step = find(made, f"environment {name}, only for main")
        assert step.commands[0].arguments[3] == f"repos/Acme/Flows/environments/{path}"
    assert find(made, "variable PREFECT_API_URL of production plans").outcome == NEW
    assert find(made, "secret PREFECT_API_AUTH_STRING of production plans").outcome == NEW
    assert "PREFECT_API_URL of update" not in str(made)
    # Staging already has what it needs.
    for name in ("staging", "Staging"):
        place = Place(variables={"PLAN_ENVIRONMENT": name})
        assert len(steps(replace(STATE, place=place), {"staging": SERVER})) == len(
            steps(STATE, {"staging": SERVER})
        )


def test_an_environment_keeps_its_reviewers_and_its_waiting_time_when_it_is_limited() -> None:
    reviewer = {"type": "Team", "reviewer": {"id": 7, "name": "releases"}}
    settings = {
        "deployment_branch_policy": {"protected_branches": True, "custom_branch_policies": False},
        "protection_rules": [
            {"type": "branch_policy"},
            {"type": "wait_timer", "wait_timer": 30},
            {"type": "required_reviewers", "prevent_self_review": True, "reviewers": [reviewer]},
        ],
    }
    state = replace(STATE, environments={"production": Place(settings=settings)})
    step = find(steps(state, {"production": SERVER}), "environment production")
    assert step.outcome == CHANGED
    assert bodies(step)[0] == {
        "deployment_branch_policy": LIMITED,
        "wait_timer": 30,
        "prevent_self_review": True,
        "reviewers": [{"type": "Team", "id": 7}],
    }


@pytest.mark.parametrize("rule", ["required_reviewers", "wait_timer", "branch_policy"])
@pytest.mark.parametrize(("plans", "noted"), [("", True), ("Production", True), ("plan", False)])
def test_whatever_makes_the_workflows_of_the_night_wait_is_noted(
    rule: str, plans: str, noted: bool
) -> None:
    settings = {"protection_rules": [{"type": rule, "wait_timer": 30, "reviewers": []}]}
    place = Place(variables={"PLAN_ENVIRONMENT": plans})
    environments = {"production": Place(settings=settings), "plan": Place()}
    made = steps(replace(STATE, place=place, environments=environments), {"production": SERVER})
    said = [each for each in made if "before it deletes old images, wait" in each.what]
    assert [each.outcome for each in said] == [NOTE] * (noted and rule != "branch_policy")


def test_other_branches_that_an_environment_is_open_to_are_named() -> None:
    place = Place(settings={"deployment_branch_policy": LIMITED}, branches=("main", "release/*"))
    made = steps(replace(STATE, environments={"production": place}), {"production": SERVER})
    assert find(made, "environment production, only").outcome == DONE
    assert find(made, "environment production also allows release/*").outcome == NOTE


def test_a_preview_gets_productions_server_only_if_somebody_says_so() -> None:
    environ = {**SERVER, "PATH": "/bin"}
    common = github_credentials.shared(environ)
    assert common == SERVER
    assert github_credentials.of("staging", environ, common, apart=False) == SERVER
    assert github_credentials.of("preview", environ, common, apart=False) == SERVER
    assert github_credentials.of("preview", environ, common, apart=True) == {}
    made = steps(STATE, {"preview": {}})
    assert find(made, "preview gets no server").outcome == NOTE
    commands = [" ".join(command.arguments) for step in made for command in step.commands]
    assert [each for each in commands if "PREFECT" in each] == []

    # If it has a server of its own, it gets none of production's credentials.
    environ["PREVIEW_PREFECT_API_URL"] = "https://previews.example.com/api"
    own = github_credentials.of("preview", environ, common, apart=True)
    assert own == {"PREFECT_API_URL": "https://previews.example.com/api"}
    # It may have a key of its own for the same workspace.
    environ = {"PREFECT_API_URL": CLOUD, "PREFECT_API_KEY": KEY, "PREVIEW_PREFECT_API_KEY": "own"}
    own = github_credentials.of("preview", environ, github_credentials.shared(environ), apart=True)
    assert own == {"PREFECT_API_URL": CLOUD, "PREFECT_API_KEY": "own"}


def test_another_server_gets_another_secret_and_the_same_one_keeps_its_own() -> None:
    held = Place({"PREFECT_API_URL": URL}, frozenset({"PREFECT_API_AUTH_STRING"}))
    state = replace(STATE, environments={"staging": held})
    same = find(steps(state, {"staging": SERVER}), "secret PREFECT_API_AUTH_STRING of staging")
    assert (same.outcome, same.commands) == (DONE, ())
    moved = {**SERVER, "PREFECT_API_URL": "https://other.example.com/api"}
    made = steps(state, {"staging": moved})
    assert find(made, "variable PREFECT_API_URL of staging").outcome == CHANGED
    changed = find(made, "secret PREFECT_API_AUTH_STRING of staging")
    assert (changed.outcome, changed.commands[0].stdin) == (CHANGED, AUTH)


def test_what_is_missing_is_said() -> None:
    made = steps(STATE, {"production": {}})
    assert find(made, "variable PREFECT_API_URL of production").outcome == MISSING
    made = steps(STATE, {"production": {"PREFECT_API_URL": CLOUD}})
    assert find(made, "secret PREFECT_API_KEY of production").outcome == MISSING
    # A self-hosted server may need no credential.
    assert MISSING not in outcomes(steps(STATE, {"production": {"PREFECT_API_URL": URL}}))


def test_a_secret_of_the_repository_is_every_branchs_and_named() -> None:
    place = Place({"PREFECT_API_URL": URL}, frozenset({"PREFECT_API_KEY", "REGISTRY_PASSWORD"}))
    said = [each.what for each in steps(replace(STATE, place=place), {}) if each.outcome == NOTE]
    assert len(said) == 2
    assert "`gh variable delete PREFECT_API_URL --repo Acme/Flows`" in said[0]
    assert "`gh secret delete PREFECT_API_KEY --repo Acme/Flows`" in said[1]


def test_a_free_private_repository_falls_back_to_its_own_secrets_and_is_told_what_that_means() -> (
    None
):
    made = steps(replace(STATE, protects=False), {"preview": {}, "production": SERVER})
    assert "anyone who may push a branch can change production" in made[0].what
    assert made[0].outcome == NOTE
    commands = [each.arguments for step in made for each in step.commands]
    assert commands == [
        ("variable", "set", "PREFECT_API_URL", "--body", URL, "--repo", "Acme/Flows"),
        ("secret", "set", "PREFECT_API_AUTH_STRING", "--repo", "Acme/Flows"),
        ("variable", "set", "PREVIEWS", "--body", "off", "--repo", "Acme/Flows"),
    ]


def rules(*names: str, **parameters: Any) -> list[dict[str, Any]]:
    return [{"type": name, "parameters": parameters} for name in names]


REVIEWED = rules("pull_request", require_code_owner_review=True, required_approving_review_count=2)
CHECKED = rules("required_status_checks", required_status_checks=[{"context": "Pass"}])


def test_main_gets_a_ruleset_with_the_job_that_ci_calls_pass() -> None:
    step = find(steps(STATE, {}), "main accepts only")
    assert step.outcome == NEW
    assert step.commands[0].arguments[2:4] == ("POST", "repos/Acme/Flows/rulesets")
    (body,) = bodies(step)
    assert body["conditions"]["ref_name"]["include"] == ["refs/heads/main"]
    assert body["enforcement"] == "active"
    by_type = {each["type"]: each.get("parameters", {}) for each in body["rules"]}
    assert by_type.keys() == {
        *("deletion", "non_fast_forward", "pull_request", "required_status_checks")
    }
    (check,) = by_type["required_status_checks"]["required_status_checks"]
    name = re.search(
        r"^  pass:\n    name: (\w+)", (ROOT / ".github/workflows/ci.yml").read_text(), re.M
    )
    assert name
    assert check == {"context": name[1]}
    # If the id of GitHub Actions is known, only workflows can report the check.
    (body,) = bodies(find(steps(replace(STATE, actions=15368), {}), "main accepts only"))
    (check,) = body["rules"][-1]["parameters"]["required_status_checks"]
    assert check == {"context": name[1], "integration_id": 15368}
    # Otherwise the first push of main would be refused.
    assert by_type["required_status_checks"]["do_not_enforce_on_create"] is True
    assert by_type["pull_request"]["require_code_owner_review"] is True
    # Administrators may bypass the rules to merge a pull request, but not to push.
    assert [each["bypass_mode"] for each in body["bypass_actors"]] == ["pull_request"]


def test_rules_that_hold_already_are_enough_whatever_their_ruleset_is_called() -> None:
    active = (*rules("deletion", "non_fast_forward"), *REVIEWED, *CHECKED)
    assert find(steps(replace(STATE, rules=active), {}), "main accepts only").outcome == DONE
    for left_out in range(len(active)):
        fewer = active[:left_out] + active[left_out + 1 :]
        assert find(steps(replace(STATE, rules=fewer), {}), "main accepts only").outcome == NEW


def test_a_ruleset_keeps_what_somebody_made_stricter() -> None:
    other = rules("required_status_checks", required_status_checks=[{"context": "Other"}])
    lax = rules("pull_request", require_code_owner_review=False, required_approving_review_count=2)
    mine = [*rules("required_signatures"), *lax, *other]
    ruleset = {"id": 3, "rules": mine, "enforcement": "active", "bypass_actors": []}
    state = replace(STATE, rules=tuple(mine), ruleset=ruleset)
    step = find(steps(state, {}), "main accepts only")
    assert step.outcome == CHANGED
    assert step.commands[0].arguments[2:4] == ("PUT", "repos/Acme/Flows/rulesets/3")
    (body,) = bodies(step)
    by_type = {each["type"]: each.get("parameters", {}) for each in body["rules"]}
    assert len(body["rules"]) == len(by_type) == 5
    assert "required_signatures" in by_type
    assert by_type["pull_request"]["required_approving_review_count"] == 2
    assert by_type["pull_request"]["require_code_owner_review"] is True
    checks = by_type["required_status_checks"]["required_status_checks"]
    assert [each["context"] for each in checks] == ["Other", "Pass"]
    assert body["bypass_actors"] == []


def test_code_owners_are_written_where_nobody_is_named_and_only_there() -> None:
    paths = re.findall(r"^# (/\S+) +@", COMMENTED, re.MULTILINE)
    assert tuple(paths) == github_protection.OWNED
    step = find(steps(STATE, {}), ".github/CODEOWNERS")
    assert step.outcome == CHANGED
    lines = [each.split() for each in step.text.splitlines() if not each.startswith("#")]
    assert lines == [[path, "@jo"] for path in paths]
    assert step.text.startswith("# Who has to approve")
    assert "OWNER/TEAM" not in step.text
    again = find(steps(replace(STATE, code_owners=step.text), {}), ".github/CODEOWNERS")
    assert (again.outcome, again.text) == (DONE, "")
    absent = find(steps(replace(STATE, code_owners=""), {}), ".github/CODEOWNERS")
    assert (absent.outcome, absent.text.count("@jo")) == (NEW, len(paths))


# The sources of the values


def test_the_profile_is_asked_where_the_environment_names_no_server_that_github_reaches(
    tmp_path: Path,
) -> None:
    project, home = tmp_path / "project", tmp_path / "home"
    for folder in (project, home / ".prefect"):
        folder.mkdir(parents=True)
    environ = {"HOME": str(home), "PREFECT_HOME": str(project)}
    environ |= {"PREFECT_API_URL": "http://127.0.0.1:4200/api", "PREFECT_API_KEY": "another"}
    assert github_credentials.shared(environ) == {}
    (project / "profiles.toml").write_text(
        'active = "here"\n[profiles.here]\nPREFECT_API_URL = "http://localhost:4200/api"\n'
    )
    (home / ".prefect/profiles.toml").write_text(
        f'active = "cloud"\n[profiles.cloud]\nPREFECT_API_URL = "{CLOUD}"\n'
        f'PREFECT_API_KEY = "{KEY}"\n[profiles.own]\nPREFECT_API_URL = "{URL}"\n'
    )
    assert github_credentials.shared(environ) == {"PREFECT_API_URL": CLOUD, "PREFECT_API_KEY": KEY}
    assert github_credentials.shared({**environ, "PREFECT_PROFILE": "own"}) == {
        "PREFECT_API_URL": URL
    }
    assert github_credentials.shared({**environ, **SERVER})["PREFECT_API_URL"] == URL
    (home / ".prefect/profiles.toml").write_text("[")
    with pytest.raises(DeployerError, match=r"profiles\.toml cannot be read"):
        github_credentials.shared(environ)


@pytest.mark.parametrize(
    ("name", "value", "fragment"),
    [
        ("PREFECT_API_URL", "https://me:canary@prefect.example.com/api", "holds a password"),
        ("PREFECT_CLIENT_CUSTOM_HEADERS", '{\n"X": "canary"\n}', "has several lines"),
    ],
)
def test_a_value_that_github_would_show_is_refused_and_not_repeated(
    name: str, value: str, fragment: str
) -> None:
    with pytest.raises(DeployerError, match=fragment) as refused:
        github_credentials.shared({**SERVER, name: value})
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    ("known", "held", "secrets", "asked", "result"),
    [
        ({}, {}, (), ["PREFECT_API_URL", "PREFECT_API_KEY"], {"URL": CLOUD, "KEY": "typed"}),
        ({"URL": CLOUD}, {}, (), ["PREFECT_API_KEY"], {"URL": CLOUD, "KEY": "typed"}),
        ({"URL": URL}, {}, (), ["PREFECT_API_AUTH_STRING"], {"URL": URL, "AUTH": "typed"}),
        ({"URL": CLOUD, "KEY": KEY}, {}, (), [], {"URL": CLOUD, "KEY": KEY}),
        ({}, {"URL": CLOUD}, ("KEY",), [], {}),
    ],
)
def test_a_person_is_asked_only_for_what_nobody_knows(
    known: dict[str, str],
    held: dict[str, str],
    secrets: tuple[str, ...],
    asked: list[str],
    result: dict[str, str],
) -> None:
    full = {short: getattr(github_credentials, short) for short in NAMES}
    questions: list[str] = []

    def answer(text: str) -> Any:
        def question(words: str) -> str:
            questions.append(words.split()[0])
            return text

        return question

    given = github_credentials.ask(
        {full[key]: value for key, value in known.items()},
        {full[key]: value for key, value in held.items()},
        frozenset(full[each] for each in secrets),
        answer(f" {CLOUD} "),
        answer("typed"),
    )
    assert questions == asked
    assert given == {full[key]: value for key, value in result.items()}


# The command, with a stand-in for `gh` in a process of its own


class Hub:
    """The stand-in for `gh`, and the settings of the command that calls it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path, **settings: Any) -> None:
        self.folder, self.capture = folder, monkeypatch
        view = {
            "nameWithOwner": "Acme/Flows",
            "visibility": "PUBLIC",
            "viewerCanAdminister": True,
            "owner": {"login": "Acme"},
            "isInOrganization": True,
            "url": "https://github.com/Acme/Flows",
        }
        self.held = {"login": "jo", **settings, "view": view | settings.get("view", {})}
        (folder / ".github").mkdir()
        (folder / ".github/CODEOWNERS").write_text(COMMENTED)
        self.doctored: list[Mapping[str, str]] = []
        for name in [each for each in os.environ if "PREFECT_" in each or each.startswith("GH_")]:
            monkeypatch.delenv(name)
        for name, value in {**SERVER, "HUB": str(folder), "HOME": str(folder)}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("PATH", f"{GH}{os.pathsep}{os.environ['PATH']}")
        state, carry_out = setup_github.state, setup_github.carry_out
        monkeypatch.setattr(setup_github, "state", lambda: state(folder))
        monkeypatch.setattr(setup_github, "carry_out", lambda step: carry_out(step, folder))
        monkeypatch.setattr(setup_github, "doctor", self.doctor)

    def doctor(self, values: Mapping[str, str]) -> bool:
        """Replace the command `doctor`, which has tests of its own."""
        self.doctored.append(values)
        return True

    @property
    def held(self) -> dict[str, Any]:
        """The settings on the simulated GitHub."""
        found: dict[str, Any] = json.loads((self.folder / "hub.json").read_text())
        return found

    @held.setter
    def held(self, settings: Mapping[str, Any]) -> None:
        (self.folder / "hub.json").write_text(json.dumps(settings))

    def calls(self) -> list[list[str]]:
        """Return the arguments of every call so far."""
        lines = (self.folder / "calls.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def writes(self) -> list[list[str]]:
        """Return the calls that change settings."""
        reads = (["repo", "view"], ["api", "--method", "GET"])
        return [each for each in self.calls() if each[:2] != reads[0] and each[:3] != reads[1]]


def assert_nothing_secret_was_told(hub: Hub, output: str) -> None:
    told = output + json.dumps(hub.calls())
    assert [word for word in (AUTH, KEY, "canary") if word in told] == []


def test_the_second_time_it_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    hub = Hub(monkeypatch, tmp_path)
    assert setup_github.main([]) == 0
    first = capfd.readouterr()
    made = hub.held
    for name in ("staging", "production"):
        assert made["environments"][name]["deployment_branch_policy"] == LIMITED
        assert made["environments"][name]["branches"] == ["main"]
        assert made["places"][name] == {
            "variables": {"PREFECT_API_URL": URL},
            "secrets": {"PREFECT_API_AUTH_STRING": AUTH},
        }
    assert made["environments"]["preview"]["deployment_branch_policy"] is None
    assert "preview gets no server" in first.out
    assert made["places"].keys() == {"staging", "production"}
    assert [each["name"] for each in made["rulesets"]] == ["main"]
    assert '"integration_id": 15368' in json.dumps(made["rulesets"])
    # Not the organization: GitHub cannot request its review.
    owners = (tmp_path / ".github/CODEOWNERS").read_text()
    assert "@jo" in owners
    assert {line.split()[0] for line in first.out.splitlines()} == {NEW, CHANGED, NOTE}

    before = len(hub.writes())
    assert setup_github.main([]) == 0
    second = capfd.readouterr()
    assert (hub.held, len(hub.writes())) == (made, before)
    assert (tmp_path / ".github/CODEOWNERS").read_text() == owners
    lines = second.out.splitlines()
    assert [line for line in lines if not line.startswith((DONE, NOTE))] == []
    assert sum(line.startswith(DONE) for line in lines) == 10
    assert hub.doctored[-1]["PREFECT_API_AUTH_STRING"] == AUTH
    assert_nothing_secret_was_told(hub, str([first, second]))


def test_an_environment_that_is_written_in_capitals_keeps_its_reviewers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    reviewers = [{"type": "User", "reviewer": {"id": 7}}]
    rule = {"type": "required_reviewers", "prevent_self_review": True, "reviewers": reviewers}
    settings = {"deployment_branch_policy": None, "protection_rules": [rule], "branches": []}
    environments = {"Production": {"name": "Production", **settings}}
    hub = Hub(monkeypatch, tmp_path, environments=environments)
    assert setup_github.main([]) == 0
    assert hub.held["environments"].keys() == {"Production", "preview", "staging", "update"}
    production = hub.held["environments"]["Production"]
    assert (production["protection_rules"], production["branches"]) == ([rule], ["main"])
    before = len(hub.writes())
    assert setup_github.main([]) == 0
    assert len(hub.writes()) == before


def test_a_dry_run_prints_the_commands_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    hub = Hub(monkeypatch, tmp_path)
    before = hub.held
    assert setup_github.main(["--dry-run"]) == 0
    said = capfd.readouterr()
    assert (hub.writes(), hub.doctored) == ([], [])
    assert {key: value for key, value in hub.held.items() if key in before} == before
    assert (tmp_path / ".github/CODEOWNERS").read_text() == COMMENTED
    scope = "--env production --repo Acme/Flows"
    for command in (
        f"gh variable set PREFECT_API_URL --body {URL} {scope}",
        f"gh secret set PREFECT_API_AUTH_STRING {scope} < the value of PREFECT_API_AUTH_STRING",
        "gh api --method PUT repos/Acme/Flows/environments/production --input - <<< '{",
        "gh api --method POST repos/Acme/Flows/rulesets --input - <<< '{",
        "cat >.github/CODEOWNERS <<'END'\n",
    ):
        assert f"\n{command}" in said.out
    assert_nothing_secret_was_told(hub, str(said))


def test_the_commands_that_a_dry_run_prints_do_what_the_command_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    hub = Hub(monkeypatch, tmp_path)
    setup_github.main(["--dry-run", "--share-server"])
    script = re.sub(r"< the value of (\w+)", r'<<< "$\1"', capfd.readouterr().out)
    subprocess.run(["bash", "-euc", script], cwd=tmp_path, check=True)
    made = hub.held
    assert setup_github.main(["--share-server"]) == 0
    assert hub.held == made
    assert {line.split()[0] for line in capfd.readouterr().out.splitlines()} == {"already"}
    assert made["places"]["preview"] == made["places"]["production"]


def test_a_private_repository_on_a_free_plan_is_not_asked_for_what_it_cannot_have(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    hub = Hub(monkeypatch, tmp_path, view={"visibility": "PRIVATE"})
    assert setup_github.main([]) == 0
    said = capfd.readouterr()
    assert "no environments and no rules for a private repository on a free plan" in said.out
    made = hub.held
    assert (made["environments"], made["rulesets"]) == ({}, [])
    assert made["places"]["actions"]["secrets"] == {"PREFECT_API_AUTH_STRING": AUTH}
    assert made["places"]["actions"]["variables"]["PREVIEWS"] == "off"
    before = len(hub.writes())
    assert setup_github.main([]) == 0
    assert len(hub.writes()) == before
    for options in (["--share-server"], []):  # what was allowed stays allowed
        assert setup_github.main(options) == 0
        assert hub.held["places"]["actions"]["variables"]["PREVIEWS"] == "on"
    # With a plan that has environments, the same command uses them and names obsolete secrets.
    hub.held = {**hub.held, "plan": "team"}
    assert setup_github.main([]) == 0
    assert hub.held["environments"]["production"]["branches"] == ["main"]
    assert "PREVIEWS" not in hub.held["places"]["actions"]["variables"]
    assert "`gh secret delete PREFECT_API_AUTH_STRING --repo Acme/Flows`" in capfd.readouterr().out
    assert_nothing_secret_was_told(hub, str(said))


def test_what_fails_half_way_is_in_the_list_and_the_rest_is_done(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    hub = Hub(monkeypatch, tmp_path, refuses={"PUT repos/Acme/Flows/environments/staging": "No."})
    assert setup_github.main([]) == 1
    said = capfd.readouterr().out
    failed = [line for line in said.splitlines() if line.startswith(setup_github.FAILED)]
    # Without the environment, its variable and its secret cannot be set either.
    assert len(failed) == 3
    assert "gh: No. (HTTP 422)" in failed[0]
    assert hub.held["places"]["production"]["secrets"]
    assert hub.held["rulesets"]
    assert hub.doctored
    hub.held = {key: value for key, value in hub.held.items() if key != "refuses"}
    assert setup_github.main([]) == 0
    assert hub.held["places"]["staging"]["secrets"]
    assert_nothing_secret_was_told(hub, said)


def test_what_doctor_finds_and_what_is_missing_end_with_1(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    hub = Hub(monkeypatch, tmp_path)
    monkeypatch.setattr(setup_github, "doctor", lambda values: False)
    assert setup_github.main([]) == 1
    monkeypatch.setattr(setup_github, "doctor", hub.doctor)
    assert setup_github.main([]) == 0
    hub.held = {"login": "jo", "view": hub.held["view"]}
    monkeypatch.delenv("PREFECT_API_URL")
    assert setup_github.main([]) == 1
    wanted = rf"^{MISSING} +variable PREFECT_API_URL of production"
    assert re.search(wanted, capfd.readouterr().out, re.MULTILINE)


def test_doctor_looks_at_the_server_that_production_gets(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], default_project: Project
) -> None:
    monkeypatch.setattr(setup_github, "ROOT", default_project.path)
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:8/api")  # as nox sets it
    assert setup_github.doctor({"PREFECT_API_URL": "http://127.0.0.1:9/api"}) is False
    assert (
        "PREFECT_API_URL is http://127.0.0.1:9/api, and no server listens there"
        in capfd.readouterr().out
    )


@pytest.mark.parametrize(
    ("settings", "fragment"),
    [
        ({"refuses": {"repo view": "no git remotes found"}}, "gh repo create NAME --private"),
        ({"view": {"viewerCanAdminister": False}}, "You may not administer Acme/Flows"),
        ({"refuses": {"actions/secrets": "Server Error"}}, "Server Error"),
    ],
)
def test_what_stops_it_at_the_start_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    settings: dict[str, Any],
    fragment: str,
) -> None:
    hub = Hub(monkeypatch, tmp_path, **settings)
    assert setup_github.main([]) == 1
    said = capfd.readouterr()
    assert (said.out, hub.writes()) == ("", [])
    assert said.err.startswith("error: ")
    assert fragment in said.err


def test_an_enterprises_own_server_is_asked_and_not_github_com(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Hub(monkeypatch, tmp_path, view={"url": "https://github.acme.example/Acme/Flows"})
    monkeypatch.setenv("GH_HOST", "")  # so that monkeypatch restores it
    monkeypatch.delenv("GH_HOST")
    setup_github.main(["--dry-run"])
    assert os.environ["GH_HOST"] == "github.acme.example"
