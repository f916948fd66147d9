"""Partition a CSV file by a column and summarise every partition in a subflow of its own."""

import csv
import io
import os
from collections import defaultdict
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypedDict, cast

import httpx
from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.blocks.system import Secret
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from prefect.tasks import exponential_backoff

PROJECT = Path(__file__).resolve().parent.parent
# Daily weather of Seattle, 2012 to 2015: NOAA's data, in the public domain, from vega-datasets.
SAMPLE = "flows/data/seattle-weather.csv"
BATCH = 500
# The values of TASK_RUNNER besides `threads`, and the classes of their task runners.
CLUSTERS = {"dask": "DaskTaskRunner", "ray": "RayTaskRunner"}


class Summary(TypedDict):
    """Figures of one column over one partition."""

    partition: str
    rows: int
    mean: float
    lowest: float
    highest: float


@task(retries=3, retry_delay_seconds=exponential_backoff(backoff_factor=2), retry_jitter_factor=0.5)
def read(source: str, token_block: str | None = None) -> str:
    """Return the text of a CSV file.

    Args:
        source: an http(s) URL, or a path; a relative one starts at the project's folder.
        token_block: name of a Secret block whose value is sent to a URL as bearer token.

    Raises:
        httpx.HTTPError: the URL could not be read; the task is retried.
        OSError: the file could not be read; the task is retried.
    """
    if not source.startswith(("http://", "https://")):
        return (PROJECT / source).read_text(encoding="utf-8")
    headers = {}
    if token_block:
        secret = cast(Secret[str], Secret.load(token_block))
        headers["Authorization"] = f"Bearer {secret.get()}"
    return httpx.get(source, headers=headers, follow_redirects=True).raise_for_status().text


@task
def split(text: str, column: str, folder: Path) -> dict[str, Path]:
    """Write one CSV file for every value of a column into a folder; return the files by value.

    Raises:
        ValueError: the file has no such column.
    """
    reader = csv.DictReader(io.StringIO(text))
    fields = reader.fieldnames or []
    if column not in fields:
        raise ValueError(f"There is no column {column!r}: choose one of {', '.join(fields)}.")
    partitions: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in reader:
        partitions[row[column]].append(row)
    files = {}
    for number, (value, rows) in enumerate(sorted(partitions.items())):
        files[value] = folder / f"{number}.csv"
        with files[value].open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fields)
            writer.writeheader()
            writer.writerows(rows)
    return files


@task
def measure(values: list[float]) -> tuple[int, float, float, float]:
    """Return count, sum, minimum and maximum of one batch."""
    return len(values), sum(values), min(values), max(values)


@flow(flow_run_name="{column} of {partition}")
def process_partition(partition: str, path: Path, column: str) -> Summary:
    """Summarise one column of one partition, batch by batch on the flow's task runner.

    Args:
        partition: the value that the rows of this partition share.
        path: the partition's CSV file.
        column: the column of numbers to summarise.
    """
    with path.open(newline="", encoding="utf-8") as file:
        values = [float(row[column]) for row in csv.DictReader(file)]
    batches = [values[start : start + BATCH] for start in range(0, len(values), BATCH)]
    counts, sums, lows, highs = zip(*measure.map(batches).result(), strict=True)
    get_run_logger().info("Partition %s: %d rows", partition, sum(counts))
    return Summary(
        partition=partition,
        rows=sum(counts),
        mean=sum(sums) / sum(counts),
        lowest=min(lows),
        highest=max(highs),
    )


def task_runner() -> TaskRunner[Any]:
    """Return the task runner that the environment variable TASK_RUNNER names.

    It is `threads`, which is the default, `dask` or `ray`. For `dask` or `ray`, DASK_ADDRESS or
    RAY_ADDRESS is the address of the cluster, such as `tcp://scheduler:8786` or
    `ray://head:10001`. Its workers need the same packages and flows as this process, and have to
    reach the same server.

    Raises:
        ValueError: TASK_RUNNER is something else, or the address is missing.
        RuntimeError: the package for it cannot be imported.
    """
    name = os.environ.get("TASK_RUNNER") or "threads"
    if name == "threads":
        return ThreadPoolTaskRunner()
    if name not in CLUSTERS:
        choices = ", ".join(["threads", *CLUSTERS])
        raise ValueError(f"TASK_RUNNER is {name!r}: choose one of {choices}.")
    variable = f"{name.upper()}_ADDRESS"
    address = os.environ.get(variable)
    if not address:
        raise ValueError(f"TASK_RUNNER is {name!r}: set {variable} to the cluster's address.")
    try:
        package = import_module(f"prefect_{name}")
    except ImportError as error:
        raise RuntimeError(
            f"TASK_RUNNER is {name!r}, but prefect_{name} cannot be imported ({error}): "
            f"install the dependency group {name} of pyproject.toml."
        ) from error
    runner: TaskRunner[Any] = getattr(package, CLUSTERS[name])(address=address)
    return runner


def table(summaries: list[Summary]) -> str:
    """Return the summaries as a Markdown table."""
    lines = [
        "| partition | rows | mean | lowest | highest |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for row in summaries:
        name = row["partition"].replace("|", "\\|")
        figures = f"{row['mean']:.2f} | {row['lowest']:g} | {row['highest']:g}"
        lines.append(f"| {name} | {row['rows']} | {figures} |")
    return "\n".join(lines)


@flow
def advanced_flow(
    source: str = SAMPLE,
    partition_by: str = "weather",
    column: str = "temp_max",
    token_block: str | None = None,
) -> list[Summary]:
    """Partition a CSV file, summarise each partition, publish the result as an artifact.

    Args:
        source: path or URL of the CSV file.
        partition_by: the column whose values make the partitions.
        column: the column of numbers to summarise.
        token_block: name of a Secret block with a bearer token for the URL.

    Returns:
        One summary for each partition, in the order of their names.
    """
    summarise = process_partition.with_options(task_runner=task_runner())
    text = read(source, token_block)
    with TemporaryDirectory() as folder:
        files = split(text, partition_by, Path(folder))
        summaries = [summarise(value, path, column) for value, path in files.items()]
    create_markdown_artifact(
        key="advanced-flow-summary",
        markdown=f"## {column} by {partition_by}\n\n{table(summaries)}\n",
        description=f"{column} by {partition_by} of {source}",
    )
    return summaries


if __name__ == "__main__":
    advanced_flow()
