"""What a deploy did, and how long each step took."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from deployer.environment_state import Hold
from deployer.plan import Plan
from deployer.release import Release
from deployer.verify import SmokeRun


@dataclass
class Result:
    """What a deploy did.

    Attributes:
        plan: what it changed.
        release: its record; None if nothing differed.
        runs: the smoke runs.
        seconds: how long each step took.
        ids: the ids of what is deployed now, by `FLOW/NAME`.
        hold: the rollback that blocks further deploys; None if there is none.
        edited: what somebody else changed while the deploy was verified, in sentences.
        warnings: what needs attention although the deploy is done, in sentences.
        interrupted: whether somebody interrupted it after it was done.
    """

    plan: Plan
    release: Release | None = None
    runs: list[SmokeRun] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    hold: Hold | None = None
    edited: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    interrupted: bool = False


class Clock:
    """A stopwatch: the seconds that each step took, by its name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def __call__(self, step: str) -> None:
        """Record that a step has ended now."""
        now = time.monotonic()
        self.seconds[step] = round(now - self._last, 2)
        self._last = now
