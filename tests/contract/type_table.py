"""Draws the tables of docs/types.md from the types that the suites load, and from what the code makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
from bigquery_values import BIGQUERY
from file_values import CSV, CSV_ASIDE, INT96, JSON, JSON_ASIDE, PARQUET, PARQUET_ASIDE
from table_systems import Column, MySQL, Postgres
from type_values import ASIDE, MORE

from etl_factory.schema.types import Field, field_of, is_json, staged_arrow
from marks import between

HEAD = ("source type", "Arrow", "staged as", "published as", "quarantined")
PLAIN = {"extension<arrow.json>": "JSON", "extension<arrow.uuid>": "UUID"}


def sections() -> dict[str, str]:
    """Return every generated table by the name that marks its place in the page."""
    databases = {system.name: system.columns | MORE[system.name] for system in (Postgres, MySQL)}
    odd = {system.name: system.odd_columns for system in (Postgres, MySQL)}
    found = {name: table([columns, odd[name]], ASIDE[name]) for name, columns in databases.items()}
    return {
        **found,
        "parquet": table([PARQUET, dict.fromkeys(INT96, INSTANT)], PARQUET_ASIDE),
        "jsonl": guessed(JSON, JSON_ASIDE),
        "csv": guessed(CSV, CSV_ASIDE),
        "bigquery": drawn(("BigQuery type",), [[f"`{type_}`"] for type_ in sorted(BIGQUERY.values())]),
    }


INSTANT = Column("INT96", pa.timestamp("us", "UTC"), ())


def table(groups: list[Mapping[str, Column]], aside: Mapping[str, tuple[Any, ...]]) -> str:
    """List source types; those that share all that is said of them share a row."""
    rows: dict[tuple[str, ...], list[str]] = {}
    unfit: dict[tuple[str, ...], dict[str, None]] = {}
    for columns in groups:
        for name, of in columns.items():
            key = (shown(of.declared), *published(of.declared))
            held = {value for _, value in of.values}
            bad = {f"`{value}`": None for value in aside.get(name, ()) if value in held or of is INSTANT}
            rows.setdefault(key, []).append(f"`{of.sql_type.replace('|', ' ')}`")
            unfit.setdefault(key, {}).update(bad)
    listed = [[", ".join(dict.fromkeys(types)), *key, ", ".join(unfit[key])] for key, types in rows.items()]
    return drawn(HEAD, listed)


def guessed(columns: Mapping[str, Column], aside: Mapping[str, tuple[Any, ...]]) -> str:
    """List examples of values, since in a format of text a column's type is a guess from all of them."""
    rows = [
        [
            ", ".join(f"`{str(value).encode('unicode_escape').decode()[:44]}`" for value, shown_as in of.values
                      if shown_as not in aside.get(name, ())),
            shown(of.declared), *published(of.declared),
            ", ".join(f"`{value}`" for value, shown_as in of.values if shown_as in aside.get(name, ())),
        ]
        for name, of in columns.items()
    ]  # fmt: skip
    return drawn(("all values are like", *HEAD[1:]), rows)


def published(declared: pa.DataType) -> tuple[str, str]:
    """Return what a type is staged as, and published as."""
    field: Field = field_of(pa.field("a", declared), "a")
    return shown(staged_arrow(field)), f"`{field.type}`"


def shown(type_: pa.DataType) -> str:
    """Name an Arrow type in few words."""
    if is_json(type_):
        return "JSON"
    return PLAIN.get(str(type_), str(type_)).replace(
        "dictionary<values=string, indices=int32, ordered=0>", "dictionary"
    )


def drawn(head: tuple[str, ...], rows: list[list[str]]) -> str:
    """Draw a Markdown table."""
    lines = [list(head), ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell or ' ' for cell in line)} |" for line in lines) + "\n"


def filled(page: str, made: Mapping[str, str]) -> str:
    """Return the page with every table between its marks."""
    for name, text in made.items():
        begin, end = f"<!-- types: {name} -->\n", f"<!-- end of {name} -->"
        page = between(page, begin, end, text)
    return page


def marks(page: str) -> Iterator[str]:
    """Yield the names of the tables that a page has places for."""
    for line in page.splitlines():
        if line.startswith("<!-- types: "):
            yield line.removeprefix("<!-- types: ").removesuffix(" -->")
