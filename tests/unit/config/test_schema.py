"""The printed JSON Schemas are current, and agree with the models on every example."""

from __future__ import annotations

import json

import jsonschema
import pytest

from etl_factory.config.document import read_document
from etl_factory.config.schema import schemas, text, write
from etl_factory.sources import SOURCES
from examples import REPOSITORY

FILES = sorted((REPOSITORY / "config/tenants").glob("*/*.yaml"))


@pytest.mark.parametrize("name", ["tenant.schema.json", "source.schema.json"])
def test_the_files_are_current(name: str) -> None:
    kept = (REPOSITORY / "include/schema" / name).read_text()

    assert kept == text(schemas()[name]), "run `etl-factory schema --write include/schema`"


@pytest.mark.parametrize("file", FILES, ids=lambda f: f"{f.parent.name}/{f.stem}")
def test_examples_fit_and_name_their_schema(file: object) -> None:
    name = "tenant.schema.json" if file.stem == "tenant" else "source.schema.json"
    head = file.read_text().splitlines()[0]
    validator = jsonschema.Draft202012Validator(schemas()[name])

    assert head == f"# yaml-language-server: $schema=../../../include/schema/{name}"
    assert (file.parent / head.partition("=")[2]).resolve() == REPOSITORY / "include/schema" / name
    assert [error.message for error in validator.iter_errors(read_document(file).value)] == []


def test_every_source_type_is_in_the_schema() -> None:
    assert set(schemas()["source.schema.json"]["discriminator"]["mapping"]) == {s.type for s in SOURCES}


@pytest.mark.parametrize(
    ("change", "fits"),
    [
        ({}, True),
        ({"resources": {"o": {"table": "t", "load": "catalog", "max_bad_rows": "1%"}}}, True),
        ({"resources": {"o": {"table": "t", "load": "catalog", "retry_delay": "5m"}}}, True),
        ({"resources": {"o": {"table": "t", "load": "catalog", "retry_delay": "soon"}}}, False),
        ({"resources": {"O-1": {"table": "t", "load": "catalog"}}}, False),
        ({"conection": "x"}, False),
        ({"type": "oracle"}, False),
        ({"resources": {}}, False),
    ],
)
def test_the_schema_says_what_the_models_say(change: dict[str, object], fits: bool) -> None:
    document = {
        "source": "shop_db",
        "type": "postgres",
        "connection": "shop_db",
        "resources": {"orders": {"table": "orders", "load": "catalog"}},
        **change,
    }

    assert jsonschema.Draft202012Validator(schemas()["source.schema.json"]).is_valid(document) is fits


def test_write(tmp_path: object) -> None:
    write(tmp_path / "schema")

    assert sorted(path.name for path in (tmp_path / "schema").iterdir()) == sorted(schemas())
    assert json.loads((tmp_path / "schema/tenant.schema.json").read_text())["title"] == "Tenant"
