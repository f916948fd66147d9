from __future__ import annotations

import time
from typing import Any, cast

import pytest

from bench.servers import settle
from tests.support.server import PrefectServer


class Scheduler:
    """A server with one deployment that returns the next number of runs at each request."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *runs: int) -> None:
        self.runs = [*runs]
        self.now = 0.0
        monkeypatch.setattr(time, "sleep", self.sleep)
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def request(self, _method: str, path: str, _body: Any) -> int:
        if path == "/deployments/count":
            return 1
        return self.runs.pop(0) if len(self.runs) > 1 else self.runs[0]

    def settle(self, schedules: int) -> float:
        settle(cast("PrefectServer", self), schedules)
        return self.now


def test_a_server_that_has_yet_to_begin_is_not_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Scheduler(monkeypatch, 0, 0, 0, 0, 4, 6).settle(schedules=2) == 16
    assert Scheduler(monkeypatch, 0).settle(schedules=0) == 6


@pytest.mark.parametrize("runs", [[5], [*range(6, 200)]])
def test_a_server_that_never_settles_ends_the_measurement(
    runs: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RuntimeError, match=r"not a steady 6"):
        Scheduler(monkeypatch, *runs).settle(schedules=2)
