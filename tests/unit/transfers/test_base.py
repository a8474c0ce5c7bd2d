"""One try of an extract: what it plans, what it plans again, what it leaves out, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from etl_factory.config.resource import Resource
from etl_factory.errors import (
    AccountingError,
    NothingToLoad,
    StaleError,
    TerminalError,
    TransientError,
)
from etl_factory.landing.manifest import Manifest, Part, dumps, load_manifest
from etl_factory.operators import google
from etl_factory.sources.base import (
    Connection,
    FileSource,
    Selection,
    SourceObject,
    TableSnapshot,
    TableSource,
)
from etl_factory.sources.s3 import S3Source
from etl_factory.transfers.base import extract_files, extract_table
from etl_factory.windows import CursorKind, Window
from examples import Write
from fakes import FakeLanding, FakeWarehouse, resource_of

NOW, HOUR = datetime(2025, 6, 1, 12, tzinfo=UTC), timedelta(hours=1)
TABLE = "table: public.orders\nload: transactional\ncursor: id\nprimary_key: [id]\nlag: 0"
SCHEMA = pa.schema([("id", pa.int64())])


class Rows(TableSnapshot):
    """A table of integers, whose own count may lie."""

    schema, now = SCHEMA, NOW

    def __init__(self, ids: list[int], miscounted: int, lost_keys: int) -> None:
        self.ids, self.miscounted, self.lost_keys = ids, miscounted, lost_keys

    def cursor_kind(self) -> CursorKind:
        return "integer"

    def greatest(self) -> int | None:
        return max(self.ids, default=None)

    def _within(self, window: Window | None) -> list[int]:
        if window is None:
            return self.ids
        return [i for i in self.ids if (window.start is None or i >= window.start) and i < window.end]

    def count(self, window: Window | None) -> int:
        return len(self._within(window)) + self.miscounted

    def read(self, window: Window | None) -> Iterator[pa.RecordBatch]:
        if found := self._within(window):
            yield pa.record_batch({"id": found}, SCHEMA)

    def read_keys(self, keys: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
        for batch in super().read_keys(keys):
            yield batch.slice(self.lost_keys)


class Numbers(TableSource):
    """A source of one table, which grows when the test says so."""

    def __init__(self, *ids: int, miscounted: int = 0, lost_keys: int = 0) -> None:
        self.ids, self.miscounted, self.lost_keys = list(ids), miscounted, lost_keys

    def check(self) -> str:
        return "numbers"

    def discover(self) -> Iterator[Any]:
        yield from ()

    @contextmanager
    def snapshot(self, selection: Selection) -> Iterator[Rows]:
        yield Rows(self.ids, self.miscounted, self.lost_keys)


class Drops(S3Source):
    """Files by name, each of which `copy` delivers at its listed version only."""

    def __init__(self) -> None:
        super().__init__(Connection("acme__shop", "aws"))
        self.held: dict[str, tuple[str, bytes, datetime]] = {}
        self.overwritten_after_listing: set[str] = set()

    def put(self, name: str, text: bytes, hours: int = 0) -> None:
        self.held[f"s3://drops/{name}"] = (f"v{len(text)}-{hours}", text, NOW + timedelta(hours=hours))

    def objects(self, path: str) -> Iterator[SourceObject]:
        for uri, (version, data, modified) in sorted(self.held.items()):
            yield SourceObject(uri, version, len(data), modified)

    def copy(self, source: SourceObject, uri: str, landing: Any) -> Part:
        version, data, _ = self.held.get(source.uri, ("", b"", NOW))
        if version != source.version or source.uri in self.overwritten_after_listing:
            raise StaleError(f"{source.uri} has changed since it was listed")
        made: Part = landing.put(uri, data)
        return made


@pytest.fixture
def landing(monkeypatch: pytest.MonkeyPatch) -> FakeLanding:
    """Let every extract use one bucket in memory."""
    made = FakeLanding()
    monkeypatch.setattr(google, "landing", lambda resource: made)
    return made


@pytest.fixture
def warehouse(monkeypatch: pytest.MonkeyPatch, landing: FakeLanding) -> FakeWarehouse:
    """Let every extract see one ledger, empty at first."""
    made = FakeWarehouse(None)
    monkeypatch.setattr(google, "warehouse", lambda resource: _pointed(made, resource))
    return made


def _pointed(warehouse: FakeWarehouse, resource: Resource) -> FakeWarehouse:
    warehouse.target = resource.target
    return warehouse


def context(run_id: str = "manual__1", try_number: int = 1, **conf: Any) -> dict[str, Any]:
    """Return the task's context in one run."""
    run = SimpleNamespace(run_id=run_id, run_after=NOW, conf=conf, run_type="manual")
    return {"dag_run": run, "ti": SimpleNamespace(try_number=try_number), "params": {}}


