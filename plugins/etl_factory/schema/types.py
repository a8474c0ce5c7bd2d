"""The one table from Arrow types to BigQuery's, and a BigQuery field as plain data.

Parquet to BigQuery: https://cloud.google.com/bigquery/docs/loading-data-cloud-storage-parquet#parquet_conversions
DECIMAL loads as NUMERIC or BIGNUMERIC by the declared schema; TIMESTAMP_MICROS as TIMESTAMP when
isAdjustedToUTC, else DATETIME; TIME_MICROS as TIME; JSON does not load from Parquet at all, so it is
staged as STRING and parsed at publish. BIGNUMERIC is staged as STRING too: few Parquet readers keep 76 digits.
Limits: https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from etl_factory.errors import SchemaError

if TYPE_CHECKING:
    import pyarrow as pa

Mode = Literal["NULLABLE", "REQUIRED", "REPEATED"]
# The REST API answers with these older words: https://cloud.google.com/bigquery/docs/reference/rest/v2/tables
_FROM_API = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "STRUCT": "RECORD"}
# A range is of DATE, DATETIME or TIMESTAMP, which DDL writes as one type and the REST API apart.
_RANGE = re.compile(r"RANGE<(\w+)>")
NUMERIC_DIGITS, NUMERIC_SCALE = 29, 9
BIGNUMERIC_DIGITS, BIGNUMERIC_SCALE = 38, 38
# A key must be comparable: https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types#groupable_data_types
KEY_TYPES = frozenset(
    {"STRING", "BYTES", "INT64", "NUMERIC", "BIGNUMERIC", "BOOL", "DATE", "DATETIME", "TIME", "TIMESTAMP"}
)


@dataclass(frozen=True)
class Field:
    """One column of a BigQuery table; `fields` are those of a RECORD."""

    name: str
    type: str
    mode: Mode = "NULLABLE"
    fields: tuple[Field, ...] = ()
    description: str = ""

    def to_json(self) -> dict[str, Any]:
        """Encode as JSON-ready values."""
        return {
            "name": self.name,
            "type": self.type,
            "mode": self.mode,
            "fields": [field.to_json() for field in self.fields],
            "description": self.description,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Field:
        """Decode what `to_json` gave."""
        return cls(**{**document, "fields": tuple(map(cls.from_json, document["fields"]))})

    @classmethod
    def from_api(cls, resource: Mapping[str, Any]) -> Field:
        """Read a `TableFieldSchema` of BigQuery's REST API."""
        type_ = str(resource["type"]).upper()
        if element := resource.get("rangeElementType"):
            type_ = f"RANGE<{element['type']}>"
        return cls(
            name=resource["name"],
            type=_FROM_API.get(type_, type_),
            mode=resource.get("mode") or "NULLABLE",
            fields=tuple(map(cls.from_api, resource.get("fields") or ())),
            description=resource.get("description") or "",
        )

    def to_api(self, *, staged: bool = False) -> dict[str, Any]:
        """Write a `TableFieldSchema`; as staged, JSON is STRING and nothing is REQUIRED."""
        document: dict[str, Any] = {
            "name": self.name,
            "type": self.staged_type if staged else self.type,
            "mode": "NULLABLE" if staged and self.mode == "REQUIRED" else self.mode,
        }
        if element := _RANGE.fullmatch(self.type):
            document |= {"type": "RANGE", "rangeElementType": {"type": element[1]}}
        if self.fields:
            document["fields"] = [field.to_api(staged=staged) for field in self.fields]
        return document

    @property
    def staged_type(self) -> str:
        """Type in the staging table, which is loaded from Parquet."""
        return "STRING" if self.type in ("JSON", "BIGNUMERIC", "GEOGRAPHY", "INTERVAL") else self.type

    @property
    def is_nested(self) -> bool:
        """Whether its values have parts: a RECORD, or a list of anything."""
        return self.type == "RECORD" or self.mode == "REPEATED"

    @property
    def has_lists(self) -> bool:
        """Whether its values are lists, or have any in them."""
        return self.mode == "REPEATED" or any(part.has_lists for part in self.fields)

    @property
    def ddl(self) -> str:
        """Type as written in DDL, e.g. `ARRAY<STRUCT<a INT64>>`."""
        inner = self.type
        if self.type == "RECORD":
            inner = f"STRUCT<{', '.join(f'`{field.name}` {field.ddl}' for field in self.fields)}>"
        return f"ARRAY<{inner}>" if self.mode == "REPEATED" else inner


def extended(resource: Mapping[str, Any], field: Field) -> dict[str, Any]:
    """Return a `TableFieldSchema` with the parts of a field that it lacks added; all else stays as it is."""
    parts = {part.name.lower(): part for part in field.fields}
    held = [
        extended(part, parts[part["name"].lower()]) if part["name"].lower() in parts else part
        for part in resource.get("fields") or ()
    ]
    known = {part["name"].lower() for part in held}
    new = [part.to_api() for name, part in parts.items() if name not in known]
    return {**resource, "fields": [*held, *new]} if held or new else dict(resource)


def field_of(arrow: pa.Field, name: str) -> Field:
    """Return the BigQuery field that holds every value of an Arrow field.

    Raises SchemaError for a type that BigQuery cannot hold and text cannot spell.
    """
    return Field(name, scalar_type(arrow.type, arrow.name))


