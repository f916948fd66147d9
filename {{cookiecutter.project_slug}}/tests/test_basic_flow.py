"""The basic flow, in real runs."""

import csv

from flows.basic_flow import basic_data_flow, generate


def test_the_flow_saves_every_row_with_its_square(working_directory):
    path = basic_data_flow(rows=50, output_path="numbers.csv")

    assert path == "numbers.csv"
    with (working_directory / path).open(newline="") as file:
        rows = [(int(row["value"]), int(row["squared"])) for row in csv.DictReader(file)]
    assert len(rows) == 50
    assert all(square == value * value for value, square in rows)
    assert len({value for value, _ in rows}) > 1


def test_the_same_seed_gives_the_same_rows():
    assert generate.fn(20, seed=1) == generate.fn(20, seed=1) != generate.fn(20, seed=2)


def test_no_rows_leave_a_file_with_a_header(working_directory):
    basic_data_flow(rows=0)

    assert (working_directory / "output.csv").read_text() == "value,squared\n"
