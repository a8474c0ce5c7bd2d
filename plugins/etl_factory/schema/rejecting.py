"""Describes the rows that cannot be loaded: which column, its raw value, and the whole row as it came."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from etl_factory.schema.contract import Column
from etl_factory.schema.raw import pack
from etl_factory.schema.rows import Batch, Reject, bounded
from etl_factory.schema.types import is_text


def bad_rows(batch: Batch, bad: list[tuple[Column, pa.Array]]) -> Iterator[tuple[int, list[Column]]]:
    """Yield each bad row's bad columns in its own order, so that its first is named whatever the table's order."""
    found: dict[int, dict[str, Column]] = {}
    for column, mask in bad:
        for index in pc.indices_nonzero(mask).to_pylist():
            found.setdefault(index, {})[column.original] = column
    for index in sorted(found):
        yield index, [found[index][name] for name in batch.names(index) if name in found[index]]


def rejected(
    batch: Batch, index: int, column: Column, keys: tuple[str, ...], packed_as: pa.Schema | None
) -> Reject:
    """Set a row aside because of one column, told by `keys`; packed for a replay if a schema to pack it as is given."""
    row = {name: _shown(batch.rows.column(name), index) for name in batch.names(index)}
    reason = column.must_be_null or f"not a {column.field.ddl} that BigQuery can hold exactly"
    record = batch.records[index].as_py()
    return Reject(
        record=record,
        line=batch.line(record),
        column=column.original,
        value=bounded(_text(row[column.original])),
        reason=reason,
        row=bounded(_json(row)),
        key=bounded(_json({name: row.get(name) for name in keys})) if keys else None,
        raw=None if packed_as is None else pack(batch.rows.slice(index, 1), packed_as),
    )


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, default=_text, ensure_ascii=False)


def _shown(array: pa.Array, index: int) -> Any:
    """Return a value for people; Python has no dates after 9999, no nanoseconds and no broken text."""
    try:
        return array[index].as_py()
    except (ValueError, OverflowError):
        one = array.slice(index, 1)
    if is_text(one.type):
        return one.cast(pa.binary())[0].as_py().decode(errors="backslashreplace")
    if pa.types.is_date(one.type):
        return (
            f"{one.view(pa.int32() if one.type.bit_width == 32 else pa.int64())[0]} ({one.type} since 1970)"
        )
    if pa.types.is_temporal(one.type):
        return f"{one.view(pa.int64())[0]} ({one.type} since 1970)"
    return one.to_string()


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime | date | time) else str(value)
