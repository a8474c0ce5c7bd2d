"""One relation of BigQuery as an extract sees it: counted, measured and copied as one state.

A stored table is read as of one moment: counted, measured and copied at that moment, whatever arrives meanwhile.
What has no past that may be asked for (a query, a view, an external table, a table under row-level policies)
is copied and counted in one transaction, which sees one state of all tables behind it.
The keys of all rows, where deletes are looked for, are read as of that moment, or in that transaction, too.
https://cloud.google.com/bigquery/docs/access-historical-data
https://cloud.google.com/bigquery/docs/transactions
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC

from etl_factory.errors import ConfigError, NotFoundError, TerminalError
from etl_factory.schema.types import Field
from etl_factory.sources._bigquery_masks import masked, masked_field
from etl_factory.sources._sql import choose_columns
from etl_factory.sources.base import Selection, WindowBasis
from etl_factory.sources.bigquery import CURSORS, literal, predicate, quoted, relation
from etl_factory.warehouse.client import Warehouse
from etl_factory.warehouse.refusals import bigquery_errors
from etl_factory.windows import CursorKind, Window

CHANGED = "etl-factory: source changed"


@dataclass(frozen=True)
class Staging:
    """The staging tables of one attempt: `keys` holds the source's keys, and is empty where none are asked for."""

    table: str
    keys: str = ""
    key_fields: tuple[Field, ...] = ()


class BigQuerySnapshot(WindowBasis):
    """One relation of BigQuery; `now` is BigQuery's own clock, to the millisecond in which it keeps a table's past.

    `is_fixed`: everything is read as of `now`, so that it can be asked any number of times.
    """

    def __init__(self, reader: Warehouse, chosen: Selection, conn_id: str) -> None:
        self.reader, self.chosen = reader, chosen
        self.name = f"{conn_id}: {chosen.table or 'query'}"
        clock = "SELECT TIMESTAMP_TRUNC(CURRENT_TIMESTAMP(), MILLISECOND) AS now"
        self.now = reader.rows(clock)[0]["now"].astimezone(UTC)
        self._relation = relation(chosen.table, chosen.query)
        past = self._past()
        self.is_fixed = past is not None
        everything = past or self._present()
        self._raw = {field.name: field for field in choose_columns(everything, chosen, self.name)}
        self.fields = tuple(
            masked_field(field, chosen.mask[name]) if name in chosen.mask else field
            for name, field in self._raw.items()
        )
        self._types = {field.name: field.type for field in everything}

    def _past(self) -> tuple[Field, ...] | None:
        """Go on with the table as of `now` and return its fields; None where there is no asking for the past."""
        name = (self.chosen.table or "").replace("`", "")
        if name.count(".") != 2 or "*" in name:
            return None
        now = f"{self._relation} FOR SYSTEM_TIME AS OF {literal(self.now)}"
        with contextlib.suppress(TerminalError):
            held = self.reader.table(name)
            if held is not None and held.table_type == "TABLE":
                fields = self._fields(now)
                self._relation = now
                return fields
        return None

    def _present(self) -> tuple[Field, ...]:
        with self._named():
            return self._fields(self._relation)

    def _fields(self, source: str) -> tuple[Field, ...]:
        with bigquery_errors():
            schema = self.reader.query(f"SELECT * FROM {source} LIMIT 0").result().schema
        return tuple(_nullable(Field.from_api(field.to_api_repr())) for field in schema)

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except NotFoundError as error:
            raise NotFoundError(
                f"{self.name}: {error}. Correct `table`, or grant this identity access"
            ) from error

    def cursor_kind(self) -> CursorKind:
        """Classify the cursor column by its type."""
        type_ = self._types.get(self.chosen.cursor or "", "unknown")
        if type_ not in CURSORS:
            raise ConfigError(
                f"cursor {self.chosen.cursor!r} of {self.name} is of type {type_}: a cursor is a TIMESTAMP, a"
                " DATETIME, a DATE or an INT64"
            )
        return CURSORS[type_]

    def greatest(self) -> int | None:
        """Return the greatest value of an integer cursor."""
        column = quoted(self.chosen.cursor or "")
        rows = self.reader.rows(f"SELECT MAX({column}) AS greatest FROM {self._relation}")
        value: int | None = rows[0]["greatest"]
        return value

    def count(self, window: Window | None) -> int:
        """Count the window's rows."""
        return int(self.reader.rows(self._select("COUNT(*) AS n", window))[0]["n"])

    def key_fields(self, keys: tuple[str, ...]) -> tuple[Field, ...]:
        """Return the fields of the key columns."""
        return tuple(field for field in self.fields if field.name in keys)

    def copy(self, staging: Staging, window: Window | None, limit: int | None = None) -> str:
        """Return the script that puts the window's rows, `limit` at most, and all keys into staging.

        It counts them itself, in one transaction, if nothing is fixed.
        """
        steps = self._copied(staging.table, self.fields, window, limit)
        if staging.keys:
            steps = (*steps, *self._copied(staging.keys, staging.key_fields, None))
        script = ";\n".join(steps if self.is_fixed else ("BEGIN TRANSACTION", *steps, "COMMIT TRANSACTION"))
        return f"{script};" if len(steps) > 1 else script

    def _copied(
        self, table: str, fields: tuple[Field, ...], window: Window | None, limit: int | None = None
    ) -> tuple[str, ...]:
        columns = ", ".join(quoted(field.name) for field in fields)
        most = "" if limit is None else f" LIMIT {limit}"
        values = ", ".join(self._value(field.name) for field in fields)
        insert = f"INSERT INTO {quoted(table)} ({columns})\n{self._select(values, window)}{most}"
        if self.is_fixed:
            return (insert,)
        count = f"({self._select('COUNT(*)', window)})"
        count = count if limit is None else f"LEAST({limit}, {count})"
        return insert, f"ASSERT @@row_count = {count} AS '{CHANGED}'"

    def _value(self, name: str) -> str:
        """Return what is selected of a column: itself, or what hides it, so that no staging table holds its values."""
        mask = self.chosen.mask.get(name)
        return masked(quoted(name), self._raw[name], mask) if mask else quoted(name)

    def _select(self, what: str, window: Window | None) -> str:
        return f"SELECT {what} FROM {self._relation}{predicate(self.chosen.cursor, window)}"


def _nullable(field: Field) -> Field:
    mode = "REPEATED" if field.mode == "REPEATED" else "NULLABLE"
    return Field(field.name, field.type, mode, field.fields)  # type: ignore[arg-type]  # one of the modes
