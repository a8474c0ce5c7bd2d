"""`etl-factory run`: what it refuses before anything starts, and what becomes of its log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from command_line import Invoke, only_json

from etl_factory.cli import dag_run
from etl_factory.errors import ConfigError
from etl_factory.report import ResourceReport, RunReport
from examples import SOURCE, TENANT, Write

CURSOR = SOURCE.replace("load: catalog", "load: transactional\n    cursor: updated_at")


@pytest.fixture
def root(write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return a config root with one source of each strategy; logs go to a folder of their own."""
    (tmp_path / "logs").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "logs"))
    files = {"acme/shop_db.yaml": SOURCE, "acme/events.yaml": CURSOR.replace("shop_db", "events")}
    return write({"acme/tenant.yaml": TENANT, **files})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, Any]]]:
    """Stand for the DAG run: it publishes nothing, and keeps what it was asked for."""
    kept: list[tuple[list[str], dict[str, Any]]] = []

    def run_dag(found: Any, chosen: list[str], parameters: dict[str, Any], say: Any) -> RunReport:
        kept.append((chosen, parameters))
        say("orders.extract: done in 0.1 s")
        return RunReport("acme", found.spec.source, found.dag_id, "manual__1", True, 1.0, ())

    monkeypatch.setattr(dag_run, "run_dag", run_dag)
    return kept


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("acme nope", "nope.yaml; the sources of acme are events, shop_db\n"),
        ("acme shop", "the sources of acme are events, shop_db; did you mean 'shop_db'?\n"),
        ("nobody shop_db", "the tenants are acme\n"),
        ("acme ../acme/shop_db", "there is no file"),
        (
            "acme events --resource order",
            "--resource: 'order' is not one of orders; did you mean 'orders'?\n",
        ),
        ("acme events --start 2026-01-01", "--start is given alone: a backfill needs --start and --end\n"),
        ("acme events --end 2026-01-01", "--end is given alone: a backfill needs --start and --end\n"),
        (
            "acme events --start 2026-01-01T08:00 --end 2026-01-02",
            "--start '2026-01-01T08:00' has no time zone: add its offset, such as 2026-01-01T08:00+01:00, or Z"
            " for UTC\n",
        ),
        (
            "acme events --start 2026-01-01 --end soon",
            "--end 'soon' is neither a date (2026-01-31), a time (2026-01-31T08:00Z) nor an integer\n",
        ),
        ("acme events --start 2026-02-30 --end 2026-03-01", "--start '2026-02-30' is neither a date"),
        ("acme events --start 2026-W05-1 --end 2026-03-01", "--start '2026-W05-1' is neither a date"),
        ("acme events --start 5 --end 2026-03-01", "must be of one kind"),
        ("acme events --start 2026-03-01 --end 2026-03-01T10:00Z", "must be of one kind"),
        ("acme events --start 7 --end 7", "--start 7 is not before --end 7, which is exclusive\n"),
        ("acme events --start 2026-03-02 --end 2026-03-01", "is not before --end 2026-03-01"),
        ("acme events --start 2026-03-01T10:00+02:00 --end 2026-03-01T08:00Z", "is not before"),
        ("acme events --full-refresh --start 1 --end 2", "not both"),
        ("acme events --row-limit 0", "Invalid value for '--row-limit'"),
        (
            "acme shop_db --start 1 --end 2",
            "--start and --end bound what is read of a transactional resource, and every resource of shop_db is a"
            " catalog\n",
        ),
    ],
)
def test_what_cannot_be_asked_is_a_usage_error(
    invoke: Invoke, root: Path, asked: list[Any], arguments: str, message: str
) -> None:
    result = invoke("run", *arguments.split(), "--config-root", root, "--json")
    assert (result.exit_code, result.stdout, asked) == (2, "", [])
    assert message in result.stderr


@pytest.mark.parametrize(
    ("arguments", "chosen", "parameters"),
    [
        ("", [], {}),
        ("--resource orders", ["orders"], {}),
        ("--full-refresh", [], {"full_refresh": True}),
        ("--row-limit 20", [], {"row_limit": 20}),
        ("--full-refresh --row-limit 20", [], {"full_refresh": True, "row_limit": 20}),
        ("--start 2026-01-01 --end 2026-01-02", [], {"start": "2026-01-01", "end": "2026-01-02"}),
        ("--start -5 --end 10", [], {"start": "-5", "end": "10"}),
        (
            "--start 2026-01-01T08:00Z --end 2026-01-01T10:00+01:00",
            [],
            {"start": "2026-01-01T08:00:00+00:00", "end": "2026-01-01T10:00:00+01:00"},
        ),
    ],
)
def test_what_is_asked_reaches_the_dag_run(
    invoke: Invoke,
    root: Path,
    asked: list[Any],
    arguments: str,
    chosen: list[str],
    parameters: dict[str, Any],
) -> None:
    result = invoke("run", "acme", "events", *arguments.split(), "--config-root", root)
    assert (result.exit_code, asked) == (0, [(chosen, parameters)])


