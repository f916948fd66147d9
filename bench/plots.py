"""Plots of the samples, as SVG."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

from bench import deploys, images, starts
from bench.samples import Measured, Row
from bench.sections import ROUNDS

# The same samples give the same file; text stays text instead of outlines.
mpl.rcParams.update({"svg.hashsalt": "bench", "svg.fonttype": "none", "font.size": 9})
Rows = Mapping[tuple[str, str], Row]


def draw(measured: Mapping[str, Measured], folder: Path) -> None:
    """Draw every plot for which there are samples.

    Args:
        measured: the parts by name.
        folder: where the SVG files go.
    """
    rows = {(row.name, row.unit): row for each in measured.values() for row in each.rows}
    for name, plot in {"growth": growth, "starts": distribution, "bytes": parts}.items():
        figure = plot(rows)
        if figure is not None:
            figure.savefig(folder / f"{name}.svg", bbox_inches="tight", metadata={"Date": None})
            plt.close(figure)


def growth(rows: Rows) -> Any:
    """Plot seconds by the number of deployments, without schedules."""
    cases = (deploys.CREATED, deploys.UNCHANGED, deploys.ONE, deploys.ALL)
    found = {
        case: {
            size: row
            for size in ROUNDS
            if (row := rows.get((f"{deploys.label(size, 0)}: {case}", "s")))
        }
        for case in cases
    }
    if not any(found.values()):
        return None
    figure, axes = plt.subplots(1, len(cases), sharey=True, figsize=(10, 2.8))
    for axis, (case, by_size) in zip(axes, found.items(), strict=True):
        for who in deploys.COMMANDS:
            sizes = [size for size, row in by_size.items() if who in row.samples]
            seconds = [by_size[size].median(who) for size in sizes]
            axis.plot(sizes, seconds, marker="o", markersize=3, label=who.strip("`"))
        axis.set(title=case, xscale="log", yscale="log", xlabel="deployments")
        axis.set_xticks([*ROUNDS], [str(size) for size in ROUNDS], minor=False)
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("seconds")
    axes[-1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def distribution(rows: Rows) -> Any:
    """Plot every run of each image, and the median."""
    row = rows.get((starts.ROW, "s"))
    if row is None:
        return None
    figure, axis = plt.subplots(figsize=(7, 1.8))
    for place, seconds in enumerate(row.samples.values()):
        axis.plot(seconds, [place] * len(seconds), "o", alpha=0.5)
        axis.plot([median(seconds)], [place], "k|", markersize=16)
    axis.set(yticks=range(len(row.samples)), yticklabels=list(row.samples), xlim=(0, None))
    axis.set(xlabel="seconds from Submitting to Running", ylim=(-0.5, len(row.samples) - 0.5))
    axis.invert_yaxis()
    axis.grid(alpha=0.3, axis="x")
    return figure


def parts(rows: Rows) -> Any:
    """Plot the bytes of each image by kind."""
    found = {kind: row for kind in images.KINDS if (row := rows.get((f"of it {kind}", "MB")))}
    if not found:
        return None
    figure, axis = plt.subplots(figsize=(7, 1.8))
    ways = list(next(iter(found.values())).samples)
    left = [0.0] * len(ways)
    for kind, row in found.items():
        sizes = [row.median(who) or 0.0 for who in ways]
        axis.barh(ways, sizes, left=left, label=kind)
        left = [sum(pair) for pair in zip(left, sizes, strict=True)]
    axis.set_xlabel("MB")
    axis.invert_yaxis()
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure
