"""The canary: it finds a new minor of Prefect, reports which cap to raise, and keeps one issue."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from tests.baking import ROOT, TEMPLATE_FOLDER, Project, copy_template, run
from tests.support.act import Act

PREFECT = re.compile(r'"prefect>=[\d.]+,<[\d.]+"')
# A `uvx` for the workflow. `lock` writes a version that does not exist into the lock; the tests end
# with a log and an exit code that the test chooses.
UVX = f"""\
#!/bin/sh
set -e
printf '"%s"\\n' "$*" >>"$STAND_INS/uvx.jsonl"
case "$*" in
  "nox -s lock -- --lift-caps")
    if [ -e "$STAND_INS/no-lock" ]; then echo "prefect-docker needs prefect <3.10"; exit 1; fi
    sed -i '/^name = "prefect"$/{{n;s/".*"/"3.999.0"/}}' '{TEMPLATE_FOLDER}/poetry.lock'
    sed -i 's/^prefect==[^ ]*/prefect==3.999.0/' '{TEMPLATE_FOLDER}/requirements.txt' ;;
  nox) cat "$STAND_INS/log"; ! grep -q FAILED "$STAND_INS/log" ;;
esac
"""


@pytest.fixture(scope="module")
def canary() -> ModuleType:
    """The script .ci/canary.py, imported as a module."""
    spec = importlib.util.spec_from_file_location("canary", ROOT / ".ci" / "canary.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_canary_would_have_caught_prefect_3_9(
    canary: ModuleType, default_project: Project, tmp_path: Path
) -> None:
    then, number = PREFECT.subn('"prefect>=3.8.8,<3.9"', default_project.read("pyproject.toml"))
    assert number == 1
    found = {}
    for name, text in (("capped", then), ("lifted", canary.lift(then))):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "pyproject.toml").write_text(text)
        command = ["uv", "pip", "compile", "--quiet", "--group=worker", "pyproject.toml"]
        listing = run(*command, folder=folder).stdout
        found[name] = dict(re.findall(r"^([a-z][\w.-]*)==(\S+)", listing, re.MULTILINE))

    assert found["capped"]["prefect"].startswith("3.8.")
    assert canary.caps(then, found["capped"]) == []
    newest = found["lifted"]["prefect"]
    assert canary.release(newest) >= [3, 9]
    assert (
        f"Raise the cap of prefect: {newest} is out, "
        'and pyproject.toml says "prefect>=3.8.8,<3.9".'
        in canary.report(then, found["lifted"], [], None)
    )


def test_lifting_takes_the_cap_from_every_package_of_prefect_and_from_nothing_else(
    canary: ModuleType, default_project: Project
) -> None:
    text = default_project.read("pyproject.toml")
    lifted = canary.lift(text)

    before, after = text.splitlines(), lifted.splitlines()
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert len(changed) >= 5
    for old, new in changed:
        assert re.sub(r',<[\d.]+"', '"', old) == new
    assert re.findall(r'"prefect[^"]*<', lifted) == []
    with pytest.raises(ValueError, match="nothing to lift"):
        canary.lift(lifted)


@pytest.mark.parametrize("options", [(), ("--", "--lift-caps")])
def test_nox_locks_beyond_the_caps_only_where_it_is_told_to(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    copy = copy_template(tmp_path / "template")
    before = (copy / TEMPLATE_FOLDER / "pyproject.toml").read_text()
    programs = tmp_path / "programs"
    programs.mkdir()
    # It really generates a project, but only records what Poetry would lock.
    script = '#!/bin/sh\ncase "$1" in cookiecutter*) shift; exec cookiecutter "$@" ;; esac\n'
    (programs / "uvx").write_text(f'{script}cat pyproject.toml >>"{tmp_path}/locked"\n')
    (programs / "uvx").chmod(0o755)
    path = f"{programs}:{Path(sys.executable).parent}:/usr/bin:/bin"
    command = [sys.executable, "-m", "nox", "-s", "lock", *options]

    run("env", f"PATH={path}", *command, folder=copy)

    locked = (tmp_path / "locked").read_text()
    after = (copy / TEMPLATE_FOLDER / "pyproject.toml").read_text()
    if options:
        assert '"prefect>=' in locked
        assert not PREFECT.search(locked)
        assert not PREFECT.search(after), "pyproject.toml would not match the lock"
    else:
        assert PREFECT.search(locked)
        assert after == before


def test_versions_are_compared_by_their_numbers(canary: ModuleType) -> None:
    capped = '"prefect>=3.9.1,<3.10"'
    for version, beyond in (("3.9.12", 0), ("3.10.0", 1), ("3.10.0.post1", 1), ("4.0", 1)):
        assert len(canary.caps(capped, {"prefect": version})) == beyond, version


@pytest.fixture
def repository(tmp_path: Path) -> Act:
    """The template's own repository, with tests that pass."""
    made = Act(copy_template(tmp_path / "template"), tmp_path / "acting", name="Acme/Template")
    for name, text in (("uvx", UVX), ("sudo", "#!/bin/sh\n")):
        (made.records / name).write_text(text)
        (made.records / name).chmod(0o755)
    (made.records / "log").write_text("===== 9 passed in 1.00s =====\n")
    return made


