"""Rows of a database are hidden before anybody writes them, and keys of masks are the tenant's own."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator

import pyarrow as pa
import pytest

from etl_factory import connections
from etl_factory.errors import NotFoundError, TerminalError
from etl_factory.schema.masking import Masking
from etl_factory.sources.base import Connection, TableSnapshot
from etl_factory.transfers.masking import masked_rows, maskings_of
from etl_factory.windows import CursorKind, Window
from examples import Write
from fakes import resource_of

AT = pa.timestamp("us", "UTC")
KEY = "0123456789abcdef"


class People(TableSnapshot):
    """Two people; a moment is text, as the source prints it."""

    schema = pa.schema([("id", pa.int64()), ("email", pa.string()), ("seen", AT)])

    def cursor_kind(self) -> CursorKind:
        return "integer"

    def greatest(self) -> int | None:
        return 2

    def count(self, window: Window | None) -> int:
        return 2

    def read(self, window: Window | None) -> Iterator[pa.RecordBatch]:
        seen = ["2024-06-15 10:00:00+00", "infinity"]
        yield pa.record_batch({"id": [1, 2], "email": ["a@x", None], "seen": seen})


@pytest.fixture
def people(monkeypatch: pytest.MonkeyPatch) -> People:
    made = People()
    made.now = None  # type: ignore[assignment]  # nobody asks
    return made


def test_rows_and_keys_are_hidden_alike(people: People) -> None:
    maskings = {"id": Masking("hmac", key=KEY.encode()), "email": Masking("sha256")}
    rows = masked_rows(people, maskings)

    (batch,) = rows.read(None)
    (keys,) = rows.read_keys(("id",))

    assert rows.schema.types == [pa.string(), pa.string(), AT]
    assert batch["id"].to_pylist()[0] == hmac.new(KEY.encode(), b"1", "sha256").hexdigest()
    assert batch["id"].equals(keys["id"])
    assert batch["email"].to_pylist() == [hashlib.sha256(b"a@x").hexdigest(), None]
    assert batch["seen"].to_pylist()[1] == "infinity"
    assert (rows.count(None), rows.greatest(), rows.cursor_kind()) == (2, 2, "integer")


def test_a_moment_that_cannot_be_cut_is_left_to_sanitize_without_its_value(people: People) -> None:
    rows = masked_rows(people, {"seen": Masking("date_trunc", "month")})

    (batch,) = rows.read(None)

    assert rows.schema.field("seen").type == AT
    assert batch["seen"].to_pylist() == ["2024-06-01 00:00:00Z", "(masked)"]


def test_without_masks_nothing_is_in_between(people: People) -> None:
    assert masked_rows(people, {}) is people


HASHED = "table: public.orders\nload: catalog\ncolumns: {mask: {email: {hmac: pii_key}, phone: last4}}"


def test_the_key_is_the_password_of_the_tenants_own_connection(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def resolve(conn_id: str) -> Connection:
        asked.append(conn_id)
        return Connection(conn_id, password=KEY)

    monkeypatch.setattr(connections, "resolve", resolve)
    found = maskings_of(resource_of(write, HASHED))

    assert asked == ["acme__pii_key"]
    assert found == {"email": Masking("hmac", key=KEY.encode()), "phone": Masking("last4")}
    assert KEY not in repr(found)


@pytest.mark.parametrize("key", ["", "fifteen-bytes-1"])
def test_a_key_that_is_too_short_is_refused(write: Write, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setattr(connections, "resolve", lambda conn_id: Connection(conn_id, password=key))
    with pytest.raises(TerminalError, match=f"it has {len(key)} bytes, where 16 are the least") as raised:
        maskings_of(resource_of(write, HASHED))
    assert "`etl-factory secret set acme pii_key -`" in str(raised.value)
    assert not key or key not in str(raised.value)


def test_a_key_that_is_missing_stops_the_run(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(conn_id: str) -> Connection:
        raise NotFoundError(f"connection {conn_id} does not exist")

    monkeypatch.setattr(connections, "resolve", missing)
    with pytest.raises(NotFoundError, match="connection acme__pii_key"):
        maskings_of(resource_of(write, HASHED))


def test_a_key_is_in_no_digest(write: Write) -> None:
    plain = resource_of(write, HASHED)
    described = resource_of(write, HASHED.replace("columns: {", "columns: {description: {email: Mail}, "))

    assert plain.spec_digest == described.spec_digest
    assert plain.spec_digest != resource_of(write, HASHED.replace("last4", "redact")).spec_digest


def test_check_tells_that_the_key_is_missing(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    from etl_factory.cli.check import look_at

    def missing(conn_id: str) -> Connection:
        raise NotFoundError(f"connection {conn_id} does not exist")

    monkeypatch.setattr(connections, "resolve", missing)
    with pytest.raises(NotFoundError, match="connection acme__pii_key"):
        look_at(None, resource_of(write, HASHED))  # type: ignore[arg-type]  # not reached
