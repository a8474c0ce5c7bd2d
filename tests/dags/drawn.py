"""Draws config roots for property tests: files right and wrong, of any name, whatever a person or a disk may hold."""

from __future__ import annotations

import json
import os
from typing import Any

from hypothesis import strategies as st

Drawn = st.SearchStrategy[Any]


def rarely(wrong: Drawn, right: Drawn) -> Drawn:
    """Draw what is wrong about once in twenty times, so that files with many values are often right."""
    return st.integers(0, 19).flatmap(lambda number: wrong if number == 13 else right)


odd = st.text(max_size=20) | st.sampled_from(
    ["\0", "\x1b[31m", "\ud800", "\ufffe", "", " ", "{{ x }}", "x" * 5000, "é" * 300, "gs://u:pw@h/p"]
)
plain = st.characters(codec="utf-8", exclude_categories=["Cc", "Cn"])
fair = st.text(plain, min_size=1, max_size=20) | st.sampled_from(
    [
        "|",
        "```",
        "a\nb",
        "\t",
        "é" * 200,
        "' \" \\",
        "${x}",
        "gs://u:pw@h/p",
        "{x}",
        "%s",
        "<b>",
        "- a: b",
        "# a",
    ]
)
text = rarely(odd, fair)
columns = rarely(odd, st.sampled_from(["id", "at"]) | fair)
renames = st.dictionaries(columns, rarely(odd, st.sampled_from(["x", "y"])), max_size=2)
crons = st.lists(
    st.sampled_from(["*", "*/7", "2", "10,*/3", "1-5", "0/2", "1,2,3", "28/9", "*/2,*,*"]),
    min_size=5,
    max_size=5,
).map(" ".join)
task = {
    "retries": st.integers(0, 20),
    "retry_delay": rarely(st.just("99999999999d"), st.sampled_from(["0s", "1d"])),
    "execution_timeout": rarely(st.sampled_from(["0s", "9999999w"]), st.sampled_from(["1s", "30d"])),
    "description": text,
}
tables = st.fixed_dictionaries(
    {"table": text, "load": st.just("transactional"), "cursor": columns},
    optional={
        **task,
        "primary_key": st.lists(columns, max_size=3, unique=True),
        "lag": rarely(st.just("999999999d"), st.sampled_from(["2h", "3650d"])),
        "backfill_from": st.sampled_from(["2025-01-01", "9999-12-31T23:59:59-12:00"]),
        "cursor_timezone": st.sampled_from(["Europe/Warsaw", "UTC", "Factory"]),
        "target_table": st.sampled_from(["orders", "x" * 300]),
        "partition_by": columns,
        "cluster_by": st.lists(columns, max_size=4, unique=True),
        "columns": st.fixed_dictionaries({"rename": renames}),
    },
)
queries = st.fixed_dictionaries({"query": text, "load": st.just("catalog")}, optional=task)
objects = st.fixed_dictionaries(
    {
        "path": rarely(odd, fair.map(lambda name: f"s3://bucket/{name}*")),
        "format": st.sampled_from(["csv", {"type": "csv", "delimiter": "\x01"}, "parquet"]),
        "load": st.sampled_from(["catalog", "transactional"]),
    },
    optional=task,
)


def source(types: list[str], resources: Drawn) -> Drawn:
    """Draw a source file of one of these types."""
    names = rarely(odd, st.sampled_from(["orders", "lines", "x" * 64]))
    return st.fixed_dictionaries(
        {
            "source": st.just("shop_db"),
            "type": st.sampled_from(types),
            "connection": st.just("shop_db"),
            "resources": st.dictionaries(names, resources, min_size=1, max_size=2),
        },
        optional={
            "schedule": rarely(odd, crons),
            "owner": text,
            "description": text,
            "defaults": st.just({"retries": 1}),
        },
    )


sources = source(["postgres", "mysql", "bigquery"], tables | queries) | source(["s3"], objects)
tenants = st.fixed_dictionaries(
    {
        "tenant": st.just("acme"),
        "project": st.just("acme-analytics"),
        "location": st.just("EU"),
        "dataset": st.sampled_from(["raw", "x" * 1000]),
        "landing": st.just("gs://acme-landing"),
    },
    optional={
        "timezone": rarely(odd, st.sampled_from(["Europe/Warsaw", "localtime", "Factory"])),
        "airflow_role": rarely(odd, st.just("acme")),
        "description": text,
        "defaults": st.fixed_dictionaries({}, optional={"owner": text, "schedule": crons}),
        "limits": st.fixed_dictionaries({"max_active_tasks": rarely(st.just(600), st.integers(1, 512))}),
    },
)
trees = st.recursive(
    st.one_of(odd, fair, st.integers(), st.floats(allow_nan=False), st.booleans(), st.none()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(odd, inner, max_size=3),
    max_leaves=8,
)


def as_yaml(value: Any) -> bytes:
    """Write a value as JSON, which is YAML, so that quoting is not what is tested."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def as_lines(value: Any) -> bytes:
    """Write `key: value` lines without quotes, as people do, right or wrong."""
    lines = value.items() if isinstance(value, dict) else [("a", value)]
    return "\n".join(f"{key}: {item}" for key, item in lines).encode("utf-8", "surrogatepass")


@st.composite
def config_roots(draw: st.DrawFn) -> dict[bytes, bytes]:
    """Draw a tenant and a source that are right more often than not, and any other files beside them."""
    names = st.sampled_from(
        ["acme", "shop_db", "a__b", "A", "A B", "é", "x" * 120, "tenant", "a.b", "-", "\\"]
    )
    parts = st.one_of(names.map(os.fsencode), st.binary(min_size=1, max_size=40))
    content = st.one_of(st.binary(max_size=60), trees.map(as_yaml), trees.map(as_lines), sources.map(as_yaml))
    files = {b"acme/tenant.yaml": as_yaml(draw(tenants)), b"acme/shop_db.yaml": as_yaml(draw(sources))}
    for _ in range(draw(st.integers(0, 3))):
        folder, stem, end = (
            draw(st.just(b"acme") | parts),
            draw(parts),
            draw(st.sampled_from([b".yaml", b".yml"])),
        )
        files[folder + b"/" + stem + end] = draw(content)
    return files
