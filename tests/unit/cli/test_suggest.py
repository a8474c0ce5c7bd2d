"""Resources suggested for what was discovered: each must be valid where it is pasted."""

from __future__ import annotations

import pytest
import yaml

from etl_factory.cli.suggest import resources_of, to_yaml
from etl_factory.config.loading import SourceFile, load_source
from etl_factory.sources.base import Found
from examples import TENANT, Write

MOMENT = ("updated_at", "timestamp with time zone")
FOUND = (
    Found("public.orders", (("id", "bigint"), MOMENT), ("id",)),
    Found("public.countries", (("code", "text"),), ("code",)),
    Found('public."Order Lines"', (("Last_Modified", "timestamp(6) without time zone"),)),
    Found("archive.orders", (("changed", "text"),)),
    Found("public.2024", ()),
)


def test_a_table_with_a_cursor_is_read_incrementally_and_any_other_whole() -> None:
    assert resources_of(FOUND, "Europe/Warsaw") == {
        "orders": {
            "table": "public.orders", "load": "transactional", "cursor": "updated_at", "primary_key": ["id"],
        },
        "countries": {"table": "public.countries", "load": "catalog"},
        "order_lines": {
            "table": 'public."Order Lines"', "load": "transactional", "cursor": "Last_Modified",
            "cursor_timezone": "Europe/Warsaw",
        },
        "archive_orders": {"table": "archive.orders", "load": "catalog"},
        "t_2024": {"table": "public.2024", "load": "catalog"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("type_", "load"),
    [
        ("timestamptz", "transactional"),
        ("TIMESTAMP", "transactional"),
        ("datetime(6)", "transactional"),
        ("date", "catalog"),
        ("text", "catalog"),
    ],
)
def test_only_a_time_is_taken_for_a_cursor(type_: str, load: str) -> None:
    assert resources_of([Found("t", (("updated_at", type_),))], "UTC")["t"]["load"] == load


def test_names_never_collide_and_never_grow_too_long() -> None:
    long = "x" * 80
    found = [
        Found(f"{long}.a"),
        Found("b.a"),
        Found("c.a"),
        Found("b.a"),
        Found(f"s.{long}"),
        Found(f"t.{long}1"),
    ]
    names = list(resources_of(found, "UTC"))
    assert len(set(names)) == len(found)
    assert max(map(len, names)) <= 64


@pytest.mark.parametrize(
    ("type_", "found"),
    [
        ("postgres", FOUND),
        ("mysql", (Found("`odd name`", (("updated_at", "datetime"),)), Found("plain"))),
        ("bigquery", (Found("p-1.d.t", (("updated_at", "TIMESTAMP"),)),)),
        ("s3", (Found("s3://my-bucket.example/"),)),
        ("gcs", (Found("gs://b-1/"),)),
        ("azure_blob", (Found("az://c/"),)),
    ],
)
def test_what_is_pasted_is_valid(write: Write, type_: str, found: tuple[Found, ...]) -> None:
    text = to_yaml(resources_of(found, "Europe/Warsaw"))
    head = f"source: shop_db\ntype: {type_}\nconnection: shop_db\n"
    root = write({"acme/tenant.yaml": TENANT, "acme/shop_db.yaml": f"{head}{text}\n"})
    loaded = load_source(root, "acme__shop_db")
    assert isinstance(loaded, SourceFile), loaded
    assert len(loaded.spec.resources) == len(found)


def test_short_lists_stand_on_one_line() -> None:
    text = to_yaml(resources_of(FOUND[:1], "UTC"))
    assert "    primary_key: [id]" in text.splitlines()
    assert list(yaml.safe_load(text)["resources"]) == ["orders"]