def manifest_of(landing: FakeLanding, left: Mapping[str, Any]) -> Manifest:
    return load_manifest(landing.read_text(left["manifest"]) or "")


def head(resource: Resource, watermark: str = "11", epoch: int = 0, **changes: Any) -> dict[str, Any]:
    """Return a ledger's head row."""
    row = {"version": 3, "epoch": epoch, "watermark": watermark, "snapshot_at": NOW}
    return {**row, "watermark_of": resource.cursor_digest, **changes}


class TestTables:
    @pytest.fixture
    def orders(self, write: Write, warehouse: FakeWarehouse) -> Resource:
        return resource_of(write, TABLE)

    def test_the_first_run_reads_from_the_beginning(self, orders: Resource, landing: FakeLanding) -> None:
        left = extract_table(context(), orders, Numbers(1, 2, 3))

        manifest = manifest_of(landing, left)
        assert (left["rows"], str(manifest.plan.window)) == (3, "[-∞, 4)")
        assert [row["id"] for row in landing.rows(manifest.parts)] == [1, 2, 3]

    def test_a_second_try_reads_the_first_trys_window(self, orders: Resource, landing: FakeLanding) -> None:
        source = Numbers(1, 2, 3)
        extract_table(context(), orders, source)
        source.ids.append(4)

        again = extract_table(context(try_number=2), orders, source)

        assert (again["rows"], again["window"]) == (3, "[-∞, 4)")

    def test_the_manifest_carries_the_schema_that_the_ledger_keeps(
        self, orders: Resource, warehouse: FakeWarehouse, landing: FakeLanding
    ) -> None:
        assert manifest_of(landing, extract_table(context(), orders, Numbers(1))).recorded == ""
        warehouse.heads = [head(orders, declared_schema="kept")]
        left = extract_table(context("manual__2"), orders, Numbers(*range(1, 15)))
        assert manifest_of(landing, left).recorded == "kept"

    def test_another_run_goes_on_from_the_watermark(
        self, orders: Resource, warehouse: FakeWarehouse, landing: FakeLanding
    ) -> None:
        warehouse.heads = [head(orders)]
        left = extract_table(context(), orders, Numbers(*range(1, 15)))

        assert (left["rows"], left["window"]) == (4, "[11, 15)")

    def test_a_cleared_run_whose_folder_is_gone_reads_its_own_window(
        self, orders: Resource, warehouse: FakeWarehouse, landing: FakeLanding
    ) -> None:
        plan = manifest_of(landing, extract_table(context(), orders, Numbers(1, 2))).plan
        landing.objects.clear()
        warehouse.heads = [head(orders, "30")]
        warehouse.loads = [{"plan": dumps(plan), "attempt": "extract-1-x"}]

        left = extract_table(context(try_number=2), orders, Numbers(1, 2, 40))

        assert (left["rows"], left["window"]) == (2, "[-∞, 3)")

    def test_a_row_limit_reads_and_plans_just_so_many(self, orders: Resource, landing: FakeLanding) -> None:
        source = Numbers(1, 2, 3)
        manifest = manifest_of(landing, extract_table(context(row_limit=2), orders, source))
        again = manifest_of(landing, extract_table(context(try_number=2), orders, source))

        assert (manifest.rows_read, manifest.plan.row_limit) == (2, 2)
        assert [row["id"] for row in landing.rows(manifest.parts)] == [1, 2]
        assert (again.rows_read, again.plan.row_limit) == (2, 2)

    def test_a_row_limit_that_comes_later_holds_for_its_own_try(
        self, orders: Resource, landing: FakeLanding
    ) -> None:
        extract_table(context(), orders, Numbers(1, 2, 3))

        limited = manifest_of(landing, extract_table(context(row_limit=1), orders, Numbers(1, 2, 3)))
        whole = manifest_of(landing, extract_table(context(), orders, Numbers(1, 2, 3)))

        assert (limited.rows_read, limited.plan.row_limit) == (1, 1)
        assert (whole.rows_read, whole.plan.row_limit) == (3, None)

    def test_a_resource_that_the_run_does_not_name_is_left_alone(
        self, orders: Resource, warehouse: FakeWarehouse, landing: FakeLanding
    ) -> None:
        tasks = SimpleNamespace(task_ids=["orders.extract", "lines.extract"])

        with pytest.raises(NothingToLoad, match="not asked for in this run"):
            extract_table({**context(resources=["lines"]), "dag": tasks}, orders, Numbers(1))

        assert landing.objects == {}

    @pytest.mark.parametrize(
        ("published", "hours"), [(NOW - HOUR, 0), (NOW, 0), (NOW + 9 * HOUR, 9), (None, 0)]
    )
    def test_what_is_read_after_a_publish_is_dated_later_whatever_the_clocks_say(
        self,
        orders: Resource,
        warehouse: FakeWarehouse,
        landing: FakeLanding,
        published: datetime | None,
        hours: int,
    ) -> None:
        warehouse.heads = [head(orders, snapshot_at=published)]

        manifest = manifest_of(landing, extract_table(context(), orders, Numbers(*range(1, 15))))

        dated = datetime.fromisoformat(manifest.snapshot_at)
        assert dated - NOW - hours * HOUR <= timedelta(microseconds=1)
        assert published is None or dated > published

    def test_the_watermark_of_another_cursor_is_refused(
        self, orders: Resource, warehouse: FakeWarehouse
    ) -> None:
        warehouse.heads = [head(orders, watermark_of="another")]

        with pytest.raises(
            TerminalError, match=r"target_table or columns\.mask has changed since watermark 11"
        ):
            extract_table(context(), orders, Numbers(5))

    @pytest.mark.parametrize("conf", [{"full_refresh": True}, {"start": "1", "end": "9"}], ids=str)
    def test_what_needs_no_watermark_runs_after_a_changed_cursor(
        self, orders: Resource, warehouse: FakeWarehouse, conf: dict[str, Any]
    ) -> None:
        warehouse.heads = [head(orders, watermark_of="another")]

        assert extract_table(context(**conf), orders, Numbers(5))["rows"] == 1

    def test_a_plan_for_another_cursor_is_void(
        self, write: Write, orders: Resource, landing: FakeLanding
    ) -> None:
        extract_table(context(), orders, Numbers(1, 2))
        changed = resource_of(write, TABLE.replace("cursor: id", "cursor: seq"))

        again = extract_table(context(try_number=2), changed, Numbers(1, 2, 3))

        assert again["window"] == "[-∞, 4)"

    def test_a_full_refresh_that_is_cleared_starts_from_where_the_ledger_stands(
        self, orders: Resource, warehouse: FakeWarehouse, landing: FakeLanding
    ) -> None:
        extract_table(context(full_refresh=True), orders, Numbers(1, 2))
        warehouse.heads = [head(orders, epoch=1)]

        left = extract_table(context(try_number=2, full_refresh=True), orders, Numbers(1, 2))

        assert manifest_of(landing, left).plan.epoch == 1

    def test_rows_that_the_source_did_not_count_stop_the_run(
        self, orders: Resource, landing: FakeLanding
    ) -> None:
        with pytest.raises(AccountingError, match=r"counted 4 rows .* but 3 were read in the same snapshot"):
            extract_table(context(), orders, Numbers(1, 2, 3, miscounted=1))
        assert not any(uri.endswith("manifest.json") for uri in landing.objects)

    def test_an_empty_window_is_said_and_leaves_no_manifest(
        self, orders: Resource, warehouse: FakeWarehouse, landing: FakeLanding
    ) -> None:
        warehouse.heads = [head(orders)]

        with pytest.raises(NothingToLoad, match="Nothing was published; the watermark stays"):
            extract_table(context(), orders, Numbers())
        assert not any(uri.endswith("manifest.json") for uri in landing.objects)

    def test_a_backfill_leaves_a_catalog_alone(self, write: Write, warehouse: FakeWarehouse) -> None:
        catalog = resource_of(write, "table: public.orders\nload: catalog")

        with pytest.raises(NothingToLoad, match="a backfill reads a window, and a catalog has none"):
            extract_table(context(start="1", end="9"), catalog, Numbers(1))


