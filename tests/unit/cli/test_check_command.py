"""`etl-factory check` and `discover`, over sources that stand for the real ones."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, ClassVar

import pyarrow as pa
import pytest
from command_line import Invoke, only_json

from etl_factory.cli import reach
from etl_factory.errors import AccessDeniedError, NotFoundError
from etl_factory.sources.base import Connection, FileSource, Found, Selection, SourceObject, TableSource
from examples import SOURCE, TENANT, Write

FILES = """\
source: files
type: s3
connection: files
resources:
  prices: {path: "s3://b/*.csv", format: csv, load: transactional}
  none: {path: "s3://b/none/*.csv", format: csv, load: transactional}
"""
TABLES = (
    SOURCE
    + """\
  lines: {table: public.lines, load: transactional, cursor: changed, primary_key: [id]}
  gone: {table: public.gone, load: catalog}
  split: {table: public.orders, load: catalog, partition_by: chnged}
  late: {table: public.lines, load: transactional, cursor: changed, lag: 5}
"""
)


class Snapshot:
    """A snapshot of two columns."""

    schema = pa.schema([("id", pa.int64()), ("changed", pa.timestamp("us", "UTC"))])

    @staticmethod
    def cursor_kind() -> str:
        return "instant"


class Tables(TableSource):
    """A database with the tables public.orders and public.lines."""

    type: ClassVar[str] = "postgres"
    denied: ClassVar[bool] = False

    def check(self) -> str:
        if self.denied:
            raise AccessDeniedError("login as 'etl' was refused")
        return "Database 1.0"

    def discover(self) -> Iterator[Found]:
        yield Found("public.orders", (("id", "bigint"), ("changed", "timestamptz")), ("id",))
        yield Found("public.lines", (("no", "int"),))

    @contextmanager
    def snapshot(self, selection: Selection) -> Iterator[Any]:
        if selection.table == "public.gone":
            raise NotFoundError("table 'public.gone' does not exist")
        yield Snapshot()


class Files(FileSource):
    """A bucket with two objects."""

    type: ClassVar[str] = "s3"

    def check(self) -> str:
        return "Store"

    def discover(self) -> Iterator[Found]:
        yield Found("s3://b/")

    def objects(self, path: str) -> Iterator[SourceObject]:
        if "none" not in path:
            for day in (2, 1):
                yield SourceObject(f"s3://b/{day}.csv", "v", 1000, datetime(2026, 1, day, 8, 30, tzinfo=UTC))

    def open(self, source_object: SourceObject) -> IO[bytes]:
        return io.BytesIO()


@pytest.fixture(autouse=True)
def sources(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reach the sources above."""
    classes = {"postgres": Tables, "s3": Files}
    made = lambda resource: classes[resource.source_type](Connection(resource.conn_id))  # noqa: E731 - one line
    monkeypatch.setattr(reach, "_source", made)


@pytest.fixture
def root(write: Write) -> Path:
    return write({"acme/tenant.yaml": TENANT, "acme/shop_db.yaml": TABLES, "acme/files.yaml": FILES})


def test_one_finding_per_line(invoke: Invoke, root: Path) -> None:
    result = invoke("check", "acme", "shop_db", "--config-root", root)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "ok      system  acme__shop_db: Database 1.0",
        "ok      orders  2 columns",
        "ok      lines   2 columns, cursor changed (instant), lag 0:10:00",
        "FAILED  gone    table 'public.gone' does not exist",
        "FAILED  split   there is no column 'chnged' among those selected; did you mean 'changed'?",
        "FAILED  late    cursor 'changed' is of kind instant: lag must be a duration such as 10m, not 5",
    ]


def test_a_path_without_objects_is_a_finding(invoke: Invoke, root: Path) -> None:
    result = invoke("check", "acme", "files", "--config-root", root)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "ok      system  acme__files: Store",
        "ok      prices  2 objects found, 2,000 bytes, the newest of 2026-01-02 08:30 UTC",
        "FAILED  none    no object matches s3://b/none/*.csv: correct `path`, unless the first is still to come",
    ]


def test_a_source_that_refuses_is_one_finding(
    invoke: Invoke, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tables, "denied", True)
    result = invoke("check", "acme", "shop_db", "--config-root", root, "--json")
    assert result.exit_code == 1
    assert only_json(result.stdout) == {
        "ok": False,
        "tenant": "acme",
        "source": "shop_db",
        "findings": [{"what": "system", "ok": False, "message": "login as 'etl' was refused"}],
    }


def test_all_well_exits_0(invoke: Invoke, write: Write) -> None:
    root = write({"acme/tenant.yaml": TENANT, "acme/shop_db.yaml": SOURCE})
    result = invoke("check", "acme", "shop_db", "--config-root", root, "--json")
    assert (result.exit_code, only_json(result.stdout)["ok"]) == (0, True)


@pytest.mark.parametrize("command", ["check", "discover"])
def test_an_unknown_source_exits_2(invoke: Invoke, root: Path, command: str) -> None:
    result = invoke(command, "acme", "shop", "--config-root", root)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "did you mean 'shop_db'?" in result.stderr


def test_discover_lists_columns_and_keys(invoke: Invoke, root: Path) -> None:
    result = invoke("discover", "acme", "shop_db", "--config-root", root)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "public.orders  (primary key: id)",
        "  id       bigint",
        "  changed  timestamptz",
        "",
        "public.lines",
        "  no  int",
        "",
        "2 found",
    ]


def test_discover_only_names_like_this(invoke: Invoke, root: Path) -> None:
    result = invoke("discover", "acme", "shop_db", "--like", "*.li*", "--config-root", root)
    assert result.stdout.splitlines()[0] == "public.lines"
    nothing = invoke("discover", "acme", "shop_db", "--like", "x", "--config-root", root)
    assert (nothing.exit_code, nothing.stdout) == (0, "nothing found\n")


def test_discover_as_yaml_to_paste(invoke: Invoke, root: Path) -> None:
    result = invoke("discover", "acme", "files", "--yaml", "--config-root", root)
    assert result.stdout.splitlines() == [
        "resources:",
        "  b:",
        "    path: s3://b/**/*.csv",
        "    format: csv",
        "    load: transactional",
    ]


def test_discover_as_json(invoke: Invoke, root: Path) -> None:
    document = only_json(invoke("discover", "acme", "shop_db", "--config-root", root, "--json").stdout)
    assert document["found"][1] == {
        "name": "public.lines", "primary_key": [], "columns": [{"name": "no", "type": "int"}],
    }  # fmt: skip
    assert document["resources"]["orders"]["primary_key"] == ["id"]
