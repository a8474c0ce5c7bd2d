"""Reads every source and every published table by code of its own, and compares them row by row."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import psycopg2
import pyarrow as pa
import pyarrow.parquet as pq

from demo import systems

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Truth:
    """What a source holds: its column names as published, its rows, and how many records are no rows."""

    columns: tuple[str, ...]
    rows: Iterable[Row]
    bad: int = 0


@dataclass(frozen=True)
class Verdict:
    """How a published table compares with its source."""

    source: int
    published: int
    lost: int
    doubled: int


def compare(truth: Truth, table: str) -> Verdict:
    """Compare as multisets of whole rows."""
    wanted = Counter(_digest(row) for row in truth.rows)
    held = Counter(_digest(row) for row in published(table, truth.columns))
    return Verdict(wanted.total(), held.total(), (wanted - held).total(), (held - wanted).total())


def _digest(row: Row) -> bytes:
    return hashlib.blake2b(repr([_plain(value) for value in row]).encode(), digest_size=16).digest()


_SPELLINGS: dict[type, Callable[[Any], object]] = {
    int: str,
    Decimal: lambda value: f"{value:f}".rstrip("0").rstrip(".") if "." in f"{value:f}" else f"{value:f}",
    float: float.hex,
    memoryview: bytes,
    datetime: lambda value: (value.astimezone(UTC) if value.tzinfo else value).isoformat(),
    date: date.isoformat,
    time: time.isoformat,
    timedelta: timedelta.total_seconds,
    dict: lambda value: json.dumps(value, sort_keys=True, default=str, ensure_ascii=False),
    list: lambda value: json.dumps(value, sort_keys=True, default=str, ensure_ascii=False),
}


def _plain(value: Any) -> Any:
    """Spell a value so that two spellings are equal exactly when the values are."""
    if value is None or isinstance(value, bool | str | bytes):
        return value
    return _SPELLINGS.get(type(value), str)(value)


def published(table: str, columns: tuple[str, ...]) -> Iterator[Row]:
    """Read a published table through an extract to Parquet, the warehouse's own way out."""
    client, uri = systems.bigquery_client("acme-analytics"), f"gs://acme-landing/_demo/{table}.parquet"
    from google.cloud.bigquery import ExtractJobConfig

    config = ExtractJobConfig(destination_format="PARQUET")
    client.extract_table(table, uri, job_config=config).result()
    blob = systems.storage_client().bucket("acme-landing").blob(f"_demo/{table}.parquet")
    file = pq.ParquetFile(io.BytesIO(blob.download_as_bytes()))
    blob.delete()
    for batch in file.iter_batches(columns=list(columns)):
        yield from zip(
            *(batch.column(batch.schema.get_field_index(name)).to_pylist() for name in columns), strict=True
        )


def _json(rows: Iterable[Row], *positions: int) -> Iterator[Row]:
    for row in rows:
        yield tuple(_parsed(value) if i in positions else value for i, value in enumerate(row))