def test_a_red_canary_opens_one_issue_edits_it_and_closes_it_when_it_is_green(
    repository: Act,
) -> None:
    # An issue of another user who copied the public marker.
    other = {"number": 1, "state": "open", "body": "<!-- deployer: canary -->\nmine"}
    repository.github = {"issues": [{**other, "user": {"login": "somebody"}}]}
    cap = "Raise the cap of prefect: 3.999.0 is out, and pyproject.toml says "

    run = repository.run("schedule", "canary.yml", {})
    assert run.jobs == {"newest": "success", "tell": "success"}, run.output[-6000:]
    assert cap in run.summaries["newest"]
    assert "+prefect==3.999.0" in run.summaries["newest"]
    assert "What broke" not in run.summaries["newest"]
    assert len(repository.github["issues"]) == 1

    for test in ("tests/a.py::test_one", "tests/b.py::test_two"):
        (repository.records / "log").write_text(f"a traceback\nFAILED {test} - KeyError\n```\n")
        run = repository.run("schedule", "canary.yml", {})
        assert run.jobs == {"newest": "failure", "tell": "success"}, run.output[-6000:]
        _, issue = repository.github["issues"]
        assert issue["state"] == "open"
        assert f"FAILED {test} - KeyError" in issue["body"]
        assert "a traceback" not in issue["body"]
        assert cap in issue["body"]
        assert "https://github.com/Acme/Template/actions/runs/" in issue["body"]
        assert f"FAILED {test}" in run.summaries["newest"]

    (repository.records / "log").write_text("===== 9 passed in 1.00s =====\n")
    run = repository.run("schedule", "canary.yml", {})
    assert run.jobs == {"newest": "success", "tell": "success"}, run.output[-6000:]
    untouched, issue = repository.github["issues"]
    assert (issue["state"], untouched["body"]) == ("closed", other["body"])
    assert [row["body"] for row in repository.github["comments"]] == [
        "The newest releases work again."
    ]


def test_what_cannot_be_locked_is_in_the_issue(repository: Act) -> None:
    (repository.records / "no-lock").touch()

    run = repository.run("schedule", "canary.yml", {})

    assert run.jobs == {"newest": "failure", "tell": "success"}, run.output[-6000:]
    (issue,) = repository.github["issues"]
    assert "nothing could be locked" in issue["body"]
    assert "prefect-docker needs prefect <3.10" in issue["body"]
    assert "No cap" not in issue["body"]
    assert "nox" not in repository.records_of("uvx")


def test_only_the_job_that_runs_nothing_new_may_write() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/canary.yml").read_text())["jobs"]
    assert jobs["newest"]["permissions"] == {"contents": "read"}
    assert jobs["tell"]["permissions"] == {"contents": "read", "issues": "write"}
    assert "uv" not in str(jobs["tell"]["steps"])
