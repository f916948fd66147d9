"""Generate rows, process them, save them: the smallest flow worth deploying."""

import csv
import random
from pathlib import Path

from prefect import flow, get_run_logger, task


@task
def generate(rows: int, seed: int = 0) -> list[int]:
    """Return `rows` random integers from 0 to 99; the same seed gives the same rows."""
    numbers = random.Random(seed)  # noqa: S311 - sample data, not a secret
    return [numbers.randrange(100) for _ in range(rows)]


@task
def process(values: list[int]) -> list[tuple[int, int]]:
    """Return every value with its square."""
    return [(value, value * value) for value in values]


@task
def save(rows: list[tuple[int, int]], output_path: str) -> str:
    """Write the rows as CSV, and return the path; a relative one is in the working directory."""
    with Path(output_path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["value", "squared"])
        writer.writerows(rows)
    return output_path


@flow
def basic_data_flow(rows: int = 500, output_path: str = "output.csv") -> str:
    """Generate rows, process and save them.

    Args:
        rows: how many rows to generate.
        output_path: the CSV file to write.

    Returns:
        The path of the file that was written.
    """
    logger = get_run_logger()
    logger.info("Generating %d rows", rows)
    path = save(process(generate(rows)), output_path)
    logger.info("Saved %d rows to %s", rows, path)
    return path


if __name__ == "__main__":
    basic_data_flow()
