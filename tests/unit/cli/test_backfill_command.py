"""`etl-factory backfill` against a server that speaks Airflow's API: what it starts, leaves, repeats and says."""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import Invoke, only_json
from fake_airflow import FakeAirflow, FakeRun, made, served

from etl_factory.cli import window_runs
from etl_factory.errors import AccessDeniedError, ConfigError, NotFoundError, TerminalError
from examples import SOURCE, TENANT, Write

CURSOR = "load: transactional\n    cursor: updated_at"
LINES = (
    f"  lines:\n    table: public.lines\n    {CURSOR}\n  kinds:\n    table: public.kinds\n    load: catalog\n"
)
THREE_DAYS = ("acme", "shop_db", "--from", "2026-01-01", "--to", "2026-01-04")
IDS = [f"etl_backfill__2026-01-0{day}__2026-01-0{day + 1}" for day in (1, 2, 3)]
Run = Callable[..., Any]


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAirflow]:
    monkeypatch.setattr(window_runs, "POLL_SECONDS", 0.001)
    with served() as fake:
        for name, value in {"URL": fake.url, "USERNAME": "admin", "PASSWORD": "s3cret", "TOKEN": ""}.items():
            monkeypatch.setenv(f"ETL_FACTORY_AIRFLOW_{name}", value)
        yield fake


