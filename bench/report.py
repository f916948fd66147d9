"""Render BENCHMARKS.md from the saved samples."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.samples import OURS, Measured, Row, Sample

HEAD = """\
# Benchmarks

`uvx nox -s bench` writes this page from the samples in [bench/results](bench/results). Each figure
is the median of the rounds in the last table; with one round it is a single measurement, which can
be 50 % higher on another try. Sizes of images and the first push are measured once. The column
"÷ ours" is the peer's figure divided by ours: above 1, ours takes or needs less. The sides take
turns in the same run, in an order that is reversed with each round; in a part with one round, ours
goes first. The last table has the load of the machine: compare columns of this page, not figures of
two versions of it.

`-- --only PART` measures one part again, `-- --quick` only `generate` and `deploy-10-1`.
Without Docker or PostgreSQL, the parts that need them keep their old samples.
[docs/performance.md](docs/performance.md) lists what was tried, and where ours is slower.
"""


@dataclass(frozen=True)
class Part:
    """A benchmark that is measured as a whole, with its samples in one file.

    Attributes:
        name: its name on the command line, and of its file.
        measure: takes the number of rounds and yields the samples.
        rounds: the default number of rounds.
        quick: number of rounds with `--quick`; 0 leaves the part out.
        needs: what has to be installed: "Docker", "PostgreSQL" or "" for nothing.
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
        how: how its rows are measured, as Markdown.
        parts: the benchmarks whose rows it shows.
        plot: name of the plot's file, without the suffix.
    """

    title: str
    how: str
    parts: Sequence[Part]
    plot: str = ""


def render(sections: Iterable[Section], measured: Mapping[str, Measured]) -> str:
    """Return the page.

    Args:
        sections: in the order of the page.
        measured: the parts by name; the page lists missing ones as not measured.
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
    """Return the rows of one unit as a table, with a dash for each missing figure."""
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
    """Return a number with two decimals, from 10 with one, from 100 with none; a dash for None."""
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def missing(section: Section, measured: Mapping[str, Measured]) -> Iterator[str]:
    """Yield a sentence about the parts of a section that were not measured, by what they need."""
    for needs in dict.fromkeys(part.needs for part in section.parts):
        names = [
            f"`{part.name}`"
            for part in section.parts
            if part.needs == needs and part.name not in measured
        ]
        if names:
            yield f"Not measured yet: {', '.join(names)}." + f" It needs {needs}." * bool(needs)


def origins(measured: Mapping[str, Measured]) -> Iterator[str]:
    """Yield the lines of the table with the date, machine and versions of each part."""
    yield "| part | date | rounds | load | machine | versions |"
    yield "| --- | --- | ---: | --- | --- | --- |"
    for name, each in measured.items():
        versions = ", ".join(f"{what} {version}" for what, version in each.versions.items())
        load = " to ".join(f"{value:.1f}" for value in each.load)
        yield f"| `{name}` | {each.date} | {each.rounds} | {load} | {each.machine} | {versions} |"
