"""The advanced flow with real data that is not part of a project, checked with pandas."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas
import pytest
from vega_datasets import data

from tests.baking import Project

CODE = """
import json, sys
from flows.advanced_flow import advanced_flow
source, partition_by, column = sys.argv[1:]
print("RESULT", json.dumps(advanced_flow(source, partition_by, column)))
"""


def test_stock_prices_by_symbol_are_what_pandas_says(
    default_project: Project, tmp_path: Path
) -> None:
    source = data.stocks.filepath
    done = subprocess.run(
        [sys.executable, "-c", CODE, source, "symbol", "price"],
        cwd=default_project.path,
        env={
            **os.environ,
            "PREFECT_HOME": str(tmp_path),
            "PYTHONDONTWRITEBYTECODE": "1",  # all tests share the project
            # On a busy machine Prefect's temporary server needs longer than its default of 20 s.
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]
    found = {row.pop("partition"): row for row in json.loads(line.removeprefix("RESULT"))}

    expected = (
        pandas.read_csv(source).groupby("symbol")["price"].agg(["size", "mean", "min", "max"])
    )
    assert list(found) == list(expected.index) == ["AAPL", "AMZN", "GOOG", "IBM", "MSFT"]
    for symbol, row in expected.iterrows():
        assert found[symbol] == {
            "rows": row["size"],
            "mean": pytest.approx(row["mean"]),
            "lowest": row["min"],
            "highest": row["max"],
        }


def test_the_sample_that_ships_is_the_data_set_as_it_was_published(
    default_project: Project,
) -> None:
    sample = default_project.path / "flows/data/seattle-weather.csv"

    assert sample.read_bytes() == Path(data.seattle_weather.filepath).read_bytes()
