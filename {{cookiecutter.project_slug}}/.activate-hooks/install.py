"""Make a virtual environment set PREFECT_HOME to ./.prefect while it is active.

    python .activate-hooks/install.py [ENVIRONMENT]

Without an argument it takes the environment of the Python that runs it, the active one, or .venv.
It knows bash, zsh, fish and PowerShell. Run it again when the environment was made anew.
Deactivating brings the PREFECT_HOME from before back.
"""
# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
HOME = str(PROJECT / ".prefect")
MARK = "# PREFECT_HOME of this project"

# For every script: where its deactivate begins, what that has to do, what activating has to do.
SH = (
    r"deactivate *\(\) *\{",
    'if [ -n "${_OLD_PREFECT_HOME+_}" ]; then '
    'if [ -n "$_OLD_PREFECT_HOME" ]; then export PREFECT_HOME="$_OLD_PREFECT_HOME"; '
    "else unset PREFECT_HOME; fi; unset _OLD_PREFECT_HOME; fi",
    f'_OLD_PREFECT_HOME="${{PREFECT_HOME-}}"; export PREFECT_HOME={shlex.quote(HOME)}',
)
FISH = (
    r"function deactivate\b",
    "if set -q _OLD_PREFECT_HOME; "
    'if test -n "$_OLD_PREFECT_HOME"; set -gx PREFECT_HOME "$_OLD_PREFECT_HOME"; '
    "else; set -e PREFECT_HOME; end; set -e _OLD_PREFECT_HOME; end",
    'set -g _OLD_PREFECT_HOME "$PREFECT_HOME"; set -gx PREFECT_HOME '
    + "'{}'".format(HOME.replace("\\", "\\\\").replace("'", "\\'")),
)
POWERSHELL = (
    r"function global:deactivate\b",
    "if (Test-Path variable:global:_OLD_PREFECT_HOME) { "
    "$env:PREFECT_HOME = $global:_OLD_PREFECT_HOME; "
    "Remove-Variable _OLD_PREFECT_HOME -Scope global }",
    "$global:_OLD_PREFECT_HOME = $env:PREFECT_HOME; $env:PREFECT_HOME = '{}'".format(
        HOME.replace("'", "''")
    ),
)
SCRIPTS = {"activate": SH, "activate.fish": FISH, "activate.ps1": POWERSHELL}


def hooked(script: str, begin: str, restore: str, export: str) -> str:
    """Return an activate script with this project's hook, and with none but this one."""
    lines = [line for line in script.splitlines() if not line.endswith(MARK)]
    start = next(number for number, line in enumerate(lines, 1) if re.match(begin, line))
    lines.insert(start, f"    {restore} {MARK}")
    return "\n".join([*lines, f"{export} {MARK}", ""])


def environment(arguments: list[str]) -> Path:
    """Return the folder of the virtual environment."""
    if arguments:
        return Path(arguments[0])
    if sys.prefix != sys.base_prefix:
        return Path(sys.prefix)
    return Path(os.environ.get("VIRTUAL_ENV") or PROJECT / ".venv")


def main(arguments: list[str]) -> int:
    """Hook every activate script of an environment; return 1 where there is none."""
    if arguments and arguments[0] in ("-h", "--help"):
        print(__doc__)
        return 0
    folder = environment(arguments)
    done = []
    for programs in (folder / "bin", folder / "Scripts"):
        for path in sorted(programs.glob("[aA]ctivate*")):
            shell = SCRIPTS.get(path.name.lower())
            if shell:
                text = path.read_text(encoding="utf-8")
                path.write_text(hooked(text, *shell), encoding="utf-8")
                done.append(path.name)
    if not done:
        print(
            f"{folder} is no virtual environment: make one with `uv venv`, or name yours, as in "
            "`python .activate-hooks/install.py .venv`.",
            file=sys.stderr,
        )
        return 1
    print(f"{', '.join(done)} in {folder}: PREFECT_HOME is {HOME} while it is active.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