DELETES = f"{TABLE}\ndeletes: mark"


class TestDeletes:
    """A live run reads every key of the source, whatever its window holds."""

    @pytest.fixture
    def orders(self, write: Write, warehouse: FakeWarehouse) -> Resource:
        return resource_of(write, DELETES)

    def keys(self, landing: FakeLanding, left: Mapping[str, Any]) -> list[int]:
        return [row["id"] for row in landing.rows(manifest_of(landing, left).keys)]

    def test_the_keys_of_all_rows_are_read_beside_the_window(
        self, orders: Resource, warehouse: FakeWarehouse, landing: FakeLanding
    ) -> None:
        warehouse.heads = [head(orders)]

        left = extract_table(context(), orders, Numbers(1, 2, 11))

        assert (left["rows"], self.keys(landing, left)) == (1, [1, 2, 11])
        assert [part.uri.rpartition("/")[2] for part in manifest_of(landing, left).keys] == [
            "keys-00000.parquet"
        ]

    @pytest.mark.parametrize("ids", [(1, 2), ()], ids=["nothing new", "an empty source"])
    def test_a_window_without_rows_is_no_reason_to_skip(
        self, orders: Resource, warehouse: FakeWarehouse, landing: FakeLanding, ids: tuple[int, ...]
    ) -> None:
        warehouse.heads = [head(orders, "900")]

        left = extract_table(context(), orders, Numbers(*ids))

        assert self.keys(landing, left) == list(ids)

    @pytest.mark.parametrize(
        "conf", [{"full_refresh": True}, {"start": "1", "end": "9"}, {"row_limit": 1}], ids=str
    )
    def test_other_runs_read_no_keys(
        self, orders: Resource, landing: FakeLanding, conf: dict[str, Any]
    ) -> None:
        left = extract_table(context(**conf), orders, Numbers(1, 2))

        assert manifest_of(landing, left).keys == ()

    def test_deletes_that_are_ignored_cost_nothing(
        self, write: Write, warehouse: FakeWarehouse, landing: FakeLanding
    ) -> None:
        left = extract_table(context(), resource_of(write, TABLE), Numbers(1, 2))

        assert manifest_of(landing, left).keys == ()

    def test_keys_that_the_source_did_not_count_stop_the_run(
        self, orders: Resource, landing: FakeLanding
    ) -> None:
        source = Numbers(1, 2, 3, lost_keys=1)

        with pytest.raises(AccountingError, match=r"counted 3 rows in all, but 2 keys were read"):
            extract_table(context(), orders, source)
        assert not any(uri.endswith("manifest.json") for uri in landing.objects)


