"""A pull request of what another job changed: that one has no token, this one runs nothing new.

Standard library only.
"""

from __future__ import annotations

import base64
import lzma
import subprocess
from collections.abc import Mapping
from tempfile import NamedTemporaryFile

from tools import ROOT, github
from tools.build import call
from tools.gh import environment

BRANCH = "template-update"
TITLE = "Update the template"
BOT = "github-actions[bot]"
# git takes gh's token for this one push and keeps it nowhere.
CREDENTIALS = ["-c", "credential.helper=", "-c", "credential.helper=!gh auth git-credential"]
AUTHOR = ["-c", f"user.name={BOT}", "-c", f"user.email={BOT}@users.noreply.github.com"]
ROOM = 100_000  # characters: Linux takes 131072 bytes in a variable of the environment


def pack() -> str:
    """Return what was updated, as text for another job; empty where there is too much of it."""
    call("git", "add", "--all")
    command = ["git", "diff", "--cached", "--binary", "HEAD"]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout  # noqa: S603
    text = base64.b64encode(lzma.compress(made)).decode()
    return text if len(text) < ROOM else ""


def propose(packed: str, report: str, environ: Mapping[str, str]) -> str:
    """Push what another job updated, and open the pull request, or edit the one that is open.

    The files here stay as they are: nothing that is new runs before somebody has looked at it.

    Args:
        packed: what `pack` returned.
        report: the pull request's text.
        environ: of the workflow's job.

    Raises:
        DeployerError: git or GitHub refuses.
    """
    with NamedTemporaryFile() as file:
        file.write(lzma.decompress(base64.b64decode(packed)))
        file.flush()
        call("git", "apply", "--cached", file.name)
    tree = call("git", "write-tree")
    commit = call("git", *AUTHOR, "commit-tree", tree, "-p", "HEAD", "-m", TITLE)
    there = f"{environ.get('GITHUB_SERVER_URL', 'https://github.com')}/{github.repository()}"
    push = ["push", "--force", there, f"{commit}:refs/heads/{BRANCH}"]
    call("git", *CREDENTIALS, *push, env=environment(environ))
    path = f"repos/{github.repository()}/pulls"
    owner = github.repository().partition("/")[0]
    for row in github.rows(f"{path}?state=open&head={owner}:{BRANCH}"):
        github.api("PATCH", f"{path}/{row['number']}", {"body": report})
        return f"edited pull request {row['number']}"
    body = {"title": TITLE, "head": BRANCH, "base": "main", "body": report}
    made = github.api("POST", path, body)
    return f"opened pull request {made['number']}"
