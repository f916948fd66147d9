from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

import bench.__main__ as command
from bench.report import Part
from bench.samples import OURS, Sample


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Replace the parts, and return the samples on disk whenever the report is written."""
    found: list[str] = []
    monkeypatch.setattr(command, "PARTS", [Part("small", small, 1, quick=1), Part("bad", bad, 1)])
    monkeypatch.setattr(command, "RESULTS", tmp_path)
    monkeypatch.setattr(command, "write", lambda: found.extend(p.stem for p in tmp_path.iterdir()))
    # These tests must keep their variables and signals.
    monkeypatch.setattr("os.environ", dict(os.environ))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    return found


def small(_rounds: int) -> Generator[Sample]:
    yield Sample("created", "s", OURS, 1)
    yield Sample("created", "s", "by hand", 2)


def bad(_rounds: int) -> Generator[Sample]:
    yield from small(1)
    raise RuntimeError("the server lacks a deployment")


def test_a_part_that_fails_leaves_a_report_of_the_parts_before_it(written: list[str]) -> None:
    with pytest.raises(RuntimeError, match="lacks a deployment"):
        command.main([])
    assert written == ["small"]


def test_a_named_part_that_is_left_out_is_named(
    written: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--quick", "--only", "bad"]) == 0
    assert capsys.readouterr().out == "bad: not measured, because --quick leaves it out.\n"
    assert command.main(["--quick"]) == 0
    assert "bad" not in capsys.readouterr().out
    assert written == ["small"]