@pytest.fixture
def heeds_interrupts() -> Iterator[None]:
    """Take SIGINT as at a terminal: what a shell starts in the background begins by ignoring it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def run(invoke: Invoke, write: Write, airflow: FakeAirflow) -> Run:
    """Return a function that runs the command, by default over three days."""
    source = SOURCE.replace("load: catalog", CURSOR) + LINES
    root = write({"acme/tenant.yaml": TENANT, "acme/shop_db.yaml": source})
    return lambda *words, over=THREE_DAYS, **options: invoke(
        "backfill", *over, *words, "--config-root", root, **options
    )


def test_every_window_is_a_run_one_after_the_other(run: Run, airflow: FakeAirflow) -> None:
    running: list[set[str]] = []
    airflow.on_look = lambda _: running.append({i for i, r in airflow.runs.items() if len(r.states) > 1})

    result = run("--json")

    document = only_json(result.stdout)
    days = [{"start": f"2026-01-0{d}", "end": f"2026-01-0{d + 1}"} for d in (1, 2, 3)]
    assert (result.exit_code, document["ok"], airflow.triggered()) == (0, True, days)
    assert [(w["run_id"], w["state"], w["already"], w["seconds"]) for w in document["windows"]] == [
        (run_id, "success", False, 12.3) for run_id in IDS
    ]
    assert max(map(len, running)) == 1
    assert document["windows"][0]["resources"]["orders"] == {"rows_read": 1200, "inserted": 3, "updated": 0}


def test_progress_and_summary_are_said(run: Run) -> None:
    result = run()

    counts = "1,200 rows read, 3 inserted"
    assert result.stdout == "acme__shop_db: of 3 windows, 3 loaded\n"
    assert result.stderr.splitlines() == [
        "acme__shop_db: 3 windows from 2026-01-01 to 2026-01-04",
        *(
            f"[{day}/3] 2026-01-0{day} to 2026-01-0{day + 1}  loaded in 12.3 s; orders: {counts}; lines: {counts}"
            for day in (1, 2, 3)
        ),
    ]


def test_loaded_windows_are_not_run_again(run: Run, airflow: FakeAirflow) -> None:
    airflow.runs[IDS[0]] = FakeRun({}, ["success"])
    airflow.runs[IDS[1]] = made({}, "success")

    result = run()

    assert [conf["start"] for conf in airflow.triggered()] == ["2026-01-03"]
    assert airflow.cleared() == []
    assert result.stdout == "acme__shop_db: of 3 windows, 2 loaded, 1 loaded before\n"
    assert "[1/3] 2026-01-01 to 2026-01-02  already loaded\n" in result.stderr
    assert run().stdout == "acme__shop_db: of 3 windows, 3 loaded before\n"


def test_again_runs_loaded_windows_again(run: Run, airflow: FakeAirflow) -> None:
    run()
    result = run("--again")

    assert [body["dag_run_id"] for body in airflow.cleared()] == IDS
    assert all("task_ids" not in body for body in airflow.cleared())
    assert result.stdout == "acme__shop_db: of 3 windows, 3 loaded\n"


def test_the_first_failure_stops_and_says_what_failed(run: Run, airflow: FakeAirflow) -> None:
    airflow.outcomes["2026-01-02"] = "failed"

    result = run("--json")

    document = only_json(result.stdout)
    failed = document["windows"][1]
    assert (result.exit_code, document["ok"], len(airflow.runs)) == (1, False, 2)
    assert [w["state"] for w in document["windows"]] == ["success", "failed", "waiting"]
    assert (failed["failed_task"], failed["message"]) == ("lines.extract", "E: no disk")
    assert list(failed["resources"]) == ["orders"]
    assert "[2/3] 2026-01-02 to 2026-01-03  failed in 12.3 s; orders: " in result.stderr
    assert "; lines.extract: E: no disk\n" in result.stderr


def test_a_failed_window_is_run_again_for_what_failed(run: Run, airflow: FakeAirflow) -> None:
    airflow.outcomes["2026-01-02"] = "failed"
    run()
    result = run()

    assert [(body["dag_run_id"], body["task_ids"]) for body in airflow.cleared()] == [
        (IDS[1], ["lines.extract", "lines.publish"])
    ]
    assert (result.exit_code, result.stdout) == (
        0,
        "acme__shop_db: of 3 windows, 2 loaded, 1 loaded before\n",
    )


def test_the_command_to_go_on_begins_at_the_first_window_left(run: Run, airflow: FakeAirflow) -> None:
    airflow.outcomes["2026-01-02"] = "failed"

    result = run("--resource", "orders", "--resource", "lines")

    told, go_on = result.stdout.splitlines()
    words = shlex.split(go_on.removeprefix("go on with: "))
    assert told == "acme__shop_db: of 3 windows, 1 loaded, 1 failed, 1 not begun"
    assert words[:8] == [
        "etl-factory",
        "backfill",
        "acme",
        "shop_db",
        "--from",
        "2026-01-02",
        "--to",
        "2026-01-04",
    ]
    assert words[8:-1] == ["--step", "1d", "--resource", "lines", "--resource", "orders", "--config-root"]
    assert Path(words[-1]).is_dir()


def test_only_the_resources_asked_for_are_loaded(run: Run, airflow: FakeAirflow) -> None:
    run("--resource", "orders", "--step", "3d")

    assert airflow.triggered() == [{"start": "2026-01-01", "end": "2026-01-04", "resources": ["orders"]}]
    assert list(airflow.runs) != ["etl_backfill__2026-01-01__2026-01-04"]


@pytest.mark.usefixtures("heeds_interrupts")
def test_an_interrupt_leaves_the_running_window_to_airflow(run: Run, airflow: FakeAirflow) -> None:
    airflow.on_look = lambda run_id: os.kill(os.getpid(), signal.SIGINT) if run_id == IDS[1] else None
    airflow.runs[IDS[1]] = FakeRun({}, ["running"])

    result = run("--json")

    document = only_json(result.stdout)
    assert (result.exit_code, document["interrupted"]) == (1, True)
    assert [w["state"] for w in document["windows"]] == ["success", "running", "waiting"]
    assert "--from 2026-01-02 --to 2026-01-04" in document["go_on"]
    assert airflow.runs[IDS[1]].states == ["running"]


def test_a_run_that_goes_on_is_waited_for(run: Run, airflow: FakeAirflow) -> None:
    airflow.runs[IDS[0]] = FakeRun({}, ["queued", "running", "running", "success"])

    result = run("--step", "3d", over=(*THREE_DAYS[:-1], "2026-01-02"))

    assert (result.exit_code, airflow.triggered(), airflow.cleared()) == (0, [], [])
    assert result.stdout == "acme__shop_db: of 1 window, 1 loaded\n"


def test_a_run_that_somebody_deletes_is_missed(run: Run, airflow: FakeAirflow) -> None:
    def delete(run_id: str) -> None:
        airflow.on_look = lambda run_id: airflow.runs.pop(run_id)

    airflow.on_look = delete

    result = run()

    assert result.exit_code == 1
    assert f"DAG run {IDS[0]} of acme__shop_db is gone: somebody deleted it" in result.stderr


def test_a_dag_that_is_paused_meanwhile_is_told_of_once(run: Run, airflow: FakeAirflow) -> None:
    looks: list[str] = []

    def pause(run_id: str) -> None:
        looks.append(run_id)
        airflow.dag = {"is_paused": len(looks) < 5}

    airflow.runs[IDS[0]] = FakeRun({}, ["running"] * 6 + ["success"])
    airflow.on_look = pause

    result = run()

    assert result.exit_code == 0
    assert result.stderr.count("has been paused: waiting until somebody unpauses it") == 1


def test_an_airflow_that_does_not_answer_for_a_while_is_asked_again(run: Run, airflow: FakeAirflow) -> None:
    def trouble(run_id: str) -> None:
        airflow.on_look = lambda run_id: None
        airflow.troubles += [(503, {"detail": "upgrading"}), (502, b"<html>")]

    airflow.on_look = trouble

    result = run()

    assert result.exit_code == 0
    assert result.stderr.count("asking again") == 1
    assert "503" in result.stderr


def test_a_run_that_was_started_though_the_answer_was_lost_is_found(run: Run, airflow: FakeAirflow) -> None:
    real = airflow._trigger

    def lost(body: dict[str, Any]) -> Any:
        airflow._trigger = real  # type: ignore[method-assign]  # only the first answer is lost
        real(body)
        return 504, {"detail": "gateway"}

    airflow._trigger = lost  # type: ignore[method-assign]  # see above

    result = run()

    assert (result.exit_code, list(airflow.runs)) == (0, IDS)


def test_a_token_that_expires_is_fetched_anew(run: Run, airflow: FakeAirflow) -> None:
    airflow.on_look = lambda _: airflow.tokens.append("second") if len(airflow.tokens) == 1 else None

    result = run()

    assert result.exit_code == 0
    assert [path for _, path, _ in airflow.calls].count("/auth/token") == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("acme shop_db --from 1", "Missing option '--to'"),
        ("acme shop --from 1 --to 2", "did you mean 'shop_db'?"),
        ("acme shop_db --from 1 --to 2", "--step '1d' does not fit integers"),
        ("acme shop_db --from 1 --to 2 --step 1 --resource order", "did you mean 'orders'?"),
        (
            "acme shop_db --from 1 --to 2 --step 1 --resource kinds",
            "--from and --to bound what is read of a transactional resource, and kinds of shop_db is a catalog",
        ),
        ("acme shop_db --from 2026-01-01 --to 2026-01-01", "is not before --to 2026-01-01"),
    ],
)
def test_what_cannot_be_asked_is_a_usage_error(
    run: Run, airflow: FakeAirflow, arguments: str, message: str
) -> None:
    result = run(over=tuple(arguments.split()))

    assert (result.exit_code, result.stdout, airflow.calls) == (2, "", [])
    assert message in result.stderr.replace("\n", " ")


def test_a_paused_dag_is_refused_at_the_start(run: Run, airflow: FakeAirflow) -> None:
    airflow.dag = {"is_paused": True}

    with pytest.raises(TerminalError, match="`airflow dags unpause acme__shop_db`"):
        run(catch_exceptions=False)
    assert airflow.triggered() == []


def test_a_dag_that_airflow_does_not_know_is_named(run: Run, airflow: FakeAirflow) -> None:
    airflow.dag = None

    with pytest.raises(
        NotFoundError, match="has no DAG acme__shop_db: a new file takes it a minute or so to parse"
    ):
        run(catch_exceptions=False)


def test_a_wrong_login_is_said_and_never_shown(
    run: Run, airflow: FakeAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ETL_FACTORY_AIRFLOW_PASSWORD", "c4nary")

    with pytest.raises(
        AccessDeniedError, match=r"refuses this login .* correct ETL_FACTORY_AIRFLOW_USERNAME"
    ) as raised:
        run(catch_exceptions=False)
    assert "c4nary" not in str(raised.value)


def test_an_airflow_without_an_address_is_a_usage_error(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ETL_FACTORY_AIRFLOW_URL")

    with pytest.raises(ConfigError, match="ETL_FACTORY_AIRFLOW_URL is '': set it to the address"):
        run(catch_exceptions=False)
