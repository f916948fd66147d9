"""BENCHMARKS.md, made of the samples and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.samples import OURS, Measured, Row, Sample

HEAD = """\
# Benchmarks

`uvx nox -s bench` writes this page out of the samples in [bench/results](bench/results). Each
figure is a median; beside each peer stands its figure divided by ours, so above 1 we are ahead.
Who is measured takes turns in the same run, and the one that begins changes with each round. The
last table says how busy the machine was: compare columns, not pages.

`-- --only PART` measures one part anew and `-- --quick` what takes less than 5 minutes; without
Docker or PostgreSQL the parts that need them stay as they are.
[docs/performance.md](docs/performance.md) says what was tried, and where we are behind.
"""


@dataclass(frozen=True)
class Part:
    """What is measured in one go, and kept in one file.

    Attributes:
        name: of the file, and on the command line.
        measure: takes the number of rounds and yields the samples.
        rounds: how many there are.
        quick: how many with `--quick`; 0 leaves the part out.
        needs: what has to be on the machine: "Docker", "PostgreSQL" or nothing.
    """

    name: str
    measure: Callable[[int], Generator[Sample]]
    rounds: int
    quick: int = 0
    needs: str = ""


@dataclass(frozen=True)
class Section:
    """A heading of the report.

    Attributes:
        title: the heading.
        how: how its rows are made, as Markdown.
        parts: what is measured for it.
        plot: name of the picture, without the ending.
    """

    title: str
    how: str
    parts: Sequence[Part]
    plot: str = ""


def render(sections: Iterable[Section], measured: Mapping[str, Measured]) -> str:
    """Return the page.

    Args:
        sections: in their order.
        measured: by the name of the part; parts that are not in it are called so.
    """
    blocks = [HEAD.rstrip()]
    for section in sections:
        blocks += [f"## {section.title}", section.how.strip()]
        found = [measured[part.name] for part in section.parts if part.name in measured]
        rows = [row for each in found for row in each.rows]
        for unit in dict.fromkeys(row.unit for row in rows):
            blocks.append(table(unit, [row for row in rows if row.unit == unit]))
        if rows and section.plot:
            blocks.append(f"![{section.plot}](bench/results/{section.plot}.svg)")
        blocks += missing(section, measured)
    blocks += ["## When and where", "\n".join(origins(measured))]
    return "\n\n".join(blocks) + "\n"


def table(unit: str, rows: Sequence[Row]) -> str:
    """Return the rows of one unit as a table; what one way has no figure of is a dash."""
    peers = sorted({peer for row in rows for peer in row.peers})
    head = [unit, OURS]
    for peer in peers:
        head += [peer, "÷ ours"]
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    for row in rows:
        ours = row.median(OURS)
        cells = [row.name, figure(ours)]
        for peer in peers:
            theirs = row.median(peer)
            ratio = theirs / ours if ours and theirs is not None else None
            cells += [figure(theirs), figure(ratio)]
        lines.append(cells)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def figure(value: float | None) -> str:
    """Return a number with at most three digits that say something, a dash for none."""
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def missing(section: Section, measured: Mapping[str, Measured]) -> Iterator[str]:
    """Yield a sentence for the parts of a section that were not measured, and what they need."""
    for needs in dict.fromkeys(part.needs for part in section.parts):
        names = [
            f"`{part.name}`"
            for part in section.parts
            if part.needs == needs and part.name not in measured
        ]
        if names:
            yield f"Not measured yet: {', '.join(names)}." + f" It needs {needs}." * bool(needs)


def origins(measured: Mapping[str, Measured]) -> Iterator[str]:
    """Yield the lines of the table of the days, machines and versions."""
    yield "| part | date | rounds | load | machine | versions |"
    yield "| --- | --- | ---: | --- | --- | --- |"
    for name, each in measured.items():
        versions = ", ".join(f"{what} {version}" for what, version in each.versions.items())
        load = " to ".join(f"{value:.1f}" for value in each.load)
        yield f"| `{name}` | {each.date} | {each.rounds} | {load} | {each.machine} | {versions} |"
