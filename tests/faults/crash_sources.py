"""The six systems that the crash trials read: each table or folder is one trial's own, and changes as it is told."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg2
import pyarrow as pa
import pyarrow.parquet as pq
from crash_cases import Case, Object, Row, State, plain

from demo import systems

ROWS, OBJECTS, OBJECT_ROWS = 60, ("a", "b", "d"), 20
COLUMNS = ("id", "label", "amount", "note")
EXTRA = "extra"
PARTNER = "faults-partner"
TYPES = {
    "postgres": ("bigint", "text", "numeric(38,9)"),
    "mysql": ("bigint", "varchar(100)", "decimal(38,9)"),
    "bigquery": ("INT64", "STRING", "NUMERIC"),
}
NOW = {"postgres": "now()", "mysql": "UTC_TIMESTAMP(6)", "bigquery": "CURRENT_TIMESTAMP()"}
OLD = {
    "postgres": "now() - id * interval '1 hour'",
    "mysql": "UTC_TIMESTAMP(6) - INTERVAL id HOUR",
    "bigquery": "TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL id HOUR)",
}


class Source:
    """One trial's own table or folder.

    `place` is what its YAML says of it; `states` is its past, the latest state last. `source_name` is the name of
    its YAML file.
    """

    def __init__(self, case: Case, name: str, env: Mapping[str, str]) -> None:
        self.case, self.env, self.source_name = case, env, name
        self.name = f"shared.{name}" if case.type == "bigquery" else name
        self.states: list[State] = []
        self.changes = 0
        self.has_extra = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are compared."""
        own = COLUMNS if self.case.is_file else (*COLUMNS, "updated_at")
        return (*own, EXTRA) if self.has_extra else own

    @property
    def place(self) -> dict[str, str]:
        """Say where a resource finds it."""
        raise NotImplementedError

    def seed(self) -> None:
        """Fill it for the first time."""
        raise NotImplementedError

    def change(self, *, grows: bool) -> None:
        """Update, insert and delete; with `grows`, in one more column."""
        raise NotImplementedError

    def look(self) -> State:
        """Read it by a client of the harness's own."""
        raise NotImplementedError

    def drop(self) -> None:
        """Remove it."""
        raise NotImplementedError

    def remember(self) -> None:
        """Append the present state to the past."""
        self.states.append(self.look())

    def mark_read(self) -> None:
        """Note that a run has certainly read the present state."""
        last = self.states[-1]
        self.states[-1] = State(last.rows, last.objects, is_read=True)

    def wide(self, row: Sequence[Any]) -> Row:
        """Return a row as it compares: rows of before the column `extra` hold NULL there."""
        return tuple(plain(value) for value in row) + (None,) * (len(self.columns) - len(row))

    def past(self) -> list[State]:
        """Return all states, in the columns of now."""
        return [
            State(
                tuple(map(self.wide, state.rows)),
                {
                    uri: Object(item.modified, tuple(map(self.wide, item.rows)))
                    for uri, item in state.objects.items()
                },
                state.is_read,
            )
            for state in self.states
        ]


class Table(Source):
    """One table of a database, or of BigQuery."""

    @property
    def place(self) -> dict[str, str]:
        return {"table": self.name}

    @contextmanager
    def session(self) -> Iterator[Any]:
        """Open a cursor whose statements commit together."""
        raise NotImplementedError

    def execute(self, *statements: str) -> None:
        with self.session() as cursor:
            for statement in statements:
                cursor.execute(statement)

    @property
    def is_integer(self) -> bool:
        return self.case.cursor == "bigint"

    def _moment(self, sql: Mapping[str, str]) -> str:
        """Return a cursor's value: every statement with the same one has it for all its rows."""
        return f"{self.changes * 1000}" if self.is_integer else sql[self.case.type]

    def seed(self) -> None:
        id_, text, number = TYPES[self.case.type]
        self.execute(
            f"CREATE TABLE {self.name} (id {id_}, label {text}, amount {number}, note {text},"
            f" updated_at {self.case.cursor})"
        )
        self._insert(1, ROWS)
        old = "id" if self.is_integer else OLD[self.case.type]
        self.execute(
            f"UPDATE {self.name} SET updated_at = {old} WHERE id <= 40",
            f"UPDATE {self.name} SET updated_at = NULL WHERE id <= 3",
        )
        if self.case.twins:
            self.execute(f"INSERT INTO {self.name} SELECT * FROM {self.name} WHERE id IN (2, 10, 20)")
        self.remember()

    def _insert(self, first: int, count: int) -> None:
        moment = self._moment(NOW)
        rows = [
            f"({i}, 'Zażółć {i}', 12345678901234567.{i:09}, NULLIF('n {i % 3}', 'n 0'), {moment})"
            for i in range(first, first + count)
        ]
        self.execute(
            f"INSERT INTO {self.name} ({', '.join((*COLUMNS, 'updated_at'))}) VALUES {', '.join(rows)}"
        )

    def change(self, *, grows: bool) -> None:
        self.changes += 1
        n, moment = self.changes, self._moment(NOW)
        if grows:
            self.execute(f"ALTER TABLE {self.name} ADD COLUMN {EXTRA} {TYPES[self.case.type][1]}")
            self.has_extra = True
        added = f", {EXTRA} = 'x{n}'" if grows else ""
        touched = f"amount = amount + {n}, note = 'changed {n}'{added}"
        self.execute(
            f"UPDATE {self.name} SET {touched}, updated_at = {moment} WHERE id BETWEEN {5 * n} AND {5 * n + 8}",
            f"UPDATE {self.name} SET {touched} WHERE id = 1",
            *(
                [f"DELETE FROM {self.name} WHERE id BETWEEN {40 + 4 * n} AND {43 + 4 * n}"]
                * self.case.loses_rows
            ),
        )
        self._insert(100 * n, 12)
        if self.case.twins:
            again = f"SELECT * FROM {self.name} WHERE id = {100 * n + 1}"
            self.execute(f"INSERT INTO {self.name} {again}")
        self.remember()

    def look(self) -> State:
        with self.session() as cursor:
            cursor.execute(f"SELECT {', '.join(self.columns)} FROM {self.name}")
            return State(tuple(tuple(row) for row in cursor.fetchall()))

    def drop(self) -> None:
        self.execute(f"DROP TABLE IF EXISTS {self.name}")


