"""Each defect of the providers' own transfers has its test on ours, by name; those that need no server are here."""

from __future__ import annotations

import ast
import io
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from threading import Barrier
from types import SimpleNamespace
from typing import IO, Any

import pytest

from etl_factory.config.resource import Resource
from etl_factory.landing.manifest import Part, load_manifest
from etl_factory.operators import google
from etl_factory.operators.load import GCSToStagingOperator
from etl_factory.sources._stores import AT_ONCE
from etl_factory.sources.base import Connection, FileSource, SourceObject
from etl_factory.transfers.base import extract_files
from etl_factory.transfers.planning import plan_objects
from etl_factory.transfers.streaming import stream_copy
from examples import REPOSITORY, Write
from fakes import FakeLanding, FakeWarehouse, resource_of

NOW = datetime(2025, 6, 1, tzinfo=UTC)
LOADS, JOBS = "unit/operators/test_load.py", "unit/warehouse/test_client.py"
SECRETS = "unit/test_secret_manager.py"
TYPES, TABLES = "contract/test_types_at_destination.py", "contract/test_tables.py"
FILES, HERE = "contract/test_files.py", "unit/transfers/test_provider_defects.py"
# The providers' defect, and the test that holds ours against it.
DEFECTS = {
    "Parquet fails on DATE, TIMESTAMP, TIME, UUID, JSON, BYTEA, arrays": (TYPES, "test_every_type"),
    "TIMESTAMPTZ loses its fraction": (TYPES, "test_every_type"),
    "NUMERIC becomes float64": (TABLES, "test_declared_schema_is_the_catalogue"),
    "MySQL's DATE becomes TIMESTAMP": (TABLES, "test_declared_schema_is_the_catalogue"),
    "an excluded column's value is written under another name": (
        TABLES, "test_exclude_leaves_the_column_and_its_values_out",
    ),
    "an excluded column is read": (TABLES, "test_excluded_column_is_never_asked_for"),
    "null_marker turns 0, False and '' into NULL": (TYPES, "test_every_type"),
    "MySQL's cursor buffers everything": (TABLES, "test_many_rows"),
    "rows are fetched one by one": (TABLES, "test_batches_share_one_physical_schema_in_declared_order"),
    "MySQLToGCSOperator ignores its parameters": (TABLES, "test_is_half_open_and_takes_nulls"),
    "a changed object of the same name is never copied again": (HERE, "test_a_changed_object_is_copied_again"),
    "one file at a time": (HERE, "test_files_are_copied_at_the_same_time"),
    "one blob per task": (HERE, "test_files_are_copied_at_the_same_time"),
    "every file goes through local disk": (HERE, "test_files_do_not_touch_the_local_disk"),
    "a whole file in memory": (FILES, "test_memory_does_not_grow_with_the_object"),
    "autodetect, CSV and WRITE_EMPTY by default": (HERE, "test_a_load_declares_all_that_the_providers_guess"),
    "a random job id per try, so that a retry duplicates": (LOADS, "test_a_retry_finds_the_job_of_the_first_try"),
    "WRITE_APPEND, so that a retry duplicates": (HERE, "test_a_load_declares_all_that_the_providers_guess"),
    "a job id that is taken fails the load, though its job is done and fine": (
        JOBS, "test_a_job_found_finished_counts_with_its_effect",
    ),
    "a job id that is taken fails the load, though its job still runs": (
        JOBS, "test_a_job_found_running_is_waited_for_and_not_run_again",
    ),
    "a wildcard loads what nobody listed": (LOADS, "test_the_job_loads_exactly_the_listed_objects"),
    "a secret that is denied passes for a connection that is not defined": (
        SECRETS, "test_a_tenants_denied_connection_stops_the_search",
    ),
    "a request that is refused passes for a connection that is not defined": (
        SECRETS, "test_a_request_that_is_refused_is_no_missing_connection",
    ),
    "backend_kwargs that are no JSON are left out with a warning": (
        SECRETS, "test_arguments_that_are_no_json_stop_airflow",
    ),
    "a new client for every secret": (SECRETS, "test_one_client_serves_every_read"),
    "no secret is kept at task time": (SECRETS, "test_a_value_is_kept_for_a_minute_and_its_absence_for_seconds"),
    "no endpoint can be given for secrets": (SECRETS, "test_an_endpoint_decides_where_and_under_which_name"),
}  # fmt: skip


