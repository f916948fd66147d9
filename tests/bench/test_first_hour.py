from __future__ import annotations

from bench.first_hour import whole


def test_the_seconds_of_no_step_are_those_of_installing_and_ending() -> None:
    steps = whole({"server": 4.0, "smoke runs": 8.0}, 14.5)
    assert steps == {"install and end": 2.5, "server": 4.0, "smoke runs": 8.0, "all": 14.5}
