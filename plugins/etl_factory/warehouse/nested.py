"""Turns nested values as Parquet staged them into published ones: JSON and BIGNUMERIC inside are text there.

A STRUCT is assigned by position, so that all parts are selected in the published order. An array keeps its order.
https://cloud.google.com/bigquery/docs/reference/standard-sql/conversion_rules#coercion
"""

from __future__ import annotations

from dataclasses import replace

from etl_factory.schema.types import Field
from etl_factory.warehouse.quoting import identifier


def is_spelt(field: Field) -> bool:
    """Whether any part of a field's values is staged as the text that spells it."""
    return any(map(is_spelt, field.fields)) or field.staged_type != field.type


def published(field: Field, staged: str, depth: int = 0) -> str:
    """Return the expression that turns a value, staged from Parquet, into a field's; `staged` names it."""
    if not is_spelt(field):
        return staged
    if field.mode == "REPEATED":
        item, place = f"_item{depth}", f"_place{depth}"
        value = published(replace(field, mode="NULLABLE"), item, depth + 1)
        return (
            f"ARRAY(SELECT {value} FROM UNNEST({staged}) AS {item} WITH OFFSET AS {place} ORDER BY {place})"
        )
    if field.type != "RECORD":
        return scalar(field.type, staged)
    parts = ", ".join(
        f"{published(part, f'{staged}.{identifier(part.name)}', depth)} AS {identifier(part.name)}"
        for part in field.fields
    )
    return f"IF({staged} IS NULL, NULL, STRUCT({parts}))"


def scalar(type_: str, text: str) -> str:
    """Return the expression that reads a value of a type from the text that spells it."""
    if type_ == "JSON":
        return f"PARSE_JSON({text}, wide_number_mode=>'exact')"
    return f"ST_GEOGFROM({text})" if type_ == "GEOGRAPHY" else f"CAST({text} AS {type_})"
