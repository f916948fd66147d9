"""Installs a requirements file: `python3 -m tools.install FOLDER FILE`. Standard library only.

For a package index that asks for a password, the pipeline gives the text of a .netrc in NETRC_TEXT.
uv gets it as a file that has no name, so nothing of it is left, however this ends.
"""
# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryFile


def install(uv: str, folder: Path, requirements: Path) -> bool:
    """Bring a virtual environment up to date, and make it first if it is not there.

    Args:
        uv: the program.
        folder: the environment's.
        requirements: the packages, each with its hashes.

    Returns:
        whether it worked; uv has said why not.
    """
    environment = dict(os.environ)
    netrc = environment.pop("NETRC_TEXT", "")
    commands = [[uv, "pip", "install", "--quiet", f"--python={folder}", "--require-hashes"]]
    commands[0] += ["-r", str(requirements)]
    if not (folder / "pyvenv.cfg").exists():
        commands.insert(0, [uv, "venv", "--quiet", "--python=>=3.11,<3.15", str(folder)])
    with TemporaryFile() as file:
        handed_on = []
        if netrc:
            file.write(netrc.encode())
            file.flush()
            environment["NETRC"] = f"/dev/fd/{file.fileno()}"
            handed_on = [file.fileno()]
        return not any(
            subprocess.run(command, env=environment, pass_fds=handed_on, check=False).returncode  # noqa: S603
            for command in commands
        )


def main(argv: list[str] | None = None) -> int:
    """Install the packages; return 0, or 1 if that failed."""
    parser = argparse.ArgumentParser(prog="python -m tools.install", description=__doc__)
    parser.add_argument("folder", type=Path, help="of the virtual environment")
    parser.add_argument("requirements", type=Path, help="the file that names the packages")
    options = parser.parse_args(argv)
    uv = shutil.which("uv")
    if uv is None:
        where = "https://docs.astral.sh/uv/getting-started/installation/"
        print(f"error: uv is not on PATH: {where}", file=sys.stderr)
        return 1
    try:
        return 0 if install(uv, options.folder, options.requirements) else 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
