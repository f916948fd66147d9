"""Raw samples of one part, and the JSON file that they are kept in."""

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
        row: what was done, such as `cold build`; rows of one name belong together.
        unit: of the value, such as `s`.
        who: whose way it was: OURS or the name of a peer.
        value: what was measured.
    """

    row: str
    unit: str
    who: str
    value: float


@dataclass(frozen=True)
class Row:
    """What was measured of one thing, for this template and at least one peer.

    Attributes:
        name: what was done.
        unit: of the values.
        samples: the values by whose way it was, in the order in which they were measured.

    Raises:
        ValueError: there is nothing of this template, or of no peer.
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
        """The others."""
        return [who for who in self.samples if who != OURS]

    def median(self, who: str) -> float | None:
        """Return the median of the samples of one way, None where there is none."""
        return median(self.samples[who]) if who in self.samples else None


@dataclass(frozen=True)
class Measured:
    """One part as it was measured.

    Attributes:
        date: the day, as 2026-01-31.
        machine: cores, memory and kernel.
        versions: of what took part, by name.
        rounds: how many were asked for.
        load: over the last minute, at the start and at the end.
        rows: what was measured.
    """

    date: str
    machine: str
    versions: Mapping[str, str]
    rounds: int
    load: Sequence[float]
    rows: Sequence[Row]

    def write(self, file: Path) -> None:
        """Write the file: all samples, none of which is left out or averaged."""
        content = asdict(self)
        rows = content.pop("rows")
        lines = ",\n  ".join(json.dumps(row) for row in rows)
        head = json.dumps(content, indent=1)[:-2]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'{head},\n "rows": [\n  {lines}\n ]\n}}\n', encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> Measured:
        """Read what `write` wrote.

        Raises:
            ValueError: a row has no peer.
        """
        content = json.loads(file.read_text(encoding="utf-8"))
        return cls(**content | {"rows": [Row(**row) for row in content["rows"]]})


def gather(samples: Iterable[Sample]) -> list[Row]:
    """Return the rows that samples make, in the order in which they began.

    Raises:
        ValueError: a row has no peer.
    """
    found: dict[tuple[str, str], dict[str, list[float]]] = {}
    for row, unit, who, value in samples:
        found.setdefault((row, unit), {}).setdefault(who, []).append(round(value, 3))
    return [Row(name, unit, by_who) for (name, unit), by_who in found.items()]
