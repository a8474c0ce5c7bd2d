"""Columns of a BigQuery source as its SELECT hides them, by the canonical texts of `schema.masking`."""

from __future__ import annotations

from dataclasses import replace

from etl_factory.errors import ConfigError
from etl_factory.schema.types import Field
from etl_factory.sources._masks import MaskSpec

_MOMENTS = ("DATE", "DATETIME", "TIMESTAMP")
# %E6S writes a second with all six digits of its fraction, %E4Y a year of four:
# https://cloud.google.com/bigquery/docs/reference/standard-sql/format-elements
_CLOCK = "%E4Y-%m-%d %H:%M:%E6S"
_PLAIN = ("STRING", "INT64", "BOOL", "NUMERIC", "BIGNUMERIC", "FLOAT64", "DATE", "TIME")


def masked_field(field: Field, mask: MaskSpec) -> Field:
    """Return the field of a hidden column; raises ConfigError where `date_trunc` would hide nothing of its type."""
    if mask.is_text:
        return Field(field.name, "STRING")
    is_whole_day = field.type == "DATE" and mask.by in ("day", "hour")
    if field.type not in _MOMENTS or field.mode == "REPEATED" or is_whole_day:
        raise ConfigError(
            f"columns.mask cuts {field.name!r} to the {mask.by} by date_trunc, but it is {field.mode} {field.type}:"
            " date_trunc is for dates and moments, and a DATE has no smaller units than days"
        )
    return replace(field, description="")


def masked(column: str, field: Field, mask: MaskSpec) -> str:
    """Write the expression that stands in place of a quoted column."""
    if mask.how == "date_trunc":
        unit = "ISOWEEK" if mask.by == "week" else mask.by.upper()
        zone = ", 'UTC'" if field.type == "TIMESTAMP" else ""
        return f"{field.type}_TRUNC({column}, {unit}{zone})"
    if mask.how == "redact":
        return f"IF({column} IS NULL, NULL, 'REDACTED')"
    if mask.how == "sha256":
        of = column if field.type == "BYTES" and field.mode != "REPEATED" else _text(column, field)
        return f"TO_HEX(SHA256({of}))"
    text, each = _text(column, field), "'(?s).', '*'"
    first = f"SUBSTR({text}, 1, CHAR_LENGTH({text}) - 4)"
    return (
        f"IF(CHAR_LENGTH({text}) > 4, CONCAT(REGEXP_REPLACE({first}, {each}), SUBSTR({text}, -4)),"
        f" REGEXP_REPLACE({text}, {each}))"
    )


def _text(column: str, field: Field) -> str:
    """Write a value as its canonical text; NULL stays NULL, which an empty array is not."""
    if field.mode == "REPEATED":
        return f"TO_JSON_STRING({column})"
    if field.type in _PLAIN:
        return column if field.type == "STRING" else f"CAST({column} AS STRING)"
    if field.type == "DATETIME":
        return _trimmed(f"FORMAT_DATETIME('{_CLOCK}', {column})")
    if field.type == "TIMESTAMP":
        clock = _trimmed(f"FORMAT_TIMESTAMP('{_CLOCK}', {column}, 'UTC')")
        return f"CONCAT({clock}, '+00')"
    if field.type == "BYTES":
        # Bytes that are no text are wholly hidden, as many signs as there are bytes.
        return f"IFNULL(SAFE_CONVERT_BYTES_TO_STRING({column}), REPEAT('*', BYTE_LENGTH({column})))"
    return f"IF({column} IS NULL, NULL, TO_JSON_STRING({column}))"


def _trimmed(clock: str) -> str:
    """Write a clock without the zeros at the end of its fraction."""
    return f"REGEXP_REPLACE({clock}, r'\\.?0+$', '')"
