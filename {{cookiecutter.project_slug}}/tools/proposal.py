"""Opens a pull request with an update that another job made. Standard library only.

That job has no token, and this one runs no code of the update.
"""

from __future__ import annotations

import base64
import lzma
import subprocess
from collections.abc import Collection, Mapping
from tempfile import NamedTemporaryFile

from tools import ROOT, github
from tools.build import call
from tools.gh import environment

BRANCH = "template-update"
TITLE = "Update the template"
# GitHub starts no workflow for a commit with this trailer. The token is a person's, so without it
# the checks would run at once, with their secrets. "[skip ci]" would stay in a squash merge's
# message, and main would not deploy; a trailer counts only at the end, after two empty lines.
# https://docs.github.com/en/actions/managing-workflow-runs/skipping-workflow-runs
MESSAGE = f"{TITLE}\n\n\nskip-checks: true\n"
LOOK = (
    "\n\nNo check has started: first review this, above all the code that runs. Then push a commit "
    "of your own to this branch to start them, such as `git commit --allow-empty`."
)
BOT = "github-actions[bot]"
# git gets the token from gh for one command, and stores it nowhere.
CREDENTIALS = ["-c", "credential.helper=", "-c", "credential.helper=!gh auth git-credential"]
EMAIL = f"{BOT}@users.noreply.github.com"
AUTHOR = ["-c", f"user.name={BOT}", "-c", f"user.email={EMAIL}"]
ROOM = 100_000  # characters: Linux limits an environment variable to 131072 bytes


def pack() -> str:
    """Return the update as text for another job; empty if it is longer than ROOM."""
    call("git", "add", "--all")
    command = ["git", "diff", "--cached", "--binary", "HEAD"]
    patch = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout  # noqa: S603
    text = base64.b64encode(lzma.compress(patch)).decode()
    return text if len(text) < ROOM else ""


def is_same(one: str, other: str, path: str = "") -> bool:
    """Tell whether two commits have the same file at a path; by default, the same files."""
    return len(set(call("git", "rev-parse", f"{one}:{path}", f"{other}:{path}").split())) == 1


def push(commit: str, merged: Collection[str], environ: Mapping[str, str]) -> bool:
    """Push a commit to the branch, unless it has the same files or another author's commit.

    Args:
        commit: the new one.
        merged: the last commits of merged pull requests, whose branch may be overwritten.
        environ: the environment variables of the workflow's job.

    Returns:
        whether the branch has this version of the template now.

    Raises:
        DeployerError: git refuses.
    """
    remote = f"{environ.get('GITHUB_SERVER_URL', 'https://github.com')}/{github.repository()}"
    name, env = f"refs/heads/{BRANCH}", environment(environ)
    tip = call("git", *CREDENTIALS, "ls-remote", remote, name, env=env).partition("\t")[0]
    if tip and tip not in merged:
        call("git", *CREDENTIALS, "fetch", "--depth=1", remote, tip, env=env)
        if is_same(commit, tip):
            return True  # a push would dismiss approvals
        if call("git", "show", "--no-patch", "--format=%ce", tip) != EMAIL:
            return is_same(commit, tip, ".cruft.json")
    lease = f"--force-with-lease={name}:{tip}"
    call("git", *CREDENTIALS, "push", lease, remote, f"{commit}:{name}", env=env)
    return True


def propose(packed: str, report: str, environ: Mapping[str, str]) -> tuple[bool, str]:
    """Push the update of another job, and open the pull request, or edit the one that is open.

    The working tree stays as it is, and the commit starts no check: no new code runs with a secret
    before a person has reviewed it.

    Args:
        packed: what `pack` returned.
        report: the first part of the pull request's text.
        environ: the environment variables of the workflow's job.

    Returns:
        whether a pull request has the update now, and a sentence that says what was done.

    Raises:
        DeployerError: git or GitHub refuses.
    """
    with NamedTemporaryFile() as file:
        file.write(lzma.decompress(base64.b64decode(packed)))
        file.flush()
        call("git", "apply", "--cached", file.name)
    tree = call("git", "write-tree")
    commit = call("git", *AUTHOR, "commit-tree", tree, "-p", "HEAD", "-m", MESSAGE)
    path, text = f"repos/{github.repository()}/pulls", report + LOOK
    owner = github.repository().partition("/")[0]
    pulls = [*github.rows(f"{path}?state=all&head={owner}:{BRANCH}")]
    if not push(commit, {row["head"]["sha"] for row in pulls if row["merged_at"]}, environ):
        return False, (
            f"The branch {BRANCH} has a commit of another author, so it stays as it is: "
            "merge or delete the branch, then the next run proposes the update."
        )
    for row in pulls:
        if row["state"] == "open":
            github.api("PATCH", f"{path}/{row['number']}", {"body": text})
            return True, f"Edited pull request {row['number']}."
    body = {"title": TITLE, "head": BRANCH, "base": "main", "body": text}
    opened = github.api("POST", path, body)
    return True, f"Opened pull request {opened['number']}."