@pytest.mark.parametrize("defect", DEFECTS)
def test_every_defect_has_its_test(defect: str) -> None:
    file, name = DEFECTS[defect]
    tree = ast.parse((REPOSITORY / "tests" / file).read_text())

    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.fixture
def resource(write: Write) -> Resource:
    return resource_of(write, "path: s3://drops/*.csv\nformat: csv\nload: transactional", type_="s3")


@pytest.fixture
def landing(monkeypatch: pytest.MonkeyPatch, resource: Resource) -> FakeLanding:
    made = FakeLanding()
    monkeypatch.setattr(google, "landing", lambda of: made)
    monkeypatch.setattr(google, "warehouse", lambda of: FakeWarehouse(resource.target))
    return made


class Drops(FileSource):
    """A bucket of some small objects."""

    def __init__(self, count: int) -> None:
        super().__init__(Connection("acme__shop", "aws"))
        self.listed = [SourceObject(f"s3://drops/{i}.csv", "v1", 5, NOW) for i in range(count)]

    def check(self) -> str:
        return "drops"

    def discover(self) -> Iterator[Any]:
        yield from ()

    def objects(self, path: str) -> Iterator[SourceObject]:
        yield from self.listed

    def open(self, source_object: SourceObject) -> IO[bytes]:
        return io.BytesIO(b"id\n1\n")


def context() -> Mapping[str, Any]:
    run = SimpleNamespace(run_id="manual__1", run_after=NOW, conf={}, run_type="manual")
    return {"dag_run": run, "ti": SimpleNamespace(try_number=1), "params": {}}


def test_a_changed_object_is_copied_again() -> None:
    before, after = (SourceObject("s3://drops/a.csv", version, 5, NOW) for version in ("v1", "v2"))
    planned = plan_objects([before, after], [(before.uri, before.version)], "live", files="new")

    assert [(one.uri, one.version) for one in planned] == [("s3://drops/a.csv", "v2")]


def test_files_are_copied_at_the_same_time(resource: Resource, landing: FakeLanding) -> None:
    """Every copy waits for all others, so that one at a time would never end."""
    together = Barrier(AT_ONCE, timeout=30)

    def copy(source_object: SourceObject, uri: str, to: Any) -> Part:
        together.wait()
        return landing.put(uri, b"id\n1\n")

    left = extract_files(context(), resource, Drops(AT_ONCE), copy)

    assert len(load_manifest(landing.read_text(left["manifest"]) or "").parts) == AT_ONCE


def test_files_do_not_touch_the_local_disk(
    resource: Resource, landing: FakeLanding, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NamedTemporaryFile", "TemporaryFile", "SpooledTemporaryFile", "mkstemp", "mkdtemp"):
        monkeypatch.setattr(tempfile, name, lambda *args, **kwargs: pytest.fail("a local copy is made"))
    source = Drops(2)

    left = extract_files(context(), resource, source, stream_copy(source))

    parts = load_manifest(landing.read_text(left["manifest"]) or "").parts
    assert [landing.objects[part.uri] for part in parts] == [b"id\n1\n"] * 2


def test_a_load_declares_all_that_the_providers_guess(resource: Resource) -> None:
    operator = GCSToStagingOperator(task_id="load", resource=resource)

    assert operator.autodetect is False
    assert (operator.source_format, operator.write_disposition) == ("PARQUET", "WRITE_TRUNCATE")
