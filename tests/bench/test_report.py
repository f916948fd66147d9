from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path

import pytest

from bench.measure import lacks, rounds
from bench.report import Part, Section, render
from bench.samples import OURS, Measured, Sample, gather
from bench.sections import SECTIONS

RESULTS = Path(__file__).parents[2] / "bench" / "results"
PEER = "`prefect deploy --all`"
SAMPLES = [
    Sample("created", "s", OURS, 4.0),
    Sample("created", "s", PEER, 9.0),
    Sample("created", "s", PEER, 30.0),
    Sample("created", "s", OURS, 2.0),
    Sample("created", "requests", OURS, 120),
    Sample("created", "requests", PEER, 240),
    Sample("created", "s", OURS, 99.0),
    Sample("created", "s", PEER, 8.0),
]


def nothing(_rounds: int) -> Generator[Sample]:
    yield from ()


def measured(samples: list[Sample]) -> Measured:
    about = "x86_64, 2 cores, 4 GiB, Linux 6"
    return Measured("2026-01-31", about, {"Prefect": "3.9.1"}, 3, (0.5, 2.0), gather(samples))


SECTION = Section(
    "Deploy",
    "Whole commands.",
    [Part("small", nothing, 3), Part("image", nothing, 3, needs="Docker")],
    plot="growth",
)


def test_a_row_is_a_median_of_each_side_and_how_many_times_ours_the_peer_is() -> None:
    page = render([SECTION], {"small": measured(SAMPLES)})
    assert f"| s | {OURS} | {PEER} | ÷ ours |" in page
    assert "| created | 4.00 | 9.00 | 2.25 |" in page  # not the mean, which one outlier decides
    assert f"| requests | {OURS} | {PEER} | ÷ ours |\n| --- | ---: | ---: | ---: |" in page
    assert "| created | 120 | 240 | 2.00 |" in page


def test_a_page_says_how_when_and_on_what_it_was_measured() -> None:
    page = render([SECTION], {"small": measured(SAMPLES)})
    assert "## Deploy\n\nWhole commands.\n\n| s |" in page
    assert "![growth](bench/results/growth.svg)" in page
    origin = "| 2026-01-31 | 3 | 0.5 to 2.0 | x86_64, 2 cores, 4 GiB, Linux 6 | Prefect 3.9.1 |"
    assert f"| `small` {origin}" in page


def test_a_part_that_was_not_measured_says_so_and_what_it_needs() -> None:
    page = render([SECTION], {"small": measured(SAMPLES)})
    assert "Not measured yet: `image`. It needs Docker." in page
    nobody = render([SECTION], {})
    assert "Not measured yet: `small`.\n" in nobody
    assert "growth.svg" not in nobody


@pytest.mark.parametrize("who", [OURS, PEER])
def test_a_row_of_one_side_alone_is_refused(who: str) -> None:
    alone = [sample for sample in SAMPLES if sample.unit == "s" or sample.who == who]
    with pytest.raises(ValueError, match=r"row `created` has samples of .* alone: .* measure both"):
        gather(alone)


def test_a_file_keeps_every_sample_in_its_order(tmp_path: Path) -> None:
    file = tmp_path / "results" / "small.json"
    measured(SAMPLES).write(file)
    kept = Measured.read(file)
    assert kept.rows[0].samples == {OURS: [4.0, 2.0, 99.0], PEER: [9.0, 30.0, 8.0]}
    assert render([SECTION], {"small": kept}) == render([SECTION], {"small": measured(SAMPLES)})


def test_a_file_with_a_row_without_a_peer_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "small.json"
    measured(SAMPLES).write(file)
    content = json.loads(file.read_text())
    del content["rows"][0]["samples"][PEER]
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="measure both"):
        Measured.read(file)


def test_a_peer_that_has_a_figure_in_other_rows_only_gets_a_dash() -> None:
    more = [Sample("unchanged", "s", OURS, 0.0), Sample("unchanged", "s", "a script", 5.0)]
    page = render([SECTION], {"small": measured([*SAMPLES, *more])})
    assert "| unchanged | 0.00 | - | - | 5.00 | - |" in page  # no division by zero


def test_ours_goes_first_in_every_second_round() -> None:
    sides = [OURS, PEER, "by hand"]
    assert [*rounds(sides, 3)] == [sides, ["by hand", PEER, OURS], sides]


def test_a_machine_without_an_engine_lacks_docker_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert lacks("Docker")
    assert not lacks("")


def test_the_page_is_what_the_kept_samples_say() -> None:
    names = [part.name for section in SECTIONS for part in section.parts]
    files = {path.stem for path in RESULTS.glob("*.json")}
    assert files <= set(names), "there are samples of a part that no longer exists"
    kept = {name: Measured.read(RESULTS / f"{name}.json") for name in names if name in files}
    page = (RESULTS.parents[1] / "BENCHMARKS.md").read_text(encoding="utf-8")
    assert page == render(SECTIONS, kept), "run `uvx nox -s bench -- --render`"
