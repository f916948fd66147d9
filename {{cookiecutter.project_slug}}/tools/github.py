"""What the workflows say and ask on GitHub, by its own program `gh`. Standard library only.

One comment or issue for each purpose, found again by a hidden marker and edited in place.
"""
# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from deployer.errors import DeployerError

LIMIT = 65_536  # characters that GitHub takes of a comment or an issue
CUT = "\n\n… cut here: the whole text is in the summary of the run.\n"
AUTHOR = "github-actions[bot]"  # anybody can write a marker, only the workflows are heeded


def marked(marker: str, text: str) -> str:
    """Return a body that carries the marker and is not longer than GitHub takes."""
    body = f"<!-- deployer: {marker} -->\n{text}"
    return body if len(body) <= LIMIT else body[: LIMIT - len(CUT)] + CUT


def api(method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """Send one request of GitHub's API.

    Raises:
        DeployerError: gh is not there, or GitHub refuses.
    """
    command = ["gh", "api", "--method", method, path]
    command += ["--paginate", "--slurp"] if method == "GET" else ["--input", "-"] if body else []
    try:
        answer = subprocess.run(  # noqa: S603
            command, input=json.dumps(body), capture_output=True, encoding="utf-8", check=False
        )
    except FileNotFoundError:
        raise DeployerError("gh is not on PATH: https://cli.github.com") from None
    if answer.returncode:
        raise DeployerError(f"`gh api {method} {path}` failed: {answer.stderr.strip()}")
    return json.loads(answer.stdout) if answer.stdout.strip() else None


def rows(path: str) -> Iterator[dict[str, Any]]:
    """Return every row of all pages."""
    for page in api("GET", path + ("&" if "?" in path else "?") + "per_page=100"):
        yield from page


def repository() -> str:
    """Return `owner/name` of the repository that the workflow runs in."""
    name = os.environ.get("GITHUB_REPOSITORY")
    if not name:
        raise DeployerError("GITHUB_REPOSITORY is not set: set it to OWNER/NAME.")
    return name


def find(path: str, marker: str) -> dict[str, Any] | None:
    """Return the first comment or issue of ours with this marker."""
    start = marked(marker, "")
    ours = (row for row in rows(path) if row["user"]["login"] == AUTHOR)
    return next((row for row in ours if (row["body"] or "").startswith(start)), None)


def comment(number: int, text: str) -> str:
    """Write the one comment on a pull request, or edit it."""
    path = f"repos/{repository()}/issues"
    body = {"body": marked("preview", text)}
    if found := find(f"{path}/{number}/comments", "preview"):
        api("PATCH", f"{path}/comments/{found['id']}", body)
        return f"edited comment {found['id']}"
    api("POST", f"{path}/{number}/comments", body)
    return "wrote a comment"


def issue(
    title: str,
    text: str,
    gone: bool,
    marker: str = "drift",
    solved: str = "Nothing differs any more.",
) -> str:
    """Open the one issue with this marker, or edit it, or close it once it is solved.

    Args:
        title: of a new issue, or of the one that is edited.
        text: its body, without the marker.
        gone: the issue is solved; title and text are not used.
        marker: tells the issue from others of the workflows.
        solved: the comment with which it is closed.

    Raises:
        DeployerError: gh is not there, or GitHub refuses.
    """
    path = f"repos/{repository()}/issues"
    found = find(f"{path}?state=open&creator={quote(AUTHOR)}", marker)
    if gone:
        if not found:
            return "no issue is open, and none has to be"
        api("POST", f"{path}/{found['number']}/comments", {"body": solved})
        api("PATCH", f"{path}/{found['number']}", {"state": "closed"})
        return f"closed issue {found['number']}"
    body = {"title": title, "body": marked(marker, text)}
    if not found:
        api("POST", path, body)
        return "opened an issue"
    if found["body"] != body["body"]:
        api("PATCH", f"{path}/{found['number']}", body)
    return f"issue {found['number']} says so"


def open_previews() -> list[str]:
    """Return the labels of the open pull requests' previews, such as `pr-7`."""
    return [f"pr-{row['number']}" for row in rows(f"repos/{repository()}/pulls?state=open")]


def delete_images(label: str | None) -> list[str]:
    """Delete versions of the preview package all of whose tags belong to closed pull requests.

    A registry deletes a digest with every tag that it has, hence all of them.

    Args:
        label: only those with a tag of this preview, such as `pr-7`; None looks at all.
    """
    owner, _, name = repository().partition("/")
    kind = "orgs" if api("GET", f"users/{owner}")[0]["type"] == "Organization" else "users"
    package = quote(f"{name.lower()}/preview", safe="")
    path = f"{kind}/{owner}/packages/container/{package}"
    try:
        versions = list(rows(f"{path}/versions"))
    except DeployerError as error:
        if "HTTP 404" not in str(error):
            raise
        return []  # no pull request has had a preview yet
    live, done = set(open_previews()) - {label}, list[str]()
    for version in versions:
        tags = version["metadata"]["container"]["tags"]
        owners = {"-".join(tag.split("-")[:2]) for tag in tags}
        if owners & live or (label and label not in owners):
            continue
        if len(versions) - len(done) == 1:  # GitHub keeps the last version of a package
            api("DELETE", path)
        else:
            api("DELETE", f"{path}/versions/{version['id']}")
        done.append(f"deleted {', '.join(tags) or version['name']}")
    return done


def main(argv: list[str] | None = None) -> int:
    """Run one command; texts come on stdin."""
    parser = argparse.ArgumentParser(prog="python -m tools.github", description=__doc__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    made = commands.add_parser("comment", help="write or edit the comment on a pull request")
    made.add_argument("number", type=int, help="of the pull request")
    made = commands.add_parser("drift", help="open, edit or close the issue about drift")
    made.add_argument("--gone", action="store_true", help="nothing differs")
    commands.add_parser("previews", help="print the labels of the open pull requests' previews")
    made = commands.add_parser("delete-images", help="delete images of closed pull requests")
    made.add_argument("--label", help="only this preview's, such as pr-7")
    options = parser.parse_args(argv)
    try:
        if options.command == "comment":
            print(comment(options.number, sys.stdin.read()))
        elif options.command == "drift":
            title = "Production is not what was released"
            print(issue(title, sys.stdin.read(), options.gone))
        elif options.command == "previews":
            print(*open_previews())
        else:
            print("\n".join(delete_images(options.label)) or "There is no image to delete.")
    except DeployerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
