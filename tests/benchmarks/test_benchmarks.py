"""The harness computes rightly, and the page says what the raw samples say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks import page
from benchmarks.cases import Case, cases
from benchmarks.files import make_files
from benchmarks.results import Results, read
from benchmarks.running import interleaved, places, sample, scrubbed
from benchmarks.scale import QUICK, Scale
from benchmarks.summary import failures, summarise
from benchmarks.targets import TARGETS, Target
from examples import REPOSITORY

SCALE = replace(QUICK, file_rows=200)
RATIO = Target("faster", ("g", "ours", "rate"), "at least", 2.0, (("g", "peer", "rate"),), "x")


def taken(who: str, seconds: float, rows: int = 100, **more: float) -> dict[str, Any]:
    """Return a raw sample."""
    figures = {
        "seconds": seconds,
        "cpu_seconds": seconds / 2,
        "rows": rows,
        "peak_mb": 150.0,
        "base_mb": 100.0,
    }
    return {"group": "g", "who": who, "round": 0, **figures, **more}


def run_of(*samples: dict[str, Any], **more: Any) -> Results:
    """Return a run with a quiet machine."""
    at = {"cores": 2, "model": "a processor", "memory_gb": 8.0, "system": "Linux", "load_before": 0.1}
    full = {**vars(Scale())}
    made = Results(
        "2026-01-01T00:00+00:00", at, {"Python": "3.11"}, full, len(samples), samples=list(samples)
    )
    return replace(made, **more)


# Figures


def test_a_figure_is_the_median_of_its_samples() -> None:
    found = summarise([taken("ours", seconds) for seconds in (1.0, 50.0, 2.0)])

    ours = found["g", "ours"]
    assert (ours.seconds, ours.rate, ours.cpu_per_million, ours.above_mb) == (2.0, 50.0, 10_000.0, 50.0)
    assert (ours.spread, ours.samples) == (24.5, 3)


@pytest.mark.parametrize(("seconds", "met"), [(1.0, True), (2.0, True), (2.1, False)])
def test_a_ratio_is_one_of_medians(seconds: float, met: bool) -> None:
    found = summarise([taken("ours", seconds), *(taken("peer", s) for s in (3.0, 4.0, 90.0))])

    figure = RATIO.measured(found)

    assert figure == pytest.approx(4.0 / seconds)
    assert RATIO.is_met(figure) is met


def test_a_ratio_may_stand_beside_a_sum() -> None:
    overlap = Target(
        "overlaps", ("g", "ours", "seconds"), "at most", 1.0,
        (("g", "read", "seconds"), ("g", "write", "seconds")),
    )  # fmt: skip
    found = summarise([taken("ours", 6.0), taken("read", 3.0), taken("write", 5.0)])

    assert overlap.measured(found) == 0.75
    assert overlap.is_met(0.75)
    assert not overlap.is_met(1.01)


def test_a_failed_sample_is_no_figure() -> None:
    samples = [taken("ours", 1.0), {"group": "g", "who": "peer", "round": 0, "error": "ValueError: no"}]

    assert RATIO.measured(summarise(samples)) is None
    assert failures(samples) == {("g", "peer"): "ValueError: no"}


def test_other_figures_of_a_sample_are_medians_too() -> None:
    found = summarise([taken("ours", 1.0, calls_storage=n) for n in (3, 9, 4)])

    assert found["g", "ours"].value("calls_storage") == 4
    with pytest.raises(KeyError):
        found["g", "ours"].value("nothing")


# Targets

NAMED = (
    "PostgreSQL, 16 mixed columns: rate beside the stock operator",
    "PostgreSQL, 16 mixed columns: rate beside dlt's default",
    "PostgreSQL, 16 mixed columns: rate beside dlt's fastest",
    "PostgreSQL, 200 columns: part of the `COPY binary` limit",
    "PostgreSQL, 3 integers: part of the `COPY binary` limit",
    "MySQL, 16 mixed columns: rate beside the stock operator",
    "MySQL, 16 mixed columns: part of the client's `--quick` limit",
    "MySQL, 16 mixed columns: peak memory with 10 times the rows",
    "PostgreSQL: seconds beside those of reading and of writing, one after the other",
    "CSV to clean Parquet: rate beside pandas",
    "JSON Lines to clean Parquet: part of what pyarrow.csv reads",
    "Clean Parquet without text: seconds with 10 times the rows",
    "Objects from S3, as far as in life: rate beside the stock operator",
    "Objects from Azure Blob, as far as in life: rate beside the stock operator",
    "Objects from S3, on this machine: rate beside the stock operator",
    "Objects from Azure Blob, on this machine: rate beside the stock operator",
    "1,000 sources: CPU beside the same operators by hand",
    "1,000 sources: CPU beside dag-factory",
    "Task start among 2,000 sources, over the imports",
    "Heavy modules that the loader does not name for the pre-import",
    "SDKs imported at parse beyond the operators in use",
    "3,000 sources parsed and serialised by the DAG processor, imports included",
    "Empty run: load jobs",
)
BOUNDS = {
    ("PostgreSQL, 16 mixed columns: rate beside the stock operator", 15),
    ("PostgreSQL, 16 mixed columns: rate beside dlt's default", 25),
    ("PostgreSQL, 16 mixed columns: rate beside dlt's fastest", 1.5),
    ("PostgreSQL, 16 mixed columns: part of the `COPY binary` limit", 0.7),
    ("PostgreSQL, 16 mixed columns: part of the `COPY binary` limit", 1.0),
    ("MySQL, 16 mixed columns: part of the client's `--quick` limit", 0.55),
    ("MySQL, 16 mixed columns: part of the client's `--quick` limit", 0.85),
    ("CSV to clean Parquet: rate beside pandas", 10),
    ("1,000 sources: CPU beside the same operators by hand", 1.7),
    ("1,000 sources: CPU beside the same operators by hand", 1.3),
    ("1,000 sources: CPU beside dag-factory", 0.4),
}


def test_every_target_has_its_row() -> None:
    texts = {target.text for target in TARGETS}

    assert set(NAMED) <= texts
    assert {(target.text, target.bound) for target in TARGETS} >= BOUNDS
    shown = (REPOSITORY / page.PAGE).read_text()
    assert [text for text in texts if f"| {text} " not in shown] == []


def test_every_target_is_decided_by_cases_that_are_measured() -> None:
    measured = {(case.group, case.who) for case in cases(Scale(), Path("work"))}
    used = {which[:2] for target in TARGETS for which in (target.of, *target.to)}

    assert used <= measured


def test_every_group_has_a_title() -> None:
    assert {case.group for case in cases(Scale(), Path("work"))} <= set(page.titles())


# Running


def test_rounds_are_interleaved() -> None:
    first, second, once = Case("g", "a", ""), Case("g", "b", "", rounds=2), Case("g", "c", "", rounds=1)

    order = [(number, case.who) for number, case in interleaved([first, second, once])]

    assert order == [(0, "a"), (0, "b"), (0, "c"), (1, "b"), (1, "a"), (2, "a")]


def test_a_sample_is_taken_in_a_process_of_its_own(tmp_path: Path) -> None:
    make_files(tmp_path / "files", SCALE.file_rows)
    (case,) = (c for c in cases(SCALE, tmp_path, ()) if (c.group, c.who) == ("files/csv", "limit"))

    measured = sample(case, 0, places(os.environ))

    assert measured["rows"] == SCALE.file_rows
    assert measured["seconds"] > 0
    assert measured["peak_mb"] >= measured["base_mb"] > 0


@pytest.mark.parametrize(
    ("options", "seconds", "error"),
    [
        ({"path": "/no/such/file.csv"}, 60, "FileNotFoundError"),
        ({}, 60, "KeyError: 'path'"),
        ({}, 0, "not finished within 0 s"),
    ],
)
def test_a_failure_is_a_sample_that_says_why(options: dict[str, Any], seconds: int, error: str) -> None:
    case = Case("files/csv", "limit", "limits:arrow_csv", options, seconds=seconds)

    assert sample(case, 0, places(os.environ))["error"].startswith(error)


def test_who_loses_rows_has_failed(tmp_path: Path) -> None:
    make_files(tmp_path / "files", SCALE.file_rows)
    (file,) = (tmp_path / "files").glob("*_200.csv")
    case = Case("files/csv", "limit", "limits:arrow_csv", {"path": str(file), "rows": 201})

    assert sample(case, 0, places(os.environ))["error"] == "200 rows came out of 201"


def test_an_error_names_no_folder_address_or_password() -> None:
    said = "OSError: /home/me/data/x.parquet of postgresql://etl:secret@127.0.0.1:5432/shop"

    assert scrubbed(said) == "OSError: .../x.parquet of postgresql://***@127.0.0.1/shop"


# Results and page


def test_a_saved_run_is_read_again(tmp_path: Path) -> None:
    run = run_of(taken("ours", 1.0), taken("peer", 2.0))
    run.save(tmp_path / "results.json")

    assert read(tmp_path / "results.json") == run
    run_of().save(tmp_path / "empty.json")
    assert read(tmp_path / "empty.json").samples == []


def test_the_page_and_the_chart_are_what_the_results_give() -> None:
    results = read()

    assert (REPOSITORY / page.PAGE).read_text(encoding="utf-8") == page.render(results)
    assert (REPOSITORY / page.CHART).read_text(encoding="utf-8") == page.draw(results)


def test_the_page_says_what_its_figures_are_worth() -> None:
    sample_ = taken("ours", 1.0)
    busy = {**run_of().machine, "load_before": 9.0}

    assert "**" not in page.render(run_of(sample_)).split("## Targets")[0]
    assert "a smoke run" in page.render(run_of(sample_, scale={**vars(QUICK)}))
    assert "was busy" in page.render(run_of(sample_, machine=busy))
    assert "cut short: 1 of 7" in page.render(run_of(sample_, planned=7))


def test_a_row_says_met_or_not() -> None:
    fast, slow = (taken("x", seconds, rows=1000) for seconds in (1.0, 20.0))
    ours = {**fast, "group": "postgres/mixed", "who": "ours"}
    stock = {**slow, "group": "postgres/mixed", "who": "stock operator"}

    text = page.render(run_of(ours, stock))

    assert (
        "| PostgreSQL, 16 mixed columns: rate beside the stock operator | at least 15x | 20x | met |" in text
    )
    assert "2 of 2 measured targets are met" in text  # its memory is the other one
    assert (
        "| PostgreSQL, 16 mixed columns: rate beside dlt's default | at least 25x | | not measured |" in text
    )


def test_a_smoke_run_judges_nothing() -> None:
    ours = {**taken("ours", 1.0), "group": "postgres/mixed"}

    text = page.render(run_of(ours, scale={**vars(QUICK)}))

    assert "A smoke run judges none" in text
    assert "met |" not in text
    assert (
        "| PostgreSQL, 16 mixed columns: peak memory above the start | at most 300 MB | 50 MB | not judged |"
        in text
    )


def test_the_chart_is_well_formed_and_follows_the_reader_s_colours() -> None:
    drawn = page.draw(read())

    assert ElementTree.fromstring(drawn).tag.endswith("svg")
    assert "prefers-color-scheme: dark" in drawn


def test_the_results_name_nothing_of_the_machine_but_its_parts() -> None:
    text = json.dumps(vars(read()))

    assert [mark for mark in ("/root", "/home", "/tmp", str(REPOSITORY), "etl-local") if mark in text] == []


@pytest.mark.stack
def test_a_smoke_run_keeps_every_sample(stack: dict[str, str], tmp_path: Path) -> None:
    home = os.environ.get("ETL_FACTORY_STACK_HOME") or str(REPOSITORY / ".devstack/test")
    paths = os.pathsep.join(str(REPOSITORY / name) for name in ("plugins", "include", "tests"))
    command = [sys.executable, "-m", "benchmarks", "--quick", "--rows", "1000", "--only", "postgres/narrow"]

    done = subprocess.run(
        [*command, "--who", "ours", "limit", "--keep", "--home", home, "--results", str(tmp_path / "results.json")],
        env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    taken_ = {(s["group"], s["who"]): s["rows"] for s in read(tmp_path / "results.json").samples}
    assert taken_ == {
        ("postgres/narrow", "ours"): 1000,
        ("postgres/narrow", "limit"): 1000,
        ("postgres/narrow_tenth", "ours"): 100,
    }
