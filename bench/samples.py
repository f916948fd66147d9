"""The raw samples of a part, and the JSON file that stores them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import NamedTuple

OURS = "this template"


class Sample(NamedTuple):
    """One measurement.

    Attributes:
        row: what was measured, such as `cold build`; samples with the same row belong together.
        unit: the unit of the value, such as `s`.
        who: the side that was measured: OURS or the name of a peer.
        value: the measured value.
    """

    row: str
    unit: str
    who: str
    value: float


@dataclass(frozen=True)
class Row:
    """The samples of one row, for this template and at least one peer.

    Attributes:
        name: what was measured.
        unit: the unit of the values.
        samples: values by side, in the order in which they were measured.

    Raises:
        ValueError: there are no samples of this template, or none of a peer.
    """

    name: str
    unit: str
    samples: Mapping[str, Sequence[float]]

    def __post_init__(self) -> None:
        if OURS not in self.samples or len(self.samples) < 2:
            raise ValueError(
                f"The row `{self.name}` has samples of {' and '.join(self.samples)} alone: "
                f"a row compares `{OURS}` with a peer, so measure both."
            )

    @property
    def peers(self) -> list[str]:
        """The sides other than this template."""
        return [who for who in self.samples if who != OURS]

    def median(self, who: str) -> float | None:
        """Return the median of one side's samples, or None if it has none."""
        return median(self.samples[who]) if who in self.samples else None


@dataclass(frozen=True)
class Measured:
    """The results of one part.

    Attributes:
        date: the day, such as 2026-01-31.
        machine: architecture, cores, memory and kernel.
        versions: versions of Prefect, Python and other programs by name.
        rounds: the requested number of rounds.
        load: the load average over the last minute, at the start and at the end.
        rows: the samples.
    """

    date: str
    machine: str
    versions: Mapping[str, str]
    rounds: int
    load: Sequence[float]
    rows: Sequence[Row]

    def write(self, file: Path) -> None:
        """Write all samples to a file, without leaving out or averaging any."""
        content = asdict(self)
        rows = content.pop("rows")
        lines = ",\n  ".join(json.dumps(row) for row in rows)
        head = json.dumps(content, indent=1)[:-2]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'{head},\n "rows": [\n  {lines}\n ]\n}}\n', encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> Measured:
        """Read a file that `write` wrote.

        Raises:
            ValueError: a row has no peer.
        """
        content = json.loads(file.read_text(encoding="utf-8"))
        return cls(**content | {"rows": [Row(**row) for row in content["rows"]]})


def gather(samples: Iterable[Sample]) -> list[Row]:
    """Group samples into rows, in the order of each row's first sample.

    Raises:
        ValueError: a row has no peer.
    """
    found: dict[tuple[str, str], dict[str, list[float]]] = {}
    for row, unit, who, value in samples:
        found.setdefault((row, unit), {}).setdefault(who, []).append(round(value, 3))
    return [Row(name, unit, by_who) for (name, unit), by_who in found.items()]
