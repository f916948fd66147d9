from __future__ import annotations

import os
import subprocess
from pathlib import Path

import yaml

from bench.repositories import without_cache
from tests.support.act import STAND_INS


def test_only_a_first_push_builds_without_a_cache(tmp_path: Path) -> None:
    action = yaml.safe_load((STAND_INS / "build-push-action" / "action.yml").read_text())
    (script,) = [step["run"] for step in action["runs"]["steps"]]
    program = tmp_path / "docker"
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)

    def build() -> list[str]:
        path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
        env = {**os.environ, "PATH": path, "STAND_INS": str(tmp_path)}
        done = subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True)
        return done.stdout.split()

    with without_cache():
        assert "--no-cache" in build()
    assert "build" in build()
    assert "--no-cache" not in build()
