from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import bench.measure
from bench.measure import LAUNCHER, measure

ISOLATED = [sys.executable, "-I", "-S", "-c"]


def test_a_command_has_its_own_peak_memory_and_not_that_of_the_bench(tmp_path: Path) -> None:
    own = b"x" * 150_000_000
    cost = measure([*ISOLATED, "print(len(b'x' * 50_000_000))"], tmp_path, os.environ)
    assert cost.output == "50000000\n"
    assert 50 < cost.megabytes < len(own) / 1e6 / 2


def test_a_command_that_fails_has_no_cost_but_its_output(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"(?s)ended with 3:\nno such pool"):
        measure(["sh", "-c", "echo no such pool; exit 3"], tmp_path, os.environ)


def test_what_ends_the_measurement_ends_the_command(tmp_path: Path) -> None:
    file = tmp_path / "cost.json"
    command = [*LAUNCHER, str(file), "sh", "-c", "echo begun; exec sleep 60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as launcher:
        assert launcher.stdout
        assert launcher.stdout.readline() == b"begun\n"
        launcher.terminate()
        assert launcher.wait(20) == 128 + 15
    seconds, _memory = json.loads(file.read_text())
    assert seconds < 20


def test_a_part_with_images_says_which_python_they_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.measure, "docker", lambda *_: "29.1.0+dfsg1")
    found = bench.measure.versions("Docker")
    assert found["Docker"] == "29.1.0"
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", found["images on"])
