"""Commands of the canary workflow: `python3 .ci/canary.py COMMAND`. Uses only the standard library.

They remove the version caps of pyproject.toml, report which cap to raise or what broke, and keep
one GitHub issue about it up to date.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ROOT / "{{cookiecutter.project_slug}}"
sys.path.append(str(PROJECT))

# Prefect and its integrations, whose minor versions follow those of Prefect.
CAPPED = re.compile(
    r'"(?P<name>prefect(?:-[a-z]+)*)(?P<floor>>=[\d.]+),<(?P<cap>[\d.]+)(?P<rest>[^"]*)"'
)
BROKEN = re.compile(r"^(?:FAILED|ERROR) .+", re.MULTILINE)
CHANGED_PIN = re.compile(r"^[+-][a-z][\w.-]*==[^ ]+", re.MULTILINE)
LAST = 40  # lines to show of a log that names no test
TITLE = "The newest releases break the template"


def lift(text: str) -> str:
    """Return a pyproject.toml without the upper caps of Prefect and its integrations.

    Raises:
        ValueError: there is no such cap, so the canary would test nothing new.
    """
    lifted, number = CAPPED.subn(r'"\g<name>\g<floor>\g<rest>"', text)
    if not number:
        raise ValueError("pyproject.toml caps no package of Prefect: there is nothing to lift.")
    return lifted


def caps(pyproject: str, locked: dict[str, str]) -> list[str]:
    """Return a sentence for each cap that does not allow the locked version.

    Args:
        pyproject: the text with the caps.
        locked: versions by package name, locked without the caps.
    """
    return [
        f"Raise the cap of {found['name']}: {locked[found['name']]} is out, "
        f"and pyproject.toml says {found[0]}."
        for found in CAPPED.finditer(pyproject)
        if found["name"] in locked and release(locked[found["name"]]) >= release(found["cap"])
    ]


def release(version: str) -> list[int]:
    """Return the numbers of a version, to compare them. A lock contains no pre-releases."""
    return [int(part) for part in re.match(r"[\d.]*\d", version)[0].split(".")]  # type: ignore[index]


def versions(lock: str) -> dict[str, str]:
    """Return the version of each package in a poetry.lock."""
    return {each["name"]: each["version"] for each in tomllib.loads(lock)["package"]}


def broken(log: str) -> list[str]:
    """Return the lines of a log that name failed tests, or its last lines if there are none."""
    plain = re.sub(r"\x1b\[[\d;]*m", "", log)
    plain = plain.replace("```", "'''")  # the report puts the log into a fenced block
    return BROKEN.findall(plain) or plain.splitlines()[-LAST:]


def report(before: str, locked: dict[str, str] | None, changed: list[str], log: str | None) -> str:
    """Write the summary of one run, as Markdown.

    Args:
        before: pyproject.toml with its caps.
        locked: versions by package name, locked without the caps; None if locking failed.
        changed: the lines of requirements.txt that changed.
        log: the log of the step that failed; None if none did.
    """
    if locked is None:
        parts = ["Without the caps of Prefect and its integrations nothing could be locked."]
    else:
        parts = [f"- {line}" for line in caps(before, locked)]
        parts = parts or ["No cap of Prefect is in the way."]
    if log is not None:
        parts += ["", "### What broke", "", "```", *broken(log), "```"]
    if changed:
        parts += ["", "### What is new", "", "```diff", *changed, "```"]
    return "\n".join([*parts, ""])


def git(*arguments: str) -> str:
    """Run git in this repository and return its output."""
    command = ["git", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def main(argv: list[str] | None = None) -> int:
    """Run one command. Return 0, or print an error and return 1."""
    parser = argparse.ArgumentParser(prog="canary", description=__doc__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    command = commands.add_parser("lift", help="remove the caps from a pyproject.toml")
    command.add_argument("file", type=Path)
    command = commands.add_parser("report", help="print which cap to raise, and what broke")
    command.add_argument("--unlocked", action="store_true", help="locking failed")
    command.add_argument("--log", type=Path, help="log of the failed step, if one failed")
    command = commands.add_parser("issue", help="open or edit the issue; its text comes from stdin")
    command.add_argument("--gone", action="store_true", help="close the issue: all works again")
    options = parser.parse_args(argv)
    from deployer.errors import DeployerError
    from tools.github import issue

    try:
        if options.command == "lift":
            text = lift(options.file.read_text(encoding="utf-8"))
            options.file.write_text(text, encoding="utf-8")
        elif options.command == "report":
            before = git("show", f"HEAD:{PROJECT.name}/pyproject.toml")
            lock = (PROJECT / "poetry.lock").read_text(encoding="utf-8")
            locked = None if options.unlocked else versions(lock)
            difference = git("diff", "--unified=0", "--", f"{PROJECT.name}/requirements.txt")
            log = options.log and options.log.read_text(encoding="utf-8", errors="replace")
            print(report(before, locked, CHANGED_PIN.findall(difference), log), end="")
        else:
            solved = "The newest releases work again."
            print(issue(TITLE, sys.stdin.read(), options.gone, "canary", solved))
    except (DeployerError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