def scalar_type(type_: pa.DataType, column: str) -> str:
    """Return the BigQuery type of an Arrow type; nested values become JSON, which keeps them exact."""
    import pyarrow.types as t

    if t.is_dictionary(type_) or t.is_run_end_encoded(type_):
        return scalar_type(type_.value_type, column)
    if t.is_decimal(type_):
        return decimal_type(type_.precision, type_.scale)
    if t.is_uint64(type_):
        return "NUMERIC"
    if t.is_timestamp(type_):
        return "TIMESTAMP" if type_.tz else "DATETIME"
    for test, name in (
        (lambda x: is_json(x) or t.is_nested(x), "JSON"),
        (t.is_boolean, "BOOL"),
        (t.is_integer, "INT64"),
        (t.is_floating, "FLOAT64"),
        (t.is_date, "DATE"),
        (t.is_time, "TIME"),
        (lambda x: is_text(x) or t.is_null(x) or is_uuid(x), "STRING"),
        (is_binary, "BYTES"),
    ):
        if test(type_):
            return name
    raise SchemaError(
        f"column {column!r} has Arrow type {type_}, which BigQuery cannot hold: leave it out with columns.exclude"
    )


def may_be_unfit(type_: pa.DataType) -> bool:
    """Whether a source's values of a type may be none of BigQuery's: beyond its calendar, its digits or its JSON."""
    import pyarrow as pa
    import pyarrow.types as t

    if t.is_dictionary(type_) or t.is_run_end_encoded(type_):
        return may_be_unfit(type_.value_type)
    is_free = type_.equals(pa.decimal256(BIGNUMERIC_DIGITS + BIGNUMERIC_SCALE, BIGNUMERIC_SCALE))
    return bool(t.is_temporal(type_) or is_json(type_) or t.is_nested(type_) or is_free)


def is_untyped(type_: pa.DataType) -> bool:
    """Whether a type has no value but NULL."""
    import pyarrow.types as t

    if t.is_dictionary(type_) or t.is_run_end_encoded(type_):
        return is_untyped(type_.value_type)
    return bool(t.is_null(type_))


def is_text(type_: pa.DataType) -> bool:
    """Whether a type is one of Arrow's spellings of text."""
    import pyarrow.types as t

    return bool(t.is_string(type_) or t.is_large_string(type_) or t.is_string_view(type_))


def is_binary(type_: pa.DataType) -> bool:
    """Whether a type is one of Arrow's spellings of bytes."""
    import pyarrow.types as t

    tests = (t.is_binary, t.is_large_binary, t.is_binary_view, t.is_fixed_size_binary)
    return any(test(type_) for test in tests)


def is_json(type_: pa.DataType) -> bool:
    """Whether a type is Arrow's JSON."""
    return str(type_) == "extension<arrow.json>"


def raw_json() -> pa.DataType:
    """Return the type of JSON that is kept as text, so that a key may stand in it twice; `is_json` takes it too."""
    import pyarrow as pa

    return pa.json_(pa.large_string())


def is_parsed_json(type_: pa.DataType) -> bool:
    """Whether a type is JSON that went through a parser, which kept each key once."""
    return is_json(type_) and not type_.equals(raw_json())


def is_uuid(type_: pa.DataType) -> bool:
    """Whether a type is Arrow's UUID."""
    return str(type_) == "extension<arrow.uuid>"


def decimal_type(precision: int, scale: int) -> str:
    """Return the narrowest BigQuery type that holds every decimal(precision, scale) exactly."""
    whole = precision - scale
    if scale <= NUMERIC_SCALE and whole <= NUMERIC_DIGITS:
        return "NUMERIC"
    if scale <= BIGNUMERIC_SCALE and whole <= BIGNUMERIC_DIGITS:
        return "BIGNUMERIC"
    return "STRING"


def staged_arrow(field: Field) -> pa.DataType:
    """Return the Arrow type that a field's staged Parquet column has."""
    import pyarrow as pa

    if field.mode == "REPEATED":
        return pa.list_(pa.field("element", staged_arrow(replace(field, mode="NULLABLE"))))
    if field.type == "RECORD":
        return pa.struct([pa.field(part.name, staged_arrow(part)) for part in field.fields])
    scalars: dict[str, pa.DataType] = {
        "INT64": pa.int64(),
        "FLOAT64": pa.float64(),
        "BOOL": pa.bool_(),
        "BYTES": pa.binary(),
        "DATE": pa.date32(),
        "TIME": pa.time64("us"),
        "DATETIME": pa.timestamp("us"),
        "TIMESTAMP": pa.timestamp("us", "UTC"),
        "NUMERIC": pa.decimal128(38, 9),
    }
    return scalars.get(field.type, pa.string())


def taken_as(field: Field) -> pa.DataType:
    """Return the Arrow type whose values a cast to the field takes as they are, with every digit."""
    import pyarrow as pa

    if field.type == "BIGNUMERIC" and not field.is_nested:
        return pa.decimal256(BIGNUMERIC_DIGITS + BIGNUMERIC_SCALE, BIGNUMERIC_SCALE)
    return pa.json_() if field.type == "JSON" else staged_arrow(field)