class Postgres(Table):
    """PostgreSQL."""

    @contextmanager
    def session(self) -> Iterator[Any]:
        with closing(psycopg2.connect(self.env["FAULTS_POSTGRES_URL"])) as connection, connection:
            yield connection.cursor()


class MySQL(Table):
    """MySQL or MariaDB, in UTC."""

    @contextmanager
    def session(self) -> Iterator[Any]:
        with closing(systems.mysql_connection(self.env["FAULTS_MYSQL_URL"])) as connection:
            cursor = connection.cursor()
            cursor.execute("SET time_zone = '+00:00'")
            yield cursor
            connection.commit()


class BigQuery(Table):
    """A table of a project of BigQuery's that is not the tenant's."""

    @property
    def place(self) -> dict[str, str]:
        return {"table": f"{PARTNER}.{self.name}"}

    @contextmanager
    def session(self) -> Iterator[Any]:
        yield _Queries(self.name)


class _Queries:
    """BigQuery behind the two calls of a cursor that are used here."""

    def __init__(self, _: str) -> None:
        self.client, self.rows = systems.bigquery_client(PARTNER), iter(())

    def execute(self, statement: str) -> None:
        self.rows = self.client.query_and_wait(statement)

    def fetchall(self) -> list[tuple[Any, ...]]:
        return [row.values() for row in self.rows]


class Folder(Source):
    """Objects under one prefix of a store."""

    scheme: str

    @property
    def place(self) -> dict[str, str]:
        return {"path": f"{self.scheme}://{self.env['FAULTS_BUCKET']}/{self.name}/**"}

    def put(self, key: str, body: bytes) -> None:
        """Upload one object."""
        raise NotImplementedError

    def remove(self, key: str) -> None:
        """Delete one object."""
        raise NotImplementedError

    def listed(self) -> Iterator[tuple[str, datetime]]:
        """List keys with their modification times."""
        raise NotImplementedError

    def _key(self, name: str) -> str:
        return f"{self.name}/2025/{name} x.{self.case.spec['format']}"

    def seed(self) -> None:
        self.held: dict[str, list[dict[str, Any]]] = {}
        for number, name in enumerate(OBJECTS):
            # Each object shares a few keys with the one before it.
            self._upload(name, self._records(number * (OBJECT_ROWS - 4) + 1, OBJECT_ROWS, name))
        self.remember()

    def _records(self, first: int, count: int, name: str) -> list[dict[str, Any]]:
        records = [
            {
                "id": i,
                "label": f"Zażółć {i} {name}",
                "amount": Decimal(f"12345678901234567.{i:09}"),
                "note": f"n {i}" if i % 3 else None,
            }
            for i in range(first, first + count)
        ]
        return [*records, records[1]] if self.case.twins else records

    def _upload(self, name: str, records: list[dict[str, Any]]) -> None:
        self.put(self._key(name), _spelt(records, self.case.spec["format"]) + self.case.spoilt)
        self.held[self._key(name)] = records

    def change(self, *, grows: bool) -> None:
        self.changes += 1
        n, key = self.changes, self._key("a")
        more = {EXTRA: f"x{n}"} if grows else {}
        self.has_extra = self.has_extra or grows
        changed = [
            {**record, "amount": record["amount"] + n, "note": f"changed {n}"} if record["id"] % 2 else record
            for record in self.held[key]
        ]
        self._upload("a", [*changed, *self._records(100 * n, 3, "a")])
        self._upload(
            f"c{n}", [{**record, **more} for record in self._records(100 * n + 1, OBJECT_ROWS, f"c{n}")]
        )
        if self.case.loses_rows and n == 1:
            self.remove(self._key("d"))
            del self.held[self._key("d")]
        self.remember()

    def look(self) -> State:
        modified = dict(self.listed())
        return State(
            objects={
                self._uri(key): Object(modified[key], tuple(self._row(record) for record in records))
                for key, records in self.held.items()
            }
        )

    def _row(self, record: Mapping[str, Any]) -> Row:
        return tuple(record.get(name) for name in self.columns)

    def _uri(self, key: str) -> str:
        return f"{self.scheme}://{self.env['FAULTS_BUCKET']}/{key}"

    def drop(self) -> None:
        for key, _ in list(self.listed()):
            self.remove(key)


