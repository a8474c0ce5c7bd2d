"""Publish: who may move the watermark, what an append compares with, and what every failure says to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

import pytest

from etl_factory.config.resource import Resource
from etl_factory.errors import (
    AccountingError,
    EtlFactoryError,
    NotFoundError,
    QuarantineError,
    StaleError,
    TerminalError,
    TransientError,
)
from etl_factory.landing.manifest import FileTally, Manifest, Mode, Plan
from etl_factory.operators.drafting import Draft
from etl_factory.operators.parameters import most_bad
from etl_factory.operators.publish import summary
from etl_factory.operators.publishing import Publisher
from etl_factory.schema.types import Field
from etl_factory.sources.specs import BadRows
from etl_factory.warehouse import sql
from etl_factory.warehouse.ledger import Head
from etl_factory.warehouse.publication import Publication
from etl_factory.windows import Window
from examples import Write
from fakes import LOAD_ID, MORNING, NOON, FakeWarehouse, manifest_of, resource_of

ORDERS = "table: public.orders\nload: transactional\ncursor: updated_at\nbackfill_from: 2025-01-01"
TABLE = "acme-analytics.raw.shop__orders"
STAGING = f"acme-analytics.raw_etl._staging__shop__orders__{LOAD_ID}_sanitize_1_00000000"
FIELDS = (Field("id", "INT64"), Field("updated_at", "TIMESTAMP"))
COUNTS = {
    "inserted": 3,
    "updated": 2,
    "unchanged": 1,
    "superseded": 0,
    "deleted": 0,
    "restored": 0,
    "quarantined": 1,
}
ROW = {
    "load_id": LOAD_ID,
    "attempt": "sanitize-1",
    "mode": "live",
    "rows_read": 7,
    "rows_staged": 6,
    **COUNTS,
}


@pytest.fixture
def orders(write: Write) -> Resource:
    return resource_of(write, ORDERS)


def staged(resource: Resource, *fields: Field, **values: Any) -> Manifest:
    """Return what load left."""
    defaults: dict[str, Any] = {
        "step": "load", "attempt": "sanitize-1", "staging_table": STAGING, "rows_read": 7, "rows_staged": 7,
        "fields": tuple(field.to_json() for field in fields or FIELDS),
    }  # fmt: skip
    return manifest_of(resource, **(defaults | values))


def planned(mode: str = "live", epoch: int = 0, window: Window | None = None, **values: Any) -> Plan:
    return Plan(LOAD_ID, mode, epoch, values.get("watermark"), window)


def publisher(resource: Resource, manifest: Manifest, **values: Any) -> Publisher:
    warehouse = FakeWarehouse(resource.target, **values)
    warehouse.tables.setdefault(resource.table_id, (*FIELDS, *(Field(n, "STRING") for n in sql.METADATA)))
    return Publisher(resource, warehouse, manifest, "scheduled__1")


def ready(resource: Resource, manifest: Manifest, **values: Any) -> tuple[Publisher, FakeWarehouse]:
    """Return a publisher whose job commits its ledger row."""
    made = publisher(resource, manifest, **values)
    fake: Any = made.warehouse
    fake.publish = lambda job_id, parameters: fake.loads.append(ROW)
    return made, fake


# The watermark

END = datetime(2025, 6, 1, 12, tzinfo=UTC)
LIVE = Window("instant", datetime(2025, 6, 1, 6, tzinfo=UTC), END)
LATER = "2025-06-02T00:00:00+00:00"
WATERMARKS = {
    "the first run sets it": (planned(window=LIVE), Head(), NOON),
    "a live run moves it forward": (planned(window=LIVE), Head(4, 0, MORNING), NOON),
    "a late live run never moves it back": (planned(window=LIVE), Head(4, 0, LATER), LATER),
    "what read on from another ledger's sets none": (planned(window=LIVE, watermark=MORNING), Head(), None),
    "a backfill leaves it": (planned("backfill", window=LIVE), Head(4, 0, MORNING), MORNING),
    "a backfill before any run sets none": (planned("backfill", window=LIVE), Head(), None),
    "a full refresh sets it": (planned("full_refresh", window=LIVE), Head(4, 0, MORNING), NOON),
    "a full refresh moves it even back": (planned("full_refresh", window=LIVE), Head(4, 0, LATER), NOON),
    "a live run of an earlier epoch leaves it": (planned(window=LIVE), Head(5, 1, MORNING), MORNING),
    "a read without a window leaves it": (planned(), Head(4, 0, MORNING), MORNING),
    "integers are compared as numbers": (
        planned(window=Window("integer", 5, 10)), Head(1, 0, "9"), "10",
    ),
    "dates are compared as dates": (
        planned(window=Window("date", None, date(2025, 6, 2))), Head(1, 0, "2025-06-01"), "2025-06-02",
    ),
    "naive moments are compared as such": (
        planned(window=Window("naive", None, datetime(2025, 6, 2))), Head(1, 0, "2025-06-03T00:00:00"),
        "2025-06-03T00:00:00",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("plan", "head", "expected"), WATERMARKS.values(), ids=WATERMARKS)
def test_watermark(orders: Resource, plan: Plan, head: Head, expected: str | None) -> None:
    row = {"version": head.version, "epoch": head.epoch, "watermark": head.watermark, "snapshot_at": None}
    made, fake = ready(orders, staged(orders, plan=plan), heads=[row] if head.version else [])

    made.run()

    epoch = head.epoch + (plan.mode == "full_refresh")
    asked = {name: fake.parameters[name] for name in ("watermark", "expected", "epoch", "mode")}
    assert asked == {"watermark": expected, "expected": head.version, "epoch": epoch, "mode": plan.mode}


# What is published how

FILES = "path: s3://drops/*.csv\nformat: csv\nload: {}"
STRATEGIES = [
    (ORDERS, "postgres", "live", "append"),
    (f"{ORDERS}\nprimary_key: [id]", "postgres", "live", "merge"),
    (f"{ORDERS}\nprimary_key: [id]", "postgres", "backfill", "merge"),
    (f"{ORDERS}\nprimary_key: [id]", "postgres", "full_refresh", "replace"),
    ("table: public.orders\nload: catalog", "postgres", "live", "replace"),
    ("table: public.orders\nload: catalog\nhistory: snapshots", "postgres", "live", "snapshot"),
    ("table: public.orders\nload: catalog\nhistory: snapshots", "postgres", "full_refresh", "snapshot"),
    ("table: public.orders\nload: catalog\nhistory: scd2\nprimary_key: [id]", "postgres", "live", "versions"),
    (
        "table: public.orders\nload: catalog\nhistory: scd2\nprimary_key: [id]",
        "postgres",
        "full_refresh",
        "versions",
    ),
    (FILES.format("transactional"), "s3", "live", "append_files"),
    (FILES.format("transactional") + "\nprimary_key: [id]", "s3", "live", "merge"),
    (FILES.format("transactional"), "s3", "full_refresh", "replace"),
    (FILES.format("catalog"), "s3", "live", "replace"),
    (FILES.format("catalog") + "\nhistory: snapshots", "s3", "live", "snapshot"),
]


def publication(resource: Resource, manifest: Manifest) -> Publication:
    return Draft(resource, manifest).publication(())


@pytest.mark.parametrize(("spec", "type_", "mode", "strategy"), STRATEGIES)
def test_strategy(write: Write, spec: str, type_: str, mode: str, strategy: str) -> None:
    resource = resource_of(write, spec, type_=type_)
    made = publication(resource, staged(resource, plan=planned(mode)))

    assert made.strategy == strategy
    assert made.is_file == (type_ == "s3")
    assert made.checks_shrink == ("load: catalog" in spec and mode != "full_refresh")


def test_own_columns_of_staging_are_not_published(orders: Resource) -> None:
    made = publication(orders, staged(orders, *FIELDS, Field("_etl_source_uri", "STRING")))

    assert made.names == ("id", "updated_at")
    assert [column.type for column in made.columns] == ["INT64", "TIMESTAMP"]


def test_rows_that_are_in_bigquery_keep_their_raw_names(orders: Resource) -> None:
    raw = {"id": ["Order No", "STRING"]}
    made = publication(orders, staged(orders, extra={"staged": raw}))

    assert [(column.name, column.type) for column in made.columns] == [
        ("Order No", "STRING"),
        ("updated_at", "TIMESTAMP"),
    ]


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ("", ("orderno", "Updated_At")),
        ('columns: { rename: { "Order No": ORDERNO, "updated at": updated_AT } }', ("orderno", "Updated_At")),
    ],
)
def test_key_and_cursor_go_by_the_published_name(write: Write, columns: str, named: tuple[str, str]) -> None:
    cursor = '"updated at"' if columns else "updated_at"
    key = '"Order No"' if columns else "orderno"
    spec = f"table: o\nload: transactional\ncursor: {cursor}\nprimary_key: [{key}]\n{columns}"
    resource = resource_of(write, spec)
    fields = (Field("orderno", "INT64"), Field("Updated_At", "TIMESTAMP"))
    made = publication(resource, staged(resource, *fields))

    assert (*made.keys, made.cursor) == named


def test_a_cursor_that_the_contract_discards_compares_nothing(orders: Resource) -> None:
    made = publication(orders, staged(orders, Field("id", "INT64"), plan=planned(window=LIVE)))

    assert (made.cursor, made.window) == (None, "")


WINDOWS = [
    ("TIMESTAMP", LIVE, "(t.`updated_at` >= TIMESTAMP '2025-06-01 06:00:00+00:00' AND"
     " t.`updated_at` < TIMESTAMP '2025-06-01 12:00:00+00:00') OR t.`updated_at` IS NULL"),
    ("TIMESTAMP", Window("instant", None, END),
     "(t.`updated_at` < TIMESTAMP '2025-06-01 12:00:00+00:00') OR t.`updated_at` IS NULL"),
    ("DATETIME", Window("naive", None, datetime(2025, 6, 1, 0, 0, 0, 5)),
     "(t.`updated_at` < DATETIME '2025-06-01 00:00:00.000005') OR t.`updated_at` IS NULL"),
    ("DATE", Window("date", date(2025, 1, 1), date(2025, 6, 1)),
     "(t.`updated_at` >= DATE '2025-01-01' AND t.`updated_at` < DATE '2025-06-01') OR t.`updated_at` IS NULL"),
    ("INT64", Window("integer", -5, 10),
     "(t.`updated_at` >= -5 AND t.`updated_at` < 10) OR t.`updated_at` IS NULL"),
    ("STRING", LIVE, ""),
    ("NUMERIC", Window("integer", 0, 10), ""),
    ("TIMESTAMP", None, ""),
]  # fmt: skip


@pytest.mark.parametrize(("type_", "window", "expected"), WINDOWS)
def test_window(orders: Resource, type_: str, window: Window | None, expected: str) -> None:
    manifest = staged(orders, Field("updated_at", type_), plan=planned(window=window))

    assert publication(orders, manifest).window == expected


@pytest.mark.parametrize(
    ("rows", "ratio", "read", "most"),
    [
        (0, None, 100, 0), (3, None, 100, 3), (300, None, 100, 100), (None, 0.1, 100, 10), (None, 0.1, 19, 1),
        (None, 0.29, 100, 29), (None, 1.0, 7, 7), (5, 0.1, 100, 5), (50, 0.1, 100, 10), (None, None, 4, 4),
        (None, 0.5, 0, 0),
    ],
)  # fmt: skip
def test_most_bad(rows: int | None, ratio: float | None, read: int, most: int) -> None:
    assert most_bad(rows, ratio, read) == most


@pytest.mark.parametrize(("rows", "ratio"), [(3, None), (None, 0.07), (None, 0.5), (2, 0.9)])
def test_most_bad_is_what_sanitize_allows(rows: int | None, ratio: float | None) -> None:
    limit = BadRows(rows=rows, ratio=ratio)
    for read in range(200):
        most = most_bad(rows, ratio, read)
        assert limit.allows(most, read)
        assert most == read or not limit.allows(most + 1, read)


# The run

REPORT = {
    "resource": "orders", "table": TABLE, "outcome": "published", "mode": "live",
    "window": "[2025-06-01T06:00:00+00:00, 2025-06-01T12:00:00+00:00)", "rows_read": 7, "rows_staged": 7, **COUNTS,
    "bytes": 0, "schema_changes": ["column a is new"], "files": 0,
}  # fmt: skip


def test_a_publish_reports_what_the_ledger_counted(orders: Resource) -> None:
    manifest = staged(orders, plan=planned(window=LIVE), notes=("column a is new",))
    made, fake = ready(orders, manifest)

    assert made.run() == REPORT
    assert fake.jobs[0].startswith(f"{LOAD_ID}_publish_sanitize-1_0_")
    assert fake.parameters["schema_changes"] == '["column a is new"]'
    assert fake.parameters["most_bad"] == 0


def test_the_schema_is_recorded_with_the_load(orders: Resource) -> None:
    made, fake = ready(orders, staged(orders, plan=planned(window=LIVE), recorded="{}"))
    made.run()
    assert fake.parameters["declared_schema"] == "{}"

    heads = [{"version": 1, "declared_schema": "kept"}]
    made, fake = ready(orders, staged(orders, plan=planned(window=LIVE)), heads=heads)
    made.run()
    assert fake.parameters["declared_schema"] == "kept"


def test_what_is_committed_already_is_only_reported(orders: Resource) -> None:
    made, fake = ready(orders, staged(orders, ddl=({"op": "relax", "name": "id"},)), loads=[ROW])

    assert made.run()["inserted"] == 3
    assert fake.jobs == []
    assert not any("ALTER TABLE" in statement for statement in fake.statements)


def test_the_head_is_part_of_the_jobs_name(orders: Resource) -> None:
    heads = [{"version": version, "epoch": 0, "watermark": None, "snapshot_at": None} for version in (7, 8)]
    jobs = []
    for head in heads:
        made, fake = ready(orders, staged(orders), heads=[head])
        made.run()
        jobs += fake.jobs

    assert jobs[0] == jobs[1].replace("_8_", "_7_") != jobs[1]


def test_a_ledger_row_that_does_not_show_is_waited_for(orders: Resource) -> None:
    with pytest.raises(TransientError, match="the ledger does not show the publish yet"):
        publisher(orders, staged(orders)).run()


def catalog(write: Write, head: Mapping[str, Any]) -> tuple[Publisher, FakeWarehouse]:
    resource = resource_of(write, "table: public.orders\nload: catalog\nmax_shrink: 0.3")
    manifest = staged(resource, snapshot_at=NOON, rows_quarantined=1, rows_staged=6)
    return ready(resource, manifest, heads=[{"version": 1, "epoch": 0, "watermark": None, **head}])


@pytest.mark.parametrize("snapshot_at", [None, MORNING, NOON])
def test_a_newer_snapshot_replaces_an_older_one(write: Write, snapshot_at: str | None) -> None:
    made, fake = catalog(write, {"snapshot_at": snapshot_at and datetime.fromisoformat(snapshot_at)})

    assert made.run()["outcome"] == "published"
    assert fake.parameters["least_ratio"] == pytest.approx(0.7)


def test_an_older_snapshot_is_left_out_and_all_its_rows_counted(write: Write) -> None:
    made, fake = catalog(write, {"snapshot_at": datetime.fromisoformat(LATER)})

    report = made.run()

    assert (report["outcome"], report["rows_read"]) == ("superseded", 7)
    assert {name: report[name] for name in COUNTS if report[name]} == {"superseded": 7}
    assert fake.jobs == []
    assert summary(report) == f"{TABLE}: a newer snapshot is published already, so this one was left out"


def test_a_summary_counts_every_row() -> None:
    assert summary(REPORT) == (
        f"{TABLE}: 7 rows read, 3 inserted, 2 updated, 1 unchanged, 0 superseded, 0 deleted, 0 restored, 1 quarantined"
    )


def test_files_go_into_the_ledger_with_their_tallies(write: Write) -> None:
    resource = resource_of(write, FILES.format("transactional"), type_="s3")
    file = FileTally("s3://drops/a.csv", "etag-1", MORNING, 12, 7, 1)
    made, fake = ready(resource, staged(resource, files=(file,)))

    assert made.run()["files"] == 1
    names = ("uris", "versions", "sizes", "modified", "file_rows", "file_quarantined")
    assert [fake.parameters[name] for name in names] == [
        ("s3://drops/a.csv",), ("etag-1",), (12,), (datetime(2025, 6, 1, 6, tzinfo=UTC),), (7,), (1,),
    ]  # fmt: skip


def test_files_in_a_table_of_their_own_are_only_counted(write: Write) -> None:
    resource = resource_of(write, FILES.format("transactional"), type_="s3")
    file = FileTally("s3://drops/a.csv", "etag-1", MORNING, 12, 7, 1)
    made, fake = ready(resource, staged(resource, files=(file,) * 3, files_table=f"{STAGING}_files"))

    assert made.run()["files"] == 3
    assert fake.parameters["files"] == 3
    assert "uris" not in fake.parameters
    assert f"FROM `{STAGING}_files`" in fake.statements[-1]


# Changes of the table

CREATE = {"op": "create", "fields": [field.to_json() for field in FIELDS]}


def test_changes_come_before_the_transaction(orders: Resource) -> None:
    made, fake = ready(orders, staged(orders, ddl=(CREATE, {"op": "relax", "name": "id"})))
    made.run()

    kinds = (
        "CREATE TABLE IF NOT EXISTS `acme-analytics.raw.shop__orders`",
        "DROP NOT NULL",
        "BEGIN TRANSACTION",
    )
    found = [next(n for n, s in enumerate(fake.statements) if kind in s) for kind in kinds]
    assert found == sorted(found)
    assert not any("_etl_load_id` STRING" in s and "ALTER" in s for s in fake.statements)


def test_a_table_that_was_not_made_here_gets_our_columns(orders: Resource) -> None:
    made, fake = ready(orders, staged(orders), tables={TABLE: FIELDS})
    made.run()

    assert sum("ADD COLUMN IF NOT EXISTS" in statement for statement in fake.statements) == 3


def test_a_table_that_is_gone_since_sanitize(orders: Resource) -> None:
    made = publisher(orders, staged(orders))
    made.warehouse.tables.clear()

    with pytest.raises(
        StaleError, match=f"table {TABLE} is gone since `sanitize` ran: clear the run from `extract`"
    ):
        made.run()


INCREMENTAL = {"table": (ORDERS, "postgres"), "files": (FILES.format("transactional"), "s3")}
HELD = {"version": 3, "epoch": 0, "watermark": MORNING, "snapshot_at": None}


@pytest.mark.parametrize("mode", ["live", "backfill"])
@pytest.mark.parametrize(("spec", "type_"), INCREMENTAL.values(), ids=INCREMENTAL)
def test_a_table_that_was_dropped_is_not_made_of_the_newest_rows_alone(
    write: Write, spec: str, type_: str, mode: Mode
) -> None:
    resource = resource_of(write, spec, type_=type_)
    made, fake = ready(resource, staged(resource, plan=planned(mode), ddl=(CREATE,)), heads=[HELD])
    fake.tables.clear()

    with pytest.raises(
        TerminalError, match=f"table {TABLE} is not there, but its ledger tells of 3 publishes"
    ):
        made.run()
    assert (fake.jobs, [sql for sql in fake.statements if f"`{TABLE}`" in sql]) == ([], [])


@pytest.mark.parametrize(
    ("spec", "mode"), [(ORDERS, "full_refresh"), ("table: public.orders\nload: catalog", "live")]
)
def test_a_table_that_was_dropped_is_made_again_of_everything(write: Write, spec: str, mode: Mode) -> None:
    resource = resource_of(write, spec)
    made, fake = ready(resource, staged(resource, plan=planned(mode), ddl=(CREATE,)), heads=[HELD])
    fake.tables.clear()
    ours = (*FIELDS, *(Field(name, "STRING") for name in sql.METADATA))

    def query(statement: str, parameters: Mapping[str, Any] | None = None) -> None:
        if statement.startswith(f"CREATE TABLE IF NOT EXISTS `{TABLE}`"):
            fake.tables[TABLE] = ours

    fake.query = query

    assert made.run()["outcome"] == "published"


# What every failure says

GONE = f"BigQuery: Not found: Table {STAGING.replace('.', ':', 1)} was not found in location EU"
EXPLAINED: dict[str, tuple[Callable[[str], TerminalError], str, type[EtlFactoryError], str]] = {
    "head moved": (TerminalError, f"x {sql.MOVED} y", TransientError, "came first; this one will be retried"),
    "rows moved": (TerminalError, f"x {sql.STRAYED} y", TransientError,
                   f"rows of {TABLE} were moved to other partitions meanwhile, .*will be retried"),
    "unbalanced": (TerminalError, f"x {sql.UNBALANCED}, inserted rows", AccountingError,
                   f"rows of staging table {STAGING} do not add"),
    "bad keys": (TerminalError, sql.TOO_MANY_BAD, QuarantineError, r"NULL primary key \(id\) for max_bad_rows"),
    "staging gone": (NotFoundError, GONE, StaleError, f"staging table {STAGING} is gone: clear the run"),
    "anything else": (TerminalError, "BigQuery: no", TerminalError, "^BigQuery: no$"),
    "another table": (NotFoundError, "Not found: Table p:d.t", NotFoundError, "^Not found: Table p:d.t$"),
}  # fmt: skip


@pytest.mark.parametrize(("raised", "text", "kind", "says"), EXPLAINED.values(), ids=EXPLAINED)
def test_a_failed_publish_says_what_to_do(
    write: Write, raised: Callable[[str], TerminalError], text: str, kind: type[EtlFactoryError], says: str
) -> None:
    resource = resource_of(write, f"{ORDERS}\nprimary_key: [id]")
    with pytest.raises(kind, match=says) as failed:
        publisher(resource, staged(resource), failure=raised(text)).run()
    assert type(failed.value) is kind
    assert says.startswith("^") or str(failed.value).startswith("acme__shop.orders: ")


def test_a_snapshot_that_shrank_says_by_how_much(write: Write) -> None:
    made, fake = catalog(write, {"snapshot_at": None})
    fake.failure = TerminalError(f"BigQuery: {sql.SHRUNK}")

    with pytest.raises(TerminalError, match=f"6 rows, over 30% fewer than {TABLE} holds.*max_shrink"):
        made.run()


def test_a_transient_failure_stays_one(orders: Resource) -> None:
    with pytest.raises(TransientError, match="no answer"):
        publisher(orders, staged(orders), failure=TransientError("no answer")).run()


# A full refresh, and a backfill, beside other runs


@pytest.mark.parametrize(
    ("epoch", "outcome"), [(0, "published"), (1, "superseded")], ids=["a live run", "another full refresh"]
)
def test_a_full_refresh_gives_way_to_a_later_refresh_only(orders: Resource, epoch: int, outcome: str) -> None:
    row = {"version": 2, "epoch": epoch, "watermark": LATER, "snapshot_at": datetime.fromisoformat(LATER)}
    plan = planned("full_refresh", window=LIVE)
    made, fake = ready(orders, staged(orders, plan=plan, snapshot_at=NOON), heads=[row])

    assert made.run()["outcome"] == outcome
    if outcome == "published":
        assert fake.parameters["watermark"] == NOON, "the next run reads again what was published meanwhile"


@pytest.mark.parametrize(
    ("mode", "is_checked"), [("live", True), ("backfill", True), ("full_refresh", False)]
)
def test_only_a_full_refresh_may_shrink_a_catalog(write: Write, mode: Mode, is_checked: bool) -> None:
    resource = resource_of(write, "table: public.orders\nload: catalog\nmax_shrink: 0.3")
    head = {"version": 1, "epoch": 0, "watermark": None, "snapshot_at": None}
    made, fake = ready(resource, staged(resource, plan=planned(mode)), heads=[head])
    made.run()

    assert ("least_ratio" in fake.parameters) is is_checked
    assert any("etl-factory: shrunk" in sql for sql in fake.statements) is is_checked


@pytest.mark.parametrize(("mode", "moves"), [("live", True), ("full_refresh", True), ("backfill", False)])
def test_the_head_says_which_column_its_watermark_is_of(orders: Resource, mode: Mode, moves: bool) -> None:
    row = {"version": 2, "epoch": 0, "watermark": MORNING, "snapshot_at": None, "watermark_of": "before"}
    made, fake = ready(orders, staged(orders, plan=planned(mode, window=LIVE)), heads=[row])
    made.run()

    assert fake.parameters["watermark_of"] == (orders.cursor_digest if moves else "before")


# Before any DDL

ADD = {"op": "add", "field": Field("note", "STRING").to_json()}


def test_what_can_be_refused_is_refused_before_any_ddl(orders: Resource) -> None:
    made, fake = ready(orders, staged(orders, ddl=(ADD,)), heads=[])
    made.run()
    checked = next(i for i, sql in enumerate(fake.statements) if sql.startswith("ASSERT"))
    altered = next(i for i, sql in enumerate(fake.statements) if sql.startswith("ALTER TABLE"))
    assert checked < altered

    made, fake = ready(orders, staged(orders), heads=[])
    made.run()
    assert not any(sql.startswith("ASSERT") for sql in fake.statements), (
        "the transaction itself checks all of it"
    )


def test_a_column_that_has_left_the_source_holds_null_in_what_is_published_now(orders: Resource) -> None:
    held = ("id", "updated_at", "left_long_ago", "_etl_load_id", "_etl_deleted_at")

    assert Draft(orders, staged(orders)).publication(held).absent == ("left_long_ago",)


# Deletes

KEYS = f"{STAGING}_keys"
DELETES = f"{ORDERS}\nprimary_key: [id]\ndeletes: {{}}\nmax_deletes: 2.5%"


@pytest.mark.parametrize(
    ("newest", "finds"), [(None, True), (MORNING, True), (NOON, True), (LATER, False)], ids=str
)
def test_only_the_newest_snapshot_tells_what_is_gone(write: Write, newest: str | None, finds: bool) -> None:
    resource = resource_of(write, DELETES.format("remove"))
    made, fake = ready(resource, staged(resource, keys_table=KEYS))
    made.ledger.newest = lambda: newest and datetime.fromisoformat(newest)  # type: ignore[method-assign]  # a fake
    made.run()

    assert ("max_deletes" in fake.parameters) is finds
    assert any(KEYS in statement for statement in fake.statements) is finds
    assert fake.parameters.get("max_deletes", 0.025) == pytest.approx(0.025)


@pytest.mark.parametrize(("mode", "restores"), [("backfill", True), ("full_refresh", False)])
def test_a_run_that_read_no_keys_takes_marks_off_at_most(write: Write, mode: str, restores: bool) -> None:
    resource = resource_of(write, DELETES.format("mark"))
    made = Draft(resource, staged(resource, plan=planned(mode))).publication(())

    assert (made.finds_deletes, made.marks) == (False, restores)


def test_what_is_gone_is_told_with_both_numbers_and_what_to_do(write: Write) -> None:
    resource = resource_of(write, DELETES.format("mark"))
    failure = TerminalError(f"BigQuery: {sql.TOO_MANY_DELETES}, 31 of 120; reason: invalidQuery")

    with pytest.raises(TerminalError) as failed:
        publisher(resource, staged(resource, keys_table=KEYS), failure=failure).run()
    assert str(failed.value) == (
        f"acme__shop.orders: 31 of the 120 rows in {TABLE} are gone at the source, more than max_deletes (2.5%)"
        " allows. Nothing was published. If they really were deleted, raise max_deletes and clear the run from"
        " `extract`; if not, look at the source"
    )


def test_a_run_that_read_nothing_leaves_the_watermark(write: Write) -> None:
    resource = resource_of(write, DELETES.format("mark"))
    nothing = Window("instant", END, datetime(2025, 6, 1, 6, tzinfo=UTC))
    made, fake = ready(resource, staged(resource, plan=planned(window=nothing), keys_table=KEYS))
    made.run()

    assert fake.parameters["watermark"] is None


# Partitions

BY_DAY = f"{ORDERS}\nprimary_key: [{{}}]\npartition_by: updated_at"
DAY = datetime(2025, 6, 1, tzinfo=UTC)
WITHIN = "FROM `{}` AS t\n  WHERE {}) AS t"


def partitioned(write: Write, key: str = "id", **values: Any) -> tuple[Publisher, FakeWarehouse]:
    resource = resource_of(write, BY_DAY.format(key))
    return ready(resource, staged(resource, **values), partitions={TABLE: "updated_at"}, begins=[DAY])


def test_a_merge_looks_at_the_partitions_that_it_was_found_to_touch(write: Write) -> None:
    made, fake = partitioned(write)
    made.run()
    (asked,) = (number for number, sql in enumerate(fake.statements) if " AS part FROM " in sql)

    day = ("t.`updated_at` >= TIMESTAMP '2025-06-01 00:00:00+00:00'"
           " AND t.`updated_at` < TIMESTAMP '2025-06-02 00:00:00+00:00'")  # fmt: skip
    assert asked == len(fake.statements) - 2
    assert WITHIN.format(TABLE, day) in fake.statements[-1]


@pytest.mark.parametrize("partitions", [{TABLE: "updated_at"}, {}], ids=["partitioned", "whole"])
def test_an_empty_load_asks_for_no_partitions_and_looks_at_none(
    write: Write, partitions: dict[str, str]
) -> None:
    made, fake = partitioned(write, rows_read=0, rows_staged=0)
    fake.partitions = partitions
    made.run()

    assert not any(" AS part FROM " in sql for sql in fake.statements)
    assert WITHIN.format(TABLE, "FALSE") in fake.statements[-1]
    assert sql.STRAYED not in fake.statements[-1]


@pytest.mark.parametrize("mode", ["backfill", "replay"])
def test_backfills_and_replays_are_bounded_too(write: Write, mode: Mode) -> None:
    replayed = {"loads": [], "files": [], "entries": 0, "left": {}, "rows": 7}
    made, fake = partitioned(write, plan=planned(mode), extra={"replay": replayed})
    made.run()

    assert "AS t\n  WHERE t.`updated_at` >= TIMESTAMP" in fake.statements[-1]


def test_the_job_goes_by_the_same_id_whatever_is_touched(write: Write) -> None:
    """Else a retry would not find the job of the try before it, which commits while the partitions are asked for."""
    made, fake = partitioned(write)
    made.run()
    again, other = partitioned(write)
    other.begins = [DAY, None]
    again.run()

    assert fake.statements[-1] != other.statements[-1]
    assert fake.jobs == other.jobs


def test_a_table_that_this_publish_makes_is_empty(write: Write) -> None:
    made, fake = partitioned(write, ddl=(CREATE,))
    fake.tables.clear()
    columns = (*FIELDS, *(Field(name, "STRING") for name in sql.METADATA))
    query = fake.query

    def create(statement: str, parameters: Mapping[str, Any] | None = None) -> None:
        query(statement, parameters)
        if statement.startswith(f"CREATE TABLE IF NOT EXISTS `{TABLE}`"):
            fake.tables[TABLE] = columns

    fake.query = create  # type: ignore[method-assign]  # a fake
    made.run()

    assert not any(" AS part FROM " in sql for sql in fake.statements)


@pytest.mark.parametrize("mode", ["live", "full_refresh"])
def test_only_a_merge_into_partitions_is_bounded(orders: Resource, write: Write, mode: Mode) -> None:
    resource = resource_of(write, BY_DAY.format("id")) if mode == "full_refresh" else orders
    for partitions in ({TABLE: "updated_at"}, {}):
        made, fake = ready(resource, staged(resource, plan=planned(mode)), partitions=partitions)
        made.run()
        assert not any(" AS part FROM " in sql for sql in fake.statements)

    unpartitioned, fake = ready(keyed := resource_of(write, BY_DAY.format("id")), staged(keyed))
    unpartitioned.run()
    assert f"LEFT JOIN `{TABLE}` AS t ON" in fake.statements[-1]


def test_staging_that_goes_while_the_partitions_are_asked_for(write: Write) -> None:
    made, fake = partitioned(write)

    def rows(statement: str, **_: object) -> list[dict[str, Any]]:
        if " AS part FROM " in statement:
            raise NotFoundError(GONE)
        return []

    fake.rows = rows  # type: ignore[method-assign,assignment]  # a fake
    with pytest.raises(StaleError, match=f"staging table {STAGING} is gone: clear the run"):
        made.run()


# Columns of ours

CATALOG = "table: public.orders\nload: catalog\nprimary_key: [id]\nhistory: {}"
OWN = {
    "mark": (DELETES.format("mark"), ("_etl_deleted_at",)),
    "remove": (DELETES.format("remove"), ()),
    "snapshots": (CATALOG.format("snapshots"), ("_etl_snapshot_at",)),
    "scd2": (CATALOG.format("scd2"), ("_etl_valid_from", "_etl_valid_to", "_etl_is_current")),
}


@pytest.mark.parametrize(("spec", "own"), OWN.values(), ids=OWN)
def test_a_table_gets_the_columns_that_config_asks_for(write: Write, spec: str, own: tuple[str, ...]) -> None:
    resource = resource_of(write, spec)
    made, fake = ready(resource, staged(resource))
    made.run()
    added = {s.split("`")[-2] for s in fake.statements if "ADD COLUMN IF NOT EXISTS" in s and TABLE in s}

    assert added - set(sql.METADATA) == set(own)

    made, fake = ready(resource, staged(resource, ddl=(CREATE,)))
    made.run()
    created = next(s for s in fake.statements if s.startswith(f"CREATE TABLE IF NOT EXISTS `{TABLE}`"))
    assert all(f"`{name}` " in created for name in own)


def test_a_record_grows_after_the_checks_and_before_the_transaction(orders: Resource) -> None:
    field = Field("a", "RECORD", fields=(Field("x", "INT64"), Field("y", "DATE")))
    made, fake = ready(orders, staged(orders, ddl=({"op": "extend", "field": field.to_json()},)))
    made.run()
    at = fake.statements.index(f"extend {TABLE} {field.ddl}")
    assert any("ASSERT" in statement for statement in fake.statements[:at])
    assert [s for s in fake.statements[:at] if s.startswith("BEGIN TRANSACTION")] == []
    assert any(s.startswith("BEGIN TRANSACTION") for s in fake.statements[at:])


HISTORY = {"_etl_snapshot_at": "snapshots", "_etl_valid_from _etl_valid_to _etl_is_current": "scd2"}
LOST = [(CATALOG.format(kind), columns) for kind in ("none", "snapshots", "scd2") for columns in HISTORY
        if HISTORY[columns] != kind] + [(ORDERS, "_etl_snapshot_at")]  # fmt: skip


@pytest.mark.parametrize(("spec", "columns"), LOST)
def test_a_history_is_neither_replaced_nor_mixed(write: Write, spec: str, columns: str) -> None:
    resource = resource_of(write, spec)
    held = (*FIELDS, *(Field(name, "STRING") for name in (*sql.METADATA, *columns.split())))
    made = publisher(resource, staged(resource, ddl=(ADD,)), tables={TABLE: held})

    with pytest.raises(
        TerminalError, match=rf"holds a history \({HISTORY[columns]}\).* new table with target_table"
    ):
        made.run()
    assert not any("ALTER" in s for s in made.warehouse.statements if TABLE in s)


@pytest.mark.parametrize(("kind", "outcome"), [("scd2", "superseded"), ("snapshots", "published")])
def test_an_older_snapshot_is_left_out_of_versions_alone(write: Write, kind: str, outcome: str) -> None:
    resource = resource_of(write, CATALOG.format(kind))
    head = {"version": 1, "epoch": 0, "watermark": None, "snapshot_at": datetime.fromisoformat(LATER)}
    made, _ = ready(resource, staged(resource, snapshot_at=NOON), heads=[head])

    assert made.run()["outcome"] == outcome


@pytest.mark.parametrize(
    ("kind", "held"),
    [("scd2", "the current rows of "), ("snapshots", "the latest snapshot in "), ("none", "")],
)
def test_what_shrank_is_said_of_what_it_was_compared_with(write: Write, kind: str, held: str) -> None:
    resource = resource_of(write, CATALOG.format(kind))
    made = publisher(resource, staged(resource), failure=TerminalError(sql.SHRUNK))

    with pytest.raises(TerminalError, match=f"7 rows, over 50% fewer than {held}{TABLE} holds"):
        made.run()
