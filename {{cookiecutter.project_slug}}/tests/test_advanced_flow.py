"""The advanced flow on real data; the tests compute its figures again, in another way."""

import csv
import statistics
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from prefect.artifacts import Artifact
from prefect.blocks.system import Secret
from prefect.client.orchestration import get_client
from prefect.task_runners import ThreadPoolTaskRunner

from flows import advanced_flow as module
from flows.advanced_flow import PROJECT, SAMPLE, advanced_flow, read, task_runner

SMALL = "city,degrees\nOslo,3\nRome,20\nOslo,5\n"


@contextmanager
def http_server(failures: int = 0) -> Iterator[tuple[str, list[str | None]]]:
    """Serve SMALL after `failures` answers of 503; yield the URL and the tokens that were sent."""
    tokens: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            tokens.append(self.headers["Authorization"])
            self.send_response(503 if len(tokens) <= failures else 200)
            self.end_headers()
            self.wfile.write(SMALL.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/weather.csv", tokens
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def small(working_directory):
    """A CSV file with two cities."""
    path = working_directory / "small.csv"
    path.write_text(SMALL)
    return str(path)


@pytest.fixture
def impatient(monkeypatch):
    """Retry without waiting between the attempts."""
    monkeypatch.setattr(module, "read", read.with_options(retry_delay_seconds=0))


def test_the_figures_of_every_partition_are_right():
    with (PROJECT / SAMPLE).open(newline="") as file:
        rows = list(csv.DictReader(file))
    counts = Counter(row["weather"] for row in rows)

    summaries = advanced_flow()

    assert [summary["partition"] for summary in summaries] == sorted(counts)
    assert sum(summary["rows"] for summary in summaries) == len(rows) == 1461
    assert max(counts.values()) > module.BATCH, "no partition needs more than one batch"
    for summary in summaries:
        values = [float(row["temp_max"]) for row in rows if row["weather"] == summary["partition"]]
        assert summary["rows"] == len(values)
        assert summary["mean"] == pytest.approx(statistics.fmean(values))
        assert (summary["lowest"], summary["highest"]) == (min(values), max(values))


def test_the_result_is_published_as_a_table(small):
    advanced_flow(small, partition_by="city", column="degrees")

    artifact = Artifact.get("advanced-flow-summary")
    assert artifact is not None
    assert "| Oslo | 2 | 4.00 | 3 | 5 |" in str(artifact.data)
    assert "| Rome | 1 | 20.00 | 20 | 20 |" in str(artifact.data)


def test_the_run_of_a_partition_is_called_after_it(small):
    advanced_flow(small, partition_by="city", column="degrees")

    with get_client(sync_client=True) as client:
        names = {run.name for run in client.read_flow_runs()}
    assert names >= {"degrees of Oslo", "degrees of Rome"}


def test_a_missing_column_is_named_together_with_those_that_are_there(small):
    with pytest.raises(ValueError, match="no column 'town': choose one of city, degrees"):
        advanced_flow(small, partition_by="town", column="degrees")


@pytest.mark.usefixtures("impatient")
def test_a_source_that_fails_twice_is_read_at_the_third_attempt():
    with http_server(failures=2) as (url, requests):
        summaries = advanced_flow(url, partition_by="city", column="degrees")

    assert len(requests) == 3
    assert [summary["rows"] for summary in summaries] == [2, 1]


def test_the_delays_between_attempts_grow():
    delays = read.retry_delay_seconds

    assert read.retries == 3
    assert delays == sorted(set(delays))


def test_the_token_of_a_secret_block_is_sent():
    block = "weather-token"
    Secret(value="s3cret").save(block, overwrite=True)
    with http_server() as (url, tokens):
        advanced_flow(url, partition_by="city", column="degrees", token_block=block)

    assert tokens == ["Bearer s3cret"]


@pytest.mark.parametrize("environment", [{}, {"TASK_RUNNER": ""}, {"TASK_RUNNER": "threads"}])
def test_tasks_run_in_threads_by_default(monkeypatch, environment):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert isinstance(task_runner(), ThreadPoolTaskRunner)
    assert not {"distributed", "ray"} & sys.modules.keys()


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"TASK_RUNNER": "spark"}, "TASK_RUNNER is 'spark': choose one of threads, dask, ray."),
        ({"TASK_RUNNER": "dask"}, "set DASK_ADDRESS to the cluster's address."),
        ({"TASK_RUNNER": "ray", "DASK_ADDRESS": "x"}, "set RAY_ADDRESS to the cluster's address."),
        ({"TASK_RUNNER": "ray", "RAY_ADDRESS": "x"}, "install the dependency group ray of"),
    ],
)
def test_a_task_runner_that_cannot_be_had_is_refused_in_a_sentence(
    monkeypatch, environment, sentence
):
    monkeypatch.setitem(sys.modules, "prefect_ray", None)  # as if it were not installed
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    with pytest.raises((ValueError, RuntimeError), match=sentence):
        task_runner()
