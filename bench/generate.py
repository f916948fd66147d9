"""How long it takes to generate a project, compared with `prefect init`."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.measure import measure as run
from bench.measure import rounds
from bench.samples import OURS, Sample
from tests.baking import copy_template

HOW = """\
`cookiecutter --no-input` with the default answers, compared with `prefect init --recipe docker`:
whole commands, both installed and compiled. Prefect's command writes a `prefect.yaml` and no other
file that runs, ours a whole project; the second table has the number of files, where more is not
worse.
"""
PEER = "prefect init"
PROGRAMS = Path(sys.executable).parent


def measure(repeat: int) -> Generator[Sample]:
    """Yield seconds and files of each side."""
    with TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        template = copy_template(folder / "template")
        env = {**os.environ, "PREFECT_HOME": str(folder / "home"), "HOME": str(folder)}
        init = ["init", "--recipe", "docker", "--field", "image_name=bench", "--field", "tag=1"]
        commands: dict[str, list[str | Path]] = {
            OURS: [PROGRAMS / "cookiecutter", "--no-input", template],
            PEER: [PROGRAMS / "prefect", *init],
        }
        for number, turns in enumerate(rounds(list(commands), repeat + 1)):
            for who in turns:
                place = folder / f"{number}-{who}"
                place.mkdir()
                seconds = run(commands[who], place, env).seconds
                if number:  # the first round compiles
                    files = sum(path.is_file() for path in place.rglob("*"))
                    yield Sample("new project", "s", who, seconds)
                    yield Sample("files in it", "files", who, files)
