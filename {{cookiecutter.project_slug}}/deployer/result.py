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
        release: its record; None where nothing differed.
        runs: the smoke runs.
        seconds: how long each step took.
        ids: of what is deployed now, by `FLOW/NAME`.
        hold: why nothing is deployed here from now on; None where nothing holds.
        edited: what somebody else changed while the deploy was verified, in sentences.
        warnings: what a person has to look at though the deploy is done, in sentences.
    """

    plan: Plan
    release: Release | None = None
    runs: list[SmokeRun] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    hold: Hold | None = None
    edited: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class Clock:
    """Seconds between calls, by the name of the step that ended."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def __call__(self, step: str) -> None:
        """Note that a step ended now."""
        now = time.monotonic()
        self.seconds[step] = round(now - self._last, 2)
        self._last = now
