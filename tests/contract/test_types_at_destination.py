"""Every type of every source, value by value at its destination: exact, or quarantined with a reason."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from bigquery_values import BIGQUERY, BIGQUERY_ROWS
from destination import BUCKET, PROJECT, Destination, Published
from file_values import (
    CSV,
    CSV_ASIDE,
    CSV_TYPES,
    INT96,
    JSON,
    JSON_ASIDE,
    PARQUET,
    PARQUET_ASIDE,
    csv_file,
    json_file,
    parquet_file,
)  # fmt: skip
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery, storage
from table_systems import Column, System
from type_values import ASIDE, MORE, SET_UP, TOO_WIDE_HERE

from etl_factory.landing.manifest import Part
from etl_factory.operators import sanitizing
from etl_factory.operators.references import referred
from etl_factory.schema.naming import column_name
from etl_factory.sources.base import Selection
from tally import TALLIES, Tally

pytestmark = [
    pytest.mark.stack,
    # google's own: its clients leave connections to the garbage collector
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]
Aside = Mapping[str, tuple[Any, ...]]
# The columns of a Parquet file that BigQuery loads as they are.
CLEAN = (
    "truth", "int_8", "int_16", "int_32", "int_64", "float_32", "float_64", "decimal_9_2", "decimal_full", "words",
    "long_words", "few_words", "bytes", "long_bytes", "fixed_bytes", "day", "day_64", "clock_us", "local_us",
    "moment_us", "moment_zone",
)  # fmt: skip
COMPUTED = {
    "postgres": (
        "CREATE TABLE typed (LIKE typed_once, doubled bigint GENERATED ALWAYS AS (small::bigint * 2) STORED)"
        " PARTITION BY RANGE (id)",
        "CREATE TABLE typed_few PARTITION OF typed FOR VALUES FROM (MINVALUE) TO (1)",
        "CREATE TABLE typed_many PARTITION OF typed FOR VALUES FROM (1) TO (MAXVALUE)",
        "INSERT INTO typed SELECT * FROM typed_once",
    ),
    "mysql": (
        "ALTER TABLE typed_once ADD COLUMN doubled bigint AS (small * 2) STORED,"
        " ADD COLUMN doubled_anew bigint AS (small * 2) VIRTUAL",
        "RENAME TABLE typed_once TO typed",
    ),
}


@pytest.fixture
def destination(stack: dict[str, str], tmp_path: Path) -> Iterator[Destination]:
    """Return datasets of its own, and the landing bucket."""
    landing = storage.Client(PROJECT, AnonymousCredentials())
    if not landing.lookup_bucket(BUCKET):
        landing.create_bucket(BUCKET)
    client = bigquery.Client(PROJECT, AnonymousCredentials())
    made = Destination(tmp_path, client)
    yield made
    for name in (made.dataset, f"{made.dataset}_etl"):
        client.delete_dataset(name, delete_contents=True, not_found_ok=True)


def spread(columns: dict[str, Column], aside: Aside, null: Any = "NULL") -> dict[str, Column]:
    """Give each value that cannot be held a row of its own, after the rows of those that can."""
    held = {name: [v for v in of.values if v[1] not in aside.get(name, ())] for name, of in columns.items()}
    rows = count(max(map(len, held.values())))
    for name, of in columns.items():
        for value in of.values:
            if value not in held[name]:
                row = next(rows)
                held[name] += [(null, None)] * (row - len(held[name])) + [value]
    return {name: replace(of, values=tuple(held[name])) for name, of in columns.items()}


def held_rows(columns: dict[str, Column]) -> dict[int, dict[str, Any]]:
    """Return what the source holds, by `id`."""
    length = max(len(of.values) for of in columns.values())
    return {
        i: {name: of.values[i][1] for name, of in columns.items() if i < len(of.values)}
        for i in range(length)
    }


def unfit(columns: dict[str, Column], aside: Aside) -> set[tuple[str, str]]:
    """Return column and value of what must be quarantined."""
    held = {(name, value) for name, of in columns.items() for _, value in of.values}
    return {(name, str(value)) for name, value in held if value in aside.get(name, ())}


def load(
    system: System,
    destination: Destination,
    table: str,
    patch: pytest.MonkeyPatch,
    as_text: Iterable[str] = (),
) -> Published:
    to = system.connection
    address = f"{system.name}://{to.login}:{to.password}@{to.host}:{to.port}/{to.database}"
    patch.setenv("AIRFLOW_CONN_ACME__CONTRACT", address)
    types = ", ".join(f"{name}: STRING" for name in as_text)
    return destination.publish(
        table, system.name, f"table: {system.schema}{table}\n    columns: {{types: {{{types}}}}}"
    )


class TestTables:
    def test_every_type(
        self, system: System, destination: Destination, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A partitioned table, where the system has them, with generated columns."""
        aside = ASIDE[system.name]
        columns = spread(system.columns | MORE[system.name], aside)
        system.execute(*SET_UP[system.name])
        system.create("typed_once", columns)
        system.execute(*COMPUTED[system.name])
        with system.source().snapshot(Selection(table="typed")) as snapshot:
            declared = {field.name: field.type for field in snapshot.schema}
        assert {name: declared[name] for name in columns} == {
            name: of.declared for name, of in columns.items()
        }

        found = load(system, destination, "typed", monkeypatch, TOO_WIDE_HERE[system.name])

        tally = found.weigh(
            system.source_class.title, held_rows(columns), {n: column_name(n) for n in columns}
        )
        assert (tally.changed, tally.lost) == ([], [])
        assert found.reasons == unfit(system.columns | MORE[system.name], aside)
        twice = {
            row["doubled"]
            for row in found.rows
            if row["small"] is not None
            if row["doubled"] == row["small"] * 2
        }
        assert len(twice) == len({row["small"] for row in found.rows} - {None})

    def test_odd_times_through_a_view(
        self, system: System, destination: Destination, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        aside = ASIDE[system.name]
        columns = spread(system.odd_columns, aside)
        system.create("odd_times_once", columns)
        system.execute("CREATE VIEW odd_times_seen AS SELECT * FROM odd_times_once")

        found = load(system, destination, "odd_times_seen", monkeypatch)

        tally = found.weigh(system.source_class.title, held_rows(columns), {n: n for n in columns})
        assert (tally.changed, tally.lost) == ([], [])
        assert found.reasons == unfit(system.odd_columns, aside)


class TestFiles:
    def put(self, destination: Destination, **files: bytes) -> str:
        """Write files into a folder of their own, and return the pattern that finds them."""
        landing = storage.Client(PROJECT, AnonymousCredentials())
        for name, data in files.items():
            landing.bucket(BUCKET).blob(f"{destination.dataset}/{name}").upload_from_string(data)
        return f"gs://{BUCKET}/{destination.dataset}/*"

    def check(self, title: str, found: Published, columns: dict[str, Column], aside: Aside) -> None:
        tally = found.weigh(title, held_rows(columns), {name: name for name in columns})
        assert (tally.changed, tally.lost) == ([], [])
        assert found.ids_aside == {
            row
            for name, of in columns.items()
            for row, (_, value) in enumerate(of.values)
            if value in aside.get(name, ())
        }

    def test_parquet(self, destination: Destination) -> None:
        columns = spread(PARQUET, PARQUET_ASIDE, None)
        first = max(len(of.values) for of in columns.values())
        old = spread(INT96, PARQUET_ASIDE, None)
        files = {
            "new": parquet_file(columns),
            "old": parquet_file(old, first, use_deprecated_int96_timestamps=True, store_schema=False),
        }
        found = destination.publish(
            "parquet", "gcs", f"path: {self.put(destination, **files)}\n    format: parquet", ""
        )
        moved = {n: replace(of, values=((None, None),) * first + of.values) for n, of in old.items()}
        self.check("Parquet files", found, columns | moved, PARQUET_ASIDE)
        assert {name: found.types[name] for name in INT96} == dict.fromkeys(INT96, "TIMESTAMP")

    def test_parquet_as_it_is(self, destination: Destination, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is loaded from the file itself is just what is loaded after cleaning."""
        taken: list[Part | None] = []

        def referring(*arguments: Any) -> Part | None:
            taken.append(referred(*arguments))
            return taken[-1]

        monkeypatch.setattr(sanitizing, "referred", referring)
        held = {
            name: replace(of, values=tuple(v for v in of.values if v[1] not in PARQUET_ASIDE.get(name, ())))
            for name, of in PARQUET.items()
            if name in CLEAN
        }
        reads = f"path: {self.put(destination, a=parquet_file(held))}\n    format: parquet"
        found = destination.publish("alone", "gcs", reads, "")

        assert [part and part.rows for part in taken] == [4]
        self.check("Parquet files", found, held, {})
        uri = f"gs://{BUCKET}/{destination.dataset}/a"
        assert {row["_etl_source_uri"] for row in found.rows} == {uri}

    def test_json_lines(self, destination: Destination) -> None:
        columns = spread(JSON, JSON_ASIDE, None)
        reads = f"path: {self.put(destination, a=json_file(columns))}\n    format: jsonl"
        found = destination.publish("jsonl", "gcs", reads, "")
        self.check("JSON Lines files", found, columns, JSON_ASIDE)

    def test_csv(self, destination: Destination) -> None:
        columns = spread(CSV, CSV_ASIDE, None)
        types = ", ".join(f"{name}: {type_}" for name, type_ in CSV_TYPES.items())
        reads = f"path: {self.put(destination, a=csv_file(columns))}\n    format: csv"
        reads += f"\n    columns: {{types: {{{types}}}}}"
        found = destination.publish("csv", "gcs", reads, "")
        self.check("CSV files", found, columns, CSV_ASIDE)


def test_bigquery(destination: Destination) -> None:
    """Rows never leave BigQuery: what its client shows of the source it must show of the published table."""
    client, table = destination.client, f"{PROJECT}.{destination.dataset}.source"
    client.create_dataset(destination.dataset)
    listed = ", ".join(f"{name} {type_}" for name, type_ in BIGQUERY.items())
    client.query_and_wait(f"CREATE TABLE `{table}` (id INT64, {listed})")
    client.query_and_wait(f"INSERT INTO `{table}` SELECT 0, {', '.join(BIGQUERY_ROWS)}")
    client.query_and_wait(f"INSERT INTO `{table}` (id) VALUES (1)")

    found = destination.publish("copied", "bigquery", f"table: {table}", "")

    held = {row["id"]: dict(row.items()) for row in client.query_and_wait(f"SELECT * FROM `{table}`")}
    tally = TALLIES.setdefault("BigQuery", Tally())
    for id_, row in {row["id"]: row for row in found.as_shown}.items():
        for name in BIGQUERY:
            if repr(row[name]) == repr(held[id_][name]):
                tally.exact += row[name] not in (None, [])
            else:
                tally.changed.append(f"{name}: {held[id_][name]!r} is {row[name]!r}")
    assert tally.changed == []
    assert tally.exact == len(BIGQUERY)
    assert len(held) == len(found.rows) == 2


# The same two rows, load after load: what the file says, and what must be published of it. The local server refuses
# what BigQuery does next, from NUMERIC to BIGNUMERIC.
GROWTH: list[tuple[bytes, str, list[Any], list[Any]]] = [
    (b"id,amount,note\n1,9223372036854775807,x\n2,-9,y\n", "INTEGER", [2**63 - 1, -9], ["x", "y"]),
    (b"id,amount,note\n1,0.5,x\n2,-9,z\n", "NUMERIC", [Decimal("0.5"), -9], ["x", "z"]),
    (b"id,amount\n1,3\n2,4.25\n", "NUMERIC", [3, Decimal("4.25")], [None, None]),
]


def test_files_widen_their_table_and_every_value_stays_right(destination: Destination) -> None:
    for content, type_, amounts, notes in GROWTH:
        path = TestFiles().put(destination, a=content)
        found = destination.publish("grown", "gcs", f"path: {path}\n    format: csv", "")
        rows = sorted(found.rows, key=lambda row: row["id"])
        assert found.types["amount"] == type_
        assert [row["amount"] for row in rows] == amounts
        assert [row["note"] for row in rows] == notes

    ledger = f"{PROJECT}.{destination.dataset}_etl._loads__grown__every"
    kept = destination.client.query_and_wait(
        f"SELECT schema_changes, declared_schema FROM `{ledger}` WHERE kind = 'load' ORDER BY version"
    )
    changes, schemas = zip(*(tuple(row.values()) for row in kept), strict=True)
    assert ["is widened from INT64 to NUMERIC" in said for said in changes] == [False, True, False]
    assert ["column note of" in said for said in changes] == [False, False, True]
    assert [name for name, _ in json.loads(schemas[-1])["columns"]] == ["id", "amount", "note"]