def test_bounds_fit_the_dags_own_parameters() -> None:
    import re

    from etl_factory.cli.run import run_parameters
    from etl_factory.factory import BOUND
    from etl_factory.sources.specs import TransactionalTable

    spec = type("Spec", (), {"source": "s", "resources": {}})()
    spec.resources["r"] = TransactionalTable(load="transactional", table="t", cursor="c")
    for start, end in (
        ("2026-01-01", "2026-01-02"),
        ("-1", "2"),
        ("2026-01-01T00:00Z", "2026-01-02T00:00:00.5-03:00"),
    ):
        parameters = run_parameters(spec, start, end, full_refresh=False)
        assert all(re.fullmatch(BOUND, bound) for bound in parameters.values())


def test_progress_goes_to_standard_error_and_the_report_to_standard_output(
    invoke: Invoke, root: Path, asked: list[Any]
) -> None:
    result = invoke("run", "acme", "events", "--config-root", root)
    assert result.stdout == "acme__events, run manual__1: ok in 1.0 s\n"
    assert result.stderr == "orders.extract: done in 0.1 s\n"


def test_json_is_the_report_alone(invoke: Invoke, root: Path, asked: list[Any]) -> None:
    result = invoke("run", "acme", "events", "--config-root", root, "--json")
    assert only_json(result.stdout)["dag_id"] == "acme__events"


def logs(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "logs").glob("etl-factory-run-*.log"))


def test_the_log_of_a_good_run_goes(invoke: Invoke, root: Path, asked: list[Any], tmp_path: Path) -> None:
    invoke("run", "acme", "events", "--config-root", root)
    assert logs(tmp_path) == []


def test_the_log_that_was_asked_for_stays(
    invoke: Invoke, root: Path, asked: list[Any], tmp_path: Path
) -> None:
    (tmp_path / "mine.log").touch()
    result = invoke("run", "acme", "events", "--config-root", root, "--log", tmp_path / "mine.log")
    assert (tmp_path / "mine.log").exists()
    assert f"Airflow's log: {tmp_path}/mine.log" in result.stderr


def test_a_failed_run_exits_1_and_names_its_log(
    invoke: Invoke, root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    failed = ResourceReport("orders", "p.d.t", "failed", failed_task="load", message="TerminalError: no")
    report = RunReport("acme", "shop_db", "acme__shop_db", "manual__1", False, 1.0, (failed,))
    monkeypatch.setattr(dag_run, "run_dag", lambda *_: report)
    result = invoke("run", "acme", "shop_db", "--config-root", root)
    assert result.exit_code == 1
    assert "load failed: TerminalError: no" in result.stdout
    assert [f"Airflow's log: {log}\n" for log in logs(tmp_path)] == [result.stderr]


def test_a_source_that_makes_no_dag_here_exits_1(
    invoke: Invoke, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_dag(*_: object) -> RunReport:
        raise ConfigError("source type mysql needs the Python module x")

    monkeypatch.setattr(dag_run, "run_dag", run_dag)
    result = invoke("run", "acme", "shop_db", "--config-root", root, "--json")
    assert result.exit_code == 1
    assert only_json(result.stdout)["findings"][0]["message"] == "source type mysql needs the Python module x"


@pytest.mark.parametrize("as_json", [True, False])
def test_a_broken_file_exits_1_with_its_findings(
    invoke: Invoke, write: Write, root: Path, asked: list[Any], as_json: bool
) -> None:
    write({"acme/shop_db.yaml": SOURCE.replace("type: postgres", "type: oracle")})
    result = invoke("run", "acme", "shop_db", "--config-root", root, *(["--json"] if as_json else []))
    assert (result.exit_code, asked) == (1, [])
    text = only_json(result.stdout)["findings"][0]["message"] if as_json else result.stderr
    assert "'oracle' is not one of postgres" in text


def test_two_resources_of_one_table_are_refused_though_each_file_is_fine(
    invoke: Invoke, write: Write, root: Path, asked: list[Any]
) -> None:
    same = SOURCE.replace("source: shop_db", "source: other").replace(
        "load:", "target_table: shop_db__orders\n    load:"
    )
    write({"acme/other.yaml": same})
    result = invoke("run", "acme", "shop_db", "--config-root", root)
    assert (result.exit_code, asked) == (1, [])
    assert "acme__other.orders" in result.stderr