NEW_FILES = "path: s3://drops/*.csv\nformat: csv\nload: transactional"
ALL_FILES = "path: s3://drops/*.csv\nformat: csv\nload: catalog"


class TestFiles:
    @pytest.fixture
    def drops(self, warehouse: FakeWarehouse) -> Drops:
        made = Drops()
        made.put("a.csv", b"id\n1\n")
        made.put("b.csv", b"id\n22\n", hours=1)
        return made

    def names(self, landing: FakeLanding, left: Mapping[str, Any]) -> list[str]:
        parts = manifest_of(landing, left).parts
        return sorted(part.source.uri.rpartition("/")[2] for part in parts if part.source)

    def test_an_increment_leaves_a_changed_file_to_the_next_run(
        self, write: Write, drops: Drops, landing: FakeLanding
    ) -> None:
        drops.overwritten_after_listing.add("s3://drops/a.csv")

        left = extract_files(context(), resource_of(write, NEW_FILES, type_="s3"), drops, drops.copy)

        assert self.names(landing, left) == ["b.csv"]

    @pytest.mark.parametrize(
        ("spec", "conf"), [(ALL_FILES, {}), (NEW_FILES, {"full_refresh": True})], ids=["catalog", "refresh"]
    )
    def test_what_replaces_the_table_is_never_partial(
        self, write: Write, drops: Drops, landing: FakeLanding, spec: str, conf: dict[str, Any]
    ) -> None:
        resource = resource_of(write, spec, type_="s3")
        drops.overwritten_after_listing.add("s3://drops/a.csv")
        with pytest.raises(TransientError, match=r"a\.csv has changed .* the next try lists anew"):
            extract_files(context(**conf), resource, drops, drops.copy)

        drops.overwritten_after_listing.clear()
        drops.put("a.csv", b"id\n333\n", hours=2)
        left = extract_files(context(try_number=2, **conf), resource, drops, drops.copy)

        assert self.names(landing, left) == ["a.csv", "b.csv"]

    def test_a_cleared_catalog_lists_what_is_there_now(
        self, write: Write, drops: Drops, landing: FakeLanding
    ) -> None:
        catalog = resource_of(write, ALL_FILES, type_="s3")
        first = manifest_of(landing, extract_files(context(), catalog, drops, drops.copy))
        drops.put("b.csv", b"id\n4444\n", hours=3)
        drops.put("d.csv", b"id\n5\n", hours=3)

        left = extract_files(context(try_number=2), catalog, drops, drops.copy)

        assert self.names(landing, left) == ["a.csv", "b.csv", "d.csv"]
        assert manifest_of(landing, left).snapshot_at > first.snapshot_at

    def test_a_catalog_is_as_old_as_its_listing(
        self, write: Write, drops: Drops, landing: FakeLanding
    ) -> None:
        left = extract_files(context(), resource_of(write, ALL_FILES, type_="s3"), drops, drops.copy)

        manifest = manifest_of(landing, left)
        assert datetime.fromisoformat(manifest.snapshot_at) == datetime.fromisoformat(
            manifest.plan.planned_at
        )

    def test_a_backfill_chooses_files_by_when_they_were_modified(
        self, write: Write, drops: Drops, landing: FakeLanding
    ) -> None:
        files = resource_of(write, NEW_FILES, type_="s3")
        bounds = {"start": "2025-06-01T12:30:00", "end": "2025-06-02"}

        left = extract_files(context(**bounds), files, drops, drops.copy)

        assert self.names(landing, left) == ["b.csv"]

    @pytest.mark.parametrize("spec", [NEW_FILES, ALL_FILES], ids=["new", "catalog"])
    def test_a_row_limit_copies_no_more_files_than_rows(
        self, write: Write, drops: Drops, landing: FakeLanding, spec: str
    ) -> None:
        left = extract_files(context(row_limit=1), resource_of(write, spec, type_="s3"), drops, drops.copy)

        assert self.names(landing, left) == ["a.csv"]
        assert manifest_of(landing, left).plan.row_limit == 1

    def test_a_backfill_of_files_takes_no_numbers(self, write: Write, drops: Drops) -> None:
        with pytest.raises(TerminalError, match="must be dates or times: files are chosen by when"):
            extract_files(
                context(start="1", end="9"), resource_of(write, NEW_FILES, type_="s3"), drops, drops.copy
            )

    def test_a_copy_of_another_size_stops_the_run(self, write: Write, drops: Drops) -> None:
        def cut(source: SourceObject, uri: str, landing: Any) -> Any:
            return landing.put(uri, b"id")

        with pytest.raises(AccountingError, match=r"a\.csv: 5 bytes listed, 2 copied"):
            extract_files(context(), resource_of(write, NEW_FILES, type_="s3"), drops, cut)


