"""The workflows' comments, issues and images on GitHub, through `gh`. Standard library only.

Each purpose has one comment or issue: it is found by a hidden marker and edited in place.
"""
# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any
from urllib.parse import quote

from deployer.errors import DeployerError, short_digests
from tools.gh import gh

PAGE = 100  # rows, the most that GitHub's API answers at once
LIMIT = 65_536  # characters that a comment or an issue may have on GitHub
CUT = "\n\n… cut here: the summary of the run has more.\n"
AUTHOR = "github-actions[bot]"  # anyone can write a marker: only the workflows' count


def marked(marker: str, text: str, end: str = "") -> str:
    """Return a body with the marker, cut to GitHub's limit, that mentions no user."""
    body = f"<!-- deployer: {marker} -->\n{without_mentions(text)}"
    room = LIMIT - len(end)
    return (body if len(body) <= room else body[: room - len(CUT)] + CUT) + end


def without_mentions(text: str) -> str:
    """Return a text with short digests, in which no `@name` notifies a user."""
    return re.sub(r"(?<![\w`])@(?=\w)", "@\u200b", short_digests(text))


def signature(commit: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return the end of a comment: its commit, its time and a link to the run."""
    home = f"{environ.get('GITHUB_SERVER_URL', 'https://github.com')}/{repository()}"
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    run = f"{home}/actions/runs/{environ.get('GITHUB_RUN_ID', '')}"
    return f"\n[`{commit[:7]}`]({home}/commit/{commit}), {now}, [the run]({run})\n"


def api(method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """Send a request to GitHub's API, and return its answer; None if it is empty.

    Raises:
        DeployerError: gh is not installed, or GitHub refuses the request.
    """
    options = ["--input", "-"] if body else []
    answer = gh("api", "--method", method, path, *options, stdin=json.dumps(body))
    return json.loads(answer) if answer.strip() else None


def rows(path: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of all pages."""
    # Not by `gh api --paginate --slurp`: a runner of one's own may have a gh without it.
    start = f"{path}{'&' if '?' in path else '?'}per_page={PAGE}&page="
    for number in count(1):
        page = api("GET", f"{start}{number}")
        yield from page
        if len(page) < PAGE:
            return


def repository() -> str:
    """Return `owner/name` of the repository that the workflow runs in."""
    name = os.environ.get("GITHUB_REPOSITORY")
    if not name:
        raise DeployerError("GITHUB_REPOSITORY is not set: set it to OWNER/NAME.")
    return name


def find(path: str, marker: str) -> dict[str, Any] | None:
    """Return the workflows' first comment or issue with this marker."""
    # Without the line's end: if a person edits the text in the browser, it becomes "\r\n".
    start = marked(marker, "").rstrip()
    ours = (row for row in rows(path) if row["user"]["login"] == AUTHOR)
    return next((row for row in ours if (row["body"] or "").startswith(start)), None)


def comment(number: int, text: str, commit: str = "") -> str:
    """Write the preview's comment on a pull request, or edit it; return what was done."""
    path = f"repos/{repository()}/issues"
    body = {"body": marked("preview", text, signature(commit) if commit else "")}
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
    """Open the issue with this marker, or edit it, or close it once it is solved.

    Args:
        title: of a new issue, or of the one that is edited.
        text: its body, without the marker.
        gone: the issue is solved; title and text are not used.
        marker: identifies the issue among those of the workflows.
        solved: the comment with which it is closed.

    Raises:
        DeployerError: gh is not installed, or GitHub refuses the request.
    """
    path = f"repos/{repository()}/issues"
    found = find(f"{path}?state=open&creator={quote(AUTHOR)}", marker)
    if gone:
        if not found:
            return "no issue is open, and none is needed"
        api("POST", f"{path}/{found['number']}/comments", {"body": solved})
        api("PATCH", f"{path}/{found['number']}", {"state": "closed"})
        return f"closed issue {found['number']}"
    body = {"title": title, "body": marked(marker, text)}
    if not found:
        api("POST", path, body)
        return "opened an issue"
    if found["body"] != body["body"]:
        api("PATCH", f"{path}/{found['number']}", body)
    return f"issue {found['number']} is up to date"


def open_previews() -> list[str]:
    """Return the labels of the open pull requests' previews, such as `pr-7`."""
    return [f"pr-{row['number']}" for row in rows(f"repos/{repository()}/pulls?state=open")]


def package(name: str) -> str:
    """Return the API's path of a container package of the owner's, such as `flows/preview`."""
    owner = repository().partition("/")[0]
    kind = "orgs" if api("GET", f"users/{owner}")["type"] == "Organization" else "users"
    return f"{kind}/{owner}/packages/container/{quote(name, safe='')}"


def versions(path: str) -> list[dict[str, Any]]:
    """Return every version of a package; none if the package does not exist yet."""
    try:
        return list(rows(f"{path}/versions"))
    except DeployerError as error:
        if "HTTP 404" not in str(error):
            raise
        return []


def delete_images(label: str = "") -> list[str]:
    """Delete the preview package's versions whose tags all belong to closed pull requests.

    The registry deletes a version with all of its tags, so none of them may be in use.

    Args:
        label: only those with a tag of this preview, such as `pr-7`; empty for all.
    """
    path = package(f"{repository().partition('/')[2].lower()}/preview")
    found = versions(path)
    live, done = set(open_previews()) - {label}, list[str]()
    for version in found:
        tags = version["metadata"]["container"]["tags"]
        owners = {"-".join(tag.split("-")[:2]) for tag in tags}
        if owners & live or (label and label not in owners):
            continue
        if len(found) - len(done) == 1:  # GitHub keeps the last version of a package
            api("DELETE", path)
        else:
            api("DELETE", f"{path}/versions/{version['id']}")
        done.append(f"deleted {', '.join(tags) or version['name']}")
    return done


def main(argv: list[str] | None = None) -> int:
    """Run one command; it reads the text of a comment or an issue from stdin."""
    parser = argparse.ArgumentParser(prog="python -m tools.github", description=__doc__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    command = commands.add_parser("comment", help="write or edit the comment on a pull request")
    command.add_argument("number", type=int, help="number of the pull request")
    command.add_argument("--commit", default="", help="the commit that the text is about")
    command = commands.add_parser("drift", help="open, edit or close the issue about drift")
    command.add_argument("--gone", action="store_true", help="nothing differs")
    command = commands.add_parser("update", help="open, edit or close the issue about the template")
    command.add_argument("--gone", action="store_true", help="nothing is left to do")
    command.add_argument("--proposed", action="store_true", help="a pull request proposes it")
    commands.add_parser("previews", help="print the labels of the open pull requests' previews")
    command = commands.add_parser("delete-images", help="delete images of closed pull requests")
    command.add_argument("--label", default="", help="only this preview's, such as pr-7")
    options = parser.parse_args(argv)
    try:
        if options.command == "comment":
            print(comment(options.number, sys.stdin.read(), options.commit))
        elif options.command == "drift":
            title = "Production differs from its last release"
            print(issue(title, sys.stdin.read(), options.gone))
        elif options.command == "update":
            title, text = "The template has an update", sys.stdin.read()
            gone = options.gone or options.proposed
            solved = "A pull request has it." if options.proposed else "This project is up to date."
            print(issue(title, text, gone, "update", solved))
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
