"""`etl-factory replay`: what it asks of the DAG run, and that it ends with 1 while rows stay in quarantine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from command_line import Invoke, only_json

from etl_factory.cli import dag_run
from etl_factory.report import ResourceReport, RunReport
from examples import SOURCE, TENANT, Write

TOLD = {"rows": 5, "loaded": 3, "superseded": 2, "stay": 0, "left_over": "", "first": ""}
VERSIONS = SOURCE.replace("shop_db", "old_db").replace(
    "load: catalog", "load: catalog\n    history: scd2\n    primary_key: [id]"
)


@pytest.fixture
def root(write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "logs"))
    return write({"acme/tenant.yaml": TENANT, "acme/shop_db.yaml": SOURCE, "acme/old_db.yaml": VERSIONS})


class Ran:
    """Stands for the DAG run: it keeps what it was asked for, and ends as `resource` says."""

    def __init__(self) -> None:
        self.asked: list[tuple[list[str], dict[str, Any]]] = []
        self.resource = ResourceReport("orders", "p.d.orders", "published", "replay", replay=TOLD)

    def run_dag(self, found: Any, chosen: list[str], parameters: dict[str, Any], say: Any) -> RunReport:
        self.asked.append((chosen, parameters))
        ok = self.resource.outcome != "failed"
        return RunReport("acme", found.spec.source, found.dag_id, "manual__1", ok, 1.0, (self.resource,))


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Ran:
    made = Ran()
    monkeypatch.setattr(dag_run, "run_dag", made.run_dag)
    return made


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("acme shop_db order", "'order' is not one of orders; did you mean 'orders'?\n"),
        ("acme nope orders", "the sources of acme are old_db, shop_db\n"),
        (
            "acme old_db orders",
            "orders keeps its history as scd2, where a row that comes late has no exact place",
        ),
        ("acme shop_db", "Missing argument 'RESOURCE'"),
    ],
)
def test_what_cannot_be_replayed_is_a_usage_error(
    invoke: Invoke, root: Path, ran: Ran, arguments: str, message: str
) -> None:
    result = invoke("replay", *arguments.split(), "--config-root", root)
    assert (result.exit_code, result.stdout, ran.asked) == (2, "", [])
    assert message in result.stderr


def test_a_replay_is_a_run_of_one_resource(invoke: Invoke, root: Path, ran: Ran) -> None:
    result = invoke("replay", "acme", "shop_db", "orders", "--config-root", root)
    assert (result.exit_code, ran.asked) == (0, [(["orders"], {"replay": True})])
    assert "  quarantine   5 rows: 3 loaded, 2 superseded, 0 stay\n" in result.stdout


def test_a_dry_run_publishes_nothing(invoke: Invoke, root: Path, ran: Ran) -> None:
    ran.resource = ResourceReport("orders", "p.d.orders", "skipped", rows_quarantined=0, message="a dry run")
    result = invoke("replay", "acme", "shop_db", "orders", "--dry-run", "--config-root", root)
    ((_, parameters),) = ran.asked
    assert result.exit_code == 0
    assert (parameters["replay"], parameters["row_limit"] > 10**9) == (True, True)


@pytest.mark.parametrize(
    "resource",
    [
        ResourceReport("orders", "t", "published", replay=TOLD | {"stay": 1, "left_over": "1: x"}),
        ResourceReport("orders", "t", "skipped", rows_quarantined=2),
        ResourceReport("orders", "t", "failed", message="TerminalError: none of the rows"),
    ],
    ids=["rows stay", "rows stay in a dry run", "failed"],
)  # fmt: skip
def test_rows_that_stay_are_a_finding(invoke: Invoke, root: Path, ran: Ran, resource: ResourceReport) -> None:
    ran.resource = resource
    result = invoke("replay", "acme", "shop_db", "orders", "--config-root", root, "--json")
    assert result.exit_code == 1
    assert only_json(result.stdout)["ok"] is False


def test_what_stays_is_shown(invoke: Invoke, root: Path, ran: Ran) -> None:
    told = TOLD | {"stay": 2, "first": "part, record 4, key {}", "left_over": "1: it is gone"}
    ran.resource = ResourceReport("orders", "t", "published", rows_quarantined=1, replay=told)
    shown = invoke("replay", "acme", "shop_db", "orders", "--config-root", root).stdout
    assert "  still bad    part, record 4, key {}\n  left there   1: it is gone" in shown


def test_an_empty_quarantine_is_fine(invoke: Invoke, root: Path, ran: Ran) -> None:
    ran.resource = ResourceReport("orders", "t", "skipped", message="nothing is in quarantine")
    assert invoke("replay", "acme", "shop_db", "orders", "--config-root", root).exit_code == 0