def _parsed(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _postgres(env: Mapping[str, str], names: str, select: str) -> Truth:
    connection = psycopg2.connect(env["POSTGRES_URL"])
    with connection, connection.cursor() as cursor:
        cursor.execute("SET TimeZone = 'UTC'; SET IntervalStyle = 'iso_8601'")
        cursor.execute(select)
        rows = cursor.fetchall()
    connection.close()
    return Truth(tuple(names.split()), rows)


def _orders(env: Mapping[str, str]) -> Truth:
    return _postgres(
        env,
        "id order_number customer_id status total fx_rate discount tags token is_gift deliver_on local_time placed_at"
        " updated_at",
        'SELECT id, "Order No", customer_id, status::text, total, fx_rate, discount, tags::text, token::text, is_gift,'
        " deliver_on, local_time, placed_at, updated_at FROM orders",
    )


def _order_lines(env: Mapping[str, str]) -> Truth:
    names = "order_id line_no sku quantity price updated_at"
    return _postgres(env, names, f"SELECT {names.replace(' ', ', ')} FROM order_lines")


def _customers(env: Mapping[str, str]) -> Truth:
    return _postgres(
        env,
        "id name vat_id credit rating is_active joined logo ip opens contract",
        "SELECT id, name, vat_id, credit, rating::float4::float8, is_active, joined, logo, host(ip), opens::text,"
        " contract::text FROM customers",
    )


def _mysql(env: Mapping[str, str], select: str) -> Truth:
    connection = systems.mysql_connection(env["MYSQL_URL"])
    with connection.cursor() as cursor:
        cursor.execute(select)
        names, rows = tuple(column[0] for column in cursor.description), cursor.fetchall()
    connection.close()
    return Truth(names, rows)


def _products(env: Mapping[str, str]) -> Truth:
    return _mysql(
        env,
        "SELECT sku, name, price, weight, ean, is_active, photo, available_from, created_at, warranty_until"
        " FROM products",
    )


def _movements(env: Mapping[str, str]) -> Truth:
    return _mysql(
        env, "SELECT id, sku, quantity, moved_at, note FROM stock_movements WHERE warehouse = 'WAW1'"
    )


def _quotes(_: Mapping[str, str]) -> Truth:
    client = systems.bigquery_client(systems.PARTNER)
    rows = client.query_and_wait("SELECT sku, quoted_at, price FROM shared.market_prices", page_size=20_000)
    return Truth(("sku", "quoted_at", "price"), [tuple(row.values()) for row in rows])


def _prices(env: Mapping[str, str]) -> Truth:
    client, rows, bad = systems.s3_client(env), [], 0
    for item in client.list_objects_v2(Bucket="acme-suppliers")["Contents"]:
        body = client.get_object(Bucket="acme-suppliers", Key=item["Key"])["Body"].read()
        text = io.StringIO(gzip.decompress(body).decode("windows-1250"), newline="")
        records = list(csv.reader(text, delimiter=";"))[1:]
        good = [record for record in records if len(record) == 5]
        bad += len(records) - len(good)
        rows += [
            (ean, name, Decimal(price), date.fromisoformat(since)) for ean, name, price, since, _ in good
        ]
    return Truth(("ean", "nazwa_towaru", "cena_netto_zl", "wazny_od"), rows, bad)


def _events(_: Mapping[str, str]) -> Truth:
    rows, bad = [], 0
    for blob in systems.storage_client().list_blobs("acme-web-events"):
        data = pa.CompressedInputStream(pa.BufferReader(blob.download_as_bytes()), "zstd").read()
        for line in data.decode().splitlines():
            try:
                value = json.loads(line, parse_float=Decimal)
            except json.JSONDecodeError:
                bad += 1
                continue
            moment = datetime.fromisoformat(value["at"])
            rows.append((value["event_id"], moment, value["user_id"], value["seconds"]))
    return Truth(("event_id", "at", "user_id", "seconds"), rows, bad)


def _feed(env: Mapping[str, str]) -> Truth:
    container = systems.azure_client(env).get_container_client("content")
    latest = max(container.list_blobs(), key=lambda blob: (blob.last_modified, blob.name))
    table = pq.read_table(io.BytesIO(container.download_blob(latest.name).readall()))
    names = ("sku", "title", "rating", "price", "updated_at")
    return Truth(names, zip(*(table[name].to_pylist() for name in names), strict=True))


TRUTHS: dict[tuple[str, str], Callable[[Mapping[str, str]], Truth]] = {
    ("shop_db", "orders"): _orders,
    ("shop_db", "order_lines"): _order_lines,
    ("shop_db", "customers"): _customers,
    ("erp_db", "products"): _products,
    ("erp_db", "stock_movements"): _movements,
    ("partner_market", "market_prices"): _quotes,
    ("price_lists", "prices"): _prices,
    ("web_events", "events"): _events,
    ("product_feed", "feed"): _feed,
}
