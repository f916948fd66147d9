"""Make a virtual environment set PREFECT_HOME to ./.prefect while it is active.

    python .activate-hooks/.activate-hooks.py [--remove] [ENVIRONMENT]

Without ENVIRONMENT it uses that of the Python that runs it, the active one, Poetry's, or .venv.
It supports bash, zsh, fish, csh, PowerShell and cmd. Run it again if the environment is recreated.
Deactivating restores the previous PREFECT_HOME; --remove removes the hook.
"""
# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).resolve().parent.parent
HOME = str(PROJECT / ".prefect")
MARK = "PREFECT_HOME of this project"


class Hook(NamedTuple):
    """The lines that are added to one script.

    Attributes:
        last: the last line: it sets PREFECT_HOME, or in cmd's `deactivate.bat` restores it.
        begin: the start of `deactivate`, as a regular expression; None if that is a file.
        restore: the code after that start: it restores the old PREFECT_HOME.
    """

    last: str
    begin: str | None = None
    restore: str = ""


HOOKS = {
    "activate": Hook(
        f'_OLD_PREFECT_HOME="${{PREFECT_HOME-}}"; export PREFECT_HOME={shlex.quote(HOME)} # {MARK}',
        r"^deactivate *\(\) *\{",
        ' if [ -n "${_OLD_PREFECT_HOME+_}" ]; then '
        'if [ -n "$_OLD_PREFECT_HOME" ]; then export PREFECT_HOME="$_OLD_PREFECT_HOME"; '
        "else unset PREFECT_HOME; fi; unset _OLD_PREFECT_HOME; fi",
    ),
    "activate.fish": Hook(
        'set -g _OLD_PREFECT_HOME "$PREFECT_HOME"; set -gx PREFECT_HOME '
        + "'{}' # {}".format(HOME.replace("\\", "\\\\").replace("'", "\\'"), MARK),
        r"^function deactivate\b.*",
        "; if set -q _OLD_PREFECT_HOME; "
        'if test -n "$_OLD_PREFECT_HOME"; set -gx PREFECT_HOME "$_OLD_PREFECT_HOME"; '
        "else; set -e PREFECT_HOME; end; set -e _OLD_PREFECT_HOME; end",
    ),
    "activate.csh": Hook(
        'set _OLD_PREFECT_HOME=""; '
        'test $?PREFECT_HOME != 0 && set _OLD_PREFECT_HOME="$PREFECT_HOME"; '
        f"setenv PREFECT_HOME {shlex.quote(HOME)} # {MARK}".replace("!", "\\!"),
        "^alias deactivate '",
        'test $?_OLD_PREFECT_HOME != 0 && setenv PREFECT_HOME "$_OLD_PREFECT_HOME" '
        "&& unset _OLD_PREFECT_HOME; "
        'test $?PREFECT_HOME != 0 && test "$PREFECT_HOME" = "" && unsetenv PREFECT_HOME; ',
    ),
    "activate.ps1": Hook(
        "$global:_OLD_PREFECT_HOME = $env:PREFECT_HOME; $env:PREFECT_HOME = '{}' # {}".format(
            HOME.replace("'", "''"), MARK
        ),
        r"^function global:deactivate\b.*\{",
        " if (Test-Path variable:global:_OLD_PREFECT_HOME) { "
        "$env:PREFECT_HOME = $global:_OLD_PREFECT_HOME; "
        "Remove-Variable _OLD_PREFECT_HOME -Scope global }",
    ),
    "activate.bat": Hook(
        '@(if not "%PREFECT_HOME%"=="{0}" set "_OLD_PREFECT_HOME=%PREFECT_HOME%") & '
        'set "PREFECT_HOME={0}" & rem {1}'.format(HOME.replace("%", "%%"), MARK)
    ),
    "deactivate.bat": Hook(
        f'@set "PREFECT_HOME=%_OLD_PREFECT_HOME%" & set "_OLD_PREFECT_HOME=" & rem {MARK}'
    ),
}


def hooked(script: str, hook: Hook) -> str:
    """Return a script with this project's hook, and without an older one."""
    text = unhooked(script, hook)
    if hook.begin:
        text = re.sub(hook.begin, lambda found: found[0] + hook.restore, text, flags=re.MULTILINE)
    return f"{text}\n{hook.last}\n"


def unhooked(script: str, hook: Hook) -> str:
    """Return a script without the hook."""
    text = re.sub(rf"\n.*{MARK}\n", "", script)
    return text.replace(hook.restore, "") if hook.restore else text


def environment() -> Path:
    """Return the folder of the virtual environment that the user probably means."""
    if sys.prefix != sys.base_prefix:
        return Path(sys.prefix)
    if active := os.environ.get("VIRTUAL_ENV"):
        return Path(active)
    if poetry := shutil.which("poetry"):
        command = [poetry, "env", "info", "--path"]
        found = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)  # noqa: S603
        if found.stdout.strip():
            return Path(found.stdout.strip())
    return PROJECT / ".venv"


def main(argv: list[str] | None = None) -> int:
    """Hook every activate script of an environment; return 1 if there is none."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("environment", nargs="?", type=Path, help="folder of the environment")
    parser.add_argument("--remove", action="store_true", help="remove the hook")
    options = parser.parse_args(argv)
    folder = options.environment or environment()
    change = unhooked if options.remove else hooked
    done = []
    for path in sorted([*folder.glob("bin/*"), *folder.glob("Scripts/*")]):
        if hook := HOOKS.get(path.name.lower()):
            text = path.read_text(encoding="utf-8")
            path.write_text(change(text, hook), encoding="utf-8")
            done.append(path.name)
    if not done:
        print(
            f"{folder} is no virtual environment: create one with `uv venv`, or name yours, as in "
            "`python .activate-hooks/.activate-hooks.py .venv`.",
            file=sys.stderr,
        )
        return 1
    says = "is no longer changed" if options.remove else f"is {HOME} while it is active"
    print(f"{', '.join(done)} in {folder}: PREFECT_HOME {says}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
