"""The sanitize task: reads extract's manifest, leaves its own, and says what is worth knowing."""

from __future__ import annotations

import base64
from typing import Any

import pyarrow as pa
import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from etl_factory.config.resource import Resource
from etl_factory.landing.manifest import Manifest, dumps, load_manifest
from etl_factory.operators import google
from etl_factory.operators.sanitize import SanitizeOperator
from etl_factory.schema.types import Field
from examples import Write
from fakes import FakeLanding, FakeWarehouse, context_of, manifest_of, resource_of

URI = "gs://acme-landing/extract/manifest.json"
TABLE = "table: public.orders\nload: catalog"
ROWS = pa.table({"id": [1, 2], "name": ["a", "b"]})


@pytest.fixture
def landing() -> FakeLanding:
    return FakeLanding()


@pytest.fixture
def run(landing: FakeLanding, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that executes the task on what extract left; it returns what XCom carries."""

    def execute(resource: Resource, manifest: Manifest, published: tuple[Field, ...] | None = None) -> Any:
        held = {} if published is None else {resource.table_id: published}
        monkeypatch.setattr(google, "landing", lambda of: landing)
        monkeypatch.setattr(google, "warehouse", lambda of: FakeWarehouse(of.target, tables=held))
        landing.objects[URI] = dumps(manifest).encode()
        return SanitizeOperator(task_id="sanitize", resource=resource).execute(context_of({"manifest": URI}))

    return execute


def extracted(resource: Resource, landing: FakeLanding) -> Manifest:
    schema = base64.b64encode(ROWS.schema.serialize()).decode()
    return manifest_of(resource, parts=(landing.put_table("part-0", ROWS),), rows_read=2, schema=schema)


def test_what_it_leaves(run: Any, landing: FakeLanding, write: Write) -> None:
    resource = resource_of(write, TABLE)
    left = run(resource, extracted(resource, landing))

    done = load_manifest(landing.read_text(left["manifest"]))
    assert left == {"manifest": left["manifest"], "rows_staged": 2, "rows_quarantined": 0}
    assert left["manifest"].startswith(resource.target.landing_prefix(done.plan.load_id))
    assert done.attempt in left["manifest"]
    assert (done.step, done.rows_staged) == ("sanitize", 2)


def test_its_notes_are_logged(
    run: Any, landing: FakeLanding, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    resource = resource_of(write, TABLE)
    run(resource, extracted(resource, landing), (Field("id", "INT64"),))

    assert f"orders: column name (STRING) is new: added to {resource.table_id}" in capsys.readouterr().out


def test_a_header_alone_skips_the_rest(run: Any, landing: FakeLanding, write: Write) -> None:
    resource = resource_of(write, "path: s3://d/*\nformat: csv\nload: transactional", type_="s3")
    part = landing.put_file("header.csv", b"id,name\n")
    with pytest.raises(AirflowSkipException, match="no file holds a record"):
        run(resource, manifest_of(resource, parts=(part,)))


# Rows that are in BigQuery already

RAW = (
    Field("Id", "INT64", "REQUIRED"),
    Field("Größe", "FLOAT64"),
    Field("tags", "STRING", "REPEATED"),
    Field("at", "DATE"),
)


def staged(resource: Resource, *fields: Field) -> Manifest:
    return manifest_of(
        resource,
        staging_table="acme-analytics.raw_etl._staging_x",
        rows_read=9,
        fields=tuple(field.to_json() for field in fields),
    )


def done_of(run: Any, landing: FakeLanding, resource: Resource, *fields: Field, **values: Any) -> Manifest:
    left = run(resource, staged(resource, *fields), **values)
    return load_manifest(landing.read_text(left["manifest"]))


def test_staged_rows_get_names_and_types_alone(run: Any, landing: FakeLanding, write: Write) -> None:
    resource = resource_of(
        write, f"{TABLE}\ncolumns: {{ types: {{ Größe: STRING }} }}\npartition_by: at\ncluster_by: [Id]"
    )
    done = done_of(run, landing, resource, *RAW)

    names = {"id": "INT64", "grosse": "STRING", "tags": "STRING", "at": "DATE"}
    assert {field["name"]: field["type"] for field in done.fields} == names
    assert [field["mode"] for field in done.fields] == ["NULLABLE", "NULLABLE", "REPEATED", "NULLABLE"]
    assert done.extra["staged"]["grosse"] == ["Größe", "FLOAT64"]
    assert (done.ddl[0]["partition_by"], done.ddl[0]["cluster_by"]) == ("at", ["id"])
    assert (done.rows_staged, done.staging_table) == (9, "acme-analytics.raw_etl._staging_x")


REFUSED = {
    "columns: { types: { size: STRING } }": "columns.types names 'size', which the data does not have",
    "primary_key: [id]": "primary_key 'id' of .* is not among the columns Id",
    "partition_by: Id": "partition_by 'Id' of .* is INT64: partition by a DATE",
    "partition_by: day": "partition_by 'day' of .* is not among the columns Id",
}


@pytest.mark.parametrize("spec", REFUSED)
def test_staged_rows_of_another_schema(run: Any, landing: FakeLanding, write: Write, spec: str) -> None:
    resource = resource_of(write, f"{TABLE}\n{spec}")
    with pytest.raises(AirflowFailException, match=f"SchemaError: {REFUSED[spec]}"):
        done_of(run, landing, resource, *RAW)


@pytest.mark.parametrize("mode", ["evolve", "discard_row", "discard_value"])
def test_no_staged_value_can_be_set_aside(run: Any, landing: FakeLanding, write: Write, mode: str) -> None:
    resource = resource_of(write, f"{TABLE}\nschema_contract: {{ types: {mode} }}")
    with pytest.raises(
        AirflowFailException, match=r"'a' is STRING in the source and INT64 in .* cannot widen"
    ):
        done_of(run, landing, resource, Field("a", "STRING"), published=(Field("a", "INT64"),))


def test_no_staged_row_can_be_set_aside(run: Any, landing: FakeLanding, write: Write) -> None:
    resource = resource_of(write, f"{TABLE}\nschema_contract: {{ columns: discard_row }}")
    known = Field("a", "INT64")
    assert done_of(run, landing, resource, known, published=(known,)).ddl == ()

    left_out = resource_of(write, f"{TABLE}\nschema_contract: {{ columns: discard_value }}")
    done = done_of(run, landing, left_out, known, Field("b", "STRING"), published=(known,))
    assert [field["name"] for field in done.fields] == ["a"]
    assert len(done.notes) == 1

    with pytest.raises(AirflowFailException, match="column 'b' is new, and its rows never leave BigQuery"):
        done_of(run, landing, resource, known, Field("b", "STRING"), published=(known,))
