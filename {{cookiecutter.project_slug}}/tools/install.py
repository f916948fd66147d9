"""Installs a requirements file: `python3 -m tools.install FOLDER FILE`. Standard library only.

With `--uv FOLDER`, the pipeline first installs the uv of requirements-uv.txt, whose hash pip
checks: every run uses the same version. Without it, the uv on PATH is used.

If a package index needs a password, the pipeline passes the text of a .netrc in NETRC_TEXT.
uv reads it from a file without a name, so nothing of it remains, however this process ends.
"""
# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile

from deployer.alive import alive
from tools import ROOT


def uv_commands(folder: Path, index: str) -> list[list[str]]:
    """Return the commands that install the pinned uv into a folder of its own.

    Args:
        folder: for uv, and for the pip that installs it.
        index: a requirements file with the options of the package index.
    """
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--require-hashes"]
    # Nobody can answer in a job: without this pip waits forever for a user name and a password.
    pip += ["--no-input"]
    return [
        [sys.executable, "-m", "venv", str(folder)],
        [*pip, "--disable-pip-version-check", "-r", index, "-r", str(ROOT / "requirements-uv.txt")],
    ]


def install(uv: str, folder: Path, requirements: Path, own: Path | None = None) -> bool:
    """Install the packages into a virtual environment, which is created if it does not exist.

    Args:
        uv: path of the program.
        folder: the environment's.
        requirements: the file of the packages, each with its hashes.
        own: a folder to install uv into first; None if it is installed.

    Returns:
        whether it worked; if not, uv or pip has printed why.
    """
    environment = dict(os.environ)
    netrc = environment.pop("NETRC_TEXT", "")
    # uv shows no progress while it compiles, which takes longest: `alive` does instead.
    commands = [[uv, "pip", "install", "--quiet", f"--python={folder}", "--require-hashes"]]
    commands[0] += ["-r", str(requirements)]
    if not (folder / "pyvenv.cfg").exists():
        print(f"Installing the packages of {requirements.name} …", file=sys.stderr)
        commands.insert(0, [uv, "venv", "--quiet", "--python=>=3.11,<3.15", str(folder)])
    with ExitStack() as stack:
        stack.enter_context(alive(requirements.name))
        if own:
            # pip needs the index options of this file too; uv installs its packages.
            index = stack.enter_context(NamedTemporaryFile("w", suffix=".txt", encoding="utf-8"))
            lines = requirements.read_text(encoding="utf-8").splitlines()
            index.write("\n".join(line for line in lines if line.startswith("--")))
            index.flush()
            commands[:0] = uv_commands(own, index.name)
        file = stack.enter_context(TemporaryFile())
        inherited = []
        if netrc:
            file.write(netrc.encode())
            file.flush()
            environment["NETRC"] = f"/dev/fd/{file.fileno()}"
            inherited = [file.fileno()]
        return not any(
            subprocess.run(command, env=environment, pass_fds=inherited, check=False).returncode  # noqa: S603
            for command in commands
        )


def main(argv: list[str] | None = None) -> int:
    """Install the packages; return 0, or 1 if that failed."""
    parser = argparse.ArgumentParser(prog="python -m tools.install", description=__doc__)
    parser.add_argument("folder", type=Path, help="the virtual environment")
    parser.add_argument("requirements", type=Path, help="the file that names the packages")
    parser.add_argument("--uv", type=Path, help="install the pinned uv in this folder and use it")
    options = parser.parse_args(argv)
    uv = str(options.uv / "bin" / "uv") if options.uv else shutil.which("uv")
    if uv is None:
        where = "https://docs.astral.sh/uv/getting-started/installation/"
        print(f"error: uv is not on PATH: {where}", file=sys.stderr)
        return 1
    try:
        if not install(uv, options.folder, options.requirements, options.uv):
            return 1
    except KeyboardInterrupt:
        return 130
    if options.uv and (path := os.environ.get("GITHUB_PATH")):
        with Path(path).open("a", encoding="utf-8") as file:  # for the job's next steps
            file.write(f"{options.uv / 'bin'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