def test_the_fakes_are_sources() -> None:
    assert issubclass(Drops, FileSource)
    assert issubclass(Numbers, TableSource)


def test_what_hides_values_is_parsed_and_not_copied(
    write: Write, landing: FakeLanding, warehouse: Any
) -> None:
    import io

    class Opened(Drops):
        def open(self, source_object: SourceObject) -> Any:
            return io.BytesIO(self.held[source_object.uri][1])

    drops = Opened()
    drops.put("a.csv", b"id,secret\n1,canary\n")
    drops.put("b.csv", b"id,secret\n2,canary\n3,canary\n")
    resource = resource_of(write, f"{NEW_FILES}\ncolumns: {{exclude: [secret]}}", type_="s3")

    left = extract_files(context(), resource, drops, drops.copy)

    manifest = manifest_of(landing, left)
    assert manifest.extra == {"parsed": True}
    assert [part.uri.split("/")[-3:] for part in manifest.parts] == [
        ["parsed", "00000", "a.csv"],
        ["parsed", "00001", "b.csv"],
    ]
    assert not any(b"canary" in data for data in landing.objects.values())


def test_columns_are_hidden_in_the_first_part(write: Write, landing: FakeLanding, warehouse: Any) -> None:
    resource = resource_of(
        write, "table: public.orders\nload: catalog\nprimary_key: [id]\ncolumns: {mask: {id: sha256}}"
    )

    left = extract_table(context(), resource, Numbers(1))

    (part,) = manifest_of(landing, left).parts
    assert landing.rows((part,)) == [
        {"id": "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"}
    ]