class GCS(Folder):
    """Google Cloud Storage."""

    scheme = "gs"

    def _bucket(self) -> Any:
        return systems.storage_client().bucket(self.env["FAULTS_BUCKET"])

    def put(self, key: str, body: bytes) -> None:
        self._bucket().blob(key).upload_from_string(body)

    def remove(self, key: str) -> None:
        self._bucket().blob(key).delete()

    def listed(self) -> Iterator[tuple[str, datetime]]:
        for blob in systems.storage_client().list_blobs(self.env["FAULTS_BUCKET"], prefix=f"{self.name}/"):
            yield blob.name, blob.updated


class S3(Folder):
    """Amazon S3."""

    scheme = "s3"

    def put(self, key: str, body: bytes) -> None:
        systems.s3_client(self.env).put_object(Bucket=self.env["FAULTS_BUCKET"], Key=key, Body=body)

    def remove(self, key: str) -> None:
        systems.s3_client(self.env).delete_object(Bucket=self.env["FAULTS_BUCKET"], Key=key)

    def listed(self) -> Iterator[tuple[str, datetime]]:
        answer = systems.s3_client(self.env).list_objects_v2(
            Bucket=self.env["FAULTS_BUCKET"], Prefix=f"{self.name}/"
        )
        for item in answer.get("Contents", ()):
            yield item["Key"], item["LastModified"].astimezone(UTC)


class Azure(Folder):
    """Azure Blob Storage."""

    scheme = "az"

    def _container(self) -> Any:
        return systems.azure_client(self.env).get_container_client(self.env["FAULTS_BUCKET"])

    def put(self, key: str, body: bytes) -> None:
        with self._container() as container:
            container.upload_blob(key, body, overwrite=True)

    def remove(self, key: str) -> None:
        with self._container() as container:
            container.delete_blob(key)

    def listed(self) -> Iterator[tuple[str, datetime]]:
        with self._container() as container:
            for blob in container.list_blobs(name_starts_with=f"{self.name}/"):
                yield blob.name, blob.last_modified.astimezone(UTC)


SOURCES: dict[str, type[Source]] = {
    "postgres": Postgres, "mysql": MySQL, "bigquery": BigQuery, "gcs": GCS, "s3": S3, "azure_blob": Azure,
}  # fmt: skip


def source_of(case: Case, name: str, env: Mapping[str, str]) -> Source:
    """Return a trial's source, which does not exist yet."""
    return SOURCES[case.type](case, name, env)


def _spelt(records: list[dict[str, Any]], format_: str) -> bytes:
    """Spell records as a file."""
    return {"csv": _csv, "jsonl": _jsonl, "parquet": _parquet}[format_](records)


def _csv(records: list[dict[str, Any]]) -> bytes:
    target = io.StringIO()
    names = [*COLUMNS, *([EXTRA] if EXTRA in records[0] else [])]
    writer = csv.DictWriter(target, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return target.getvalue().encode()


def _jsonl(records: list[dict[str, Any]]) -> bytes:
    lines = (
        json.dumps(record | {"amount": "AMOUNT"}, ensure_ascii=False).replace(
            '"AMOUNT"', str(record["amount"])
        )
        for record in records
    )
    return "".join(f"{line}\n" for line in lines).encode()


def _parquet(records: list[dict[str, Any]]) -> bytes:
    fields = [
        ("id", pa.int64()),
        ("label", pa.string()),
        ("amount", pa.decimal128(38, 9)),
        ("note", pa.string()),
    ]
    fields += [(EXTRA, pa.string())] if EXTRA in records[0] else []
    target = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(records, pa.schema(fields)), target)
    return target.getvalue()
