"""The six systems that the demo reads from: what is put there first, and what is changed later."""

from __future__ import annotations

import gzip
import io
import json
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlparse

import boto3
import psycopg2
import pyarrow as pa
import pyarrow.parquet as pq
from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobServiceClient
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery, storage

from demo import wholesaler

PARTNER = "partner-market"
_ORDERS = """
DROP TABLE IF EXISTS order_lines, orders, customers; DROP TYPE IF EXISTS order_status;
CREATE TYPE order_status AS ENUM ('new', 'paid', 'sent', 'returned');
CREATE TABLE customers (id integer PRIMARY KEY, name varchar(200) NOT NULL, vat_id text, credit numeric(14, 2),
  rating real, is_active boolean, joined date, address jsonb, logo bytea, ip inet, opens time, contract interval);
CREATE TABLE orders (id bigint PRIMARY KEY, "Order No" text NOT NULL, customer_id integer, status order_status,
  total numeric(14, 2), fx_rate numeric, discount double precision, tags text[], basket jsonb, token uuid,
  is_gift boolean, deliver_on date, local_time timestamp, placed_at timestamptz, updated_at timestamptz,
  card_fingerprint text);
CREATE INDEX ON orders (updated_at);
CREATE TABLE order_lines (order_id bigint, line_no smallint, sku text, quantity numeric(12, 3), price numeric(12, 4),
  updated_at timestamptz, PRIMARY KEY (order_id, line_no));
CREATE INDEX ON order_lines (updated_at);
INSERT INTO customers SELECT i, 'Klient ' || i || ' Sp. z o.o.',
  CASE WHEN i % 3 > 0 THEN 'PL' || lpad(i::text, 10, '0') END,
  i * 1000.01, i % 50 / 10.0, i % 11 > 0, date '2015-01-01' + i % 3000,
  jsonb_build_object('city', 'Łódź', 'no', i, 'geo', array[51.7, 19.4]), decode(md5(i::text), 'hex'),
  ('10.0.' || i % 250 || '.1')::inet, time '08:00' + i % 60 * interval '1 minute', i % 400 * interval '1 day'
FROM generate_series(1, %(customers)s) i;
INSERT INTO orders SELECT i, 'ZAM/' || lpad(i::text, 8, '0'), i %% 5000 + 1,
  (array['new', 'paid', 'sent', 'returned']::order_status[])[i %% 4 + 1], i * 0.37,
  CASE WHEN i %% 5 > 0 THEN round(1 / (i + 3.0), 15) END,
  CASE WHEN i %% 9 > 0 THEN i / 7.0 END, CASE WHEN i %% 4 > 0 THEN array['b2b', 'tag ' || i %% 13] END,
  jsonb_build_object('items', i %% 7, 'note', 'ąę "' || i || '"', 'sum', i * 0.1), md5(i::text)::uuid, i %% 17 = 0,
  date '2025-01-02' + i %% 500, timestamp '2025-01-01 08:00' + i * interval '7 minutes 0.123456 seconds',
  timestamptz '2025-01-01 00:00+00' + i * interval '7 minutes',
  timestamptz '2025-01-01 00:00+00' + i / 3 * interval '20 minutes',
  CANARY FROM generate_series(1, %(orders)s) i;
INSERT INTO order_lines SELECT o, l, lpad(((o * 7 + l) %% 2000)::text, 6, '0'), l * 1.5, (o %% 1000) * 0.0101,
  timestamptz '2025-01-01 00:00+00' + o / 3 * interval '20 minutes'
FROM generate_series(1, %(orders)s) o, generate_series(1, 2) l;
"""
_ORDERS = _ORDERS.replace("i % ", "i %% ").replace("CANARY", "'4111-' || md5('card' || i)")
_ORDERS_CHANGED = """
UPDATE orders SET status = 'returned', total = total + 1, updated_at = now() WHERE id %% 400 = 0;
INSERT INTO orders SELECT i, 'ZAM/N' || i, 1, 'new', 1.10, NULL, NULL, NULL, NULL, NULL, true,
  NULL, NULL, now(), now(), 'x'
FROM generate_series(%(first)s, %(first)s + 119) i;
INSERT INTO order_lines SELECT i, 1, '000001', 1, 1.1, now() FROM generate_series(%(first)s, %(first)s + 119) i;
UPDATE customers SET credit = credit + 1 WHERE id <= 10;
"""


def seed_postgres(url: str) -> None:
    """Make the shop's tables anew."""
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(_ORDERS, {"orders": wholesaler.ORDERS, "customers": wholesaler.CUSTOMERS})
    connection.close()


def change_postgres(url: str) -> dict[str, int]:
    """Update and insert orders; return how many rows of each resource must arrive."""
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(_ORDERS_CHANGED, {"first": wholesaler.ORDERS + 1})
    connection.close()
    return {"orders": wholesaler.ORDERS // 400 + 120, "order_lines": 120}


def mysql_connection(url: str) -> Any:
    """Connect to the warehouse system's database."""
    import MySQLdb

    to = urlparse(url)
    return MySQLdb.connect(
        host=to.hostname,
        port=to.port,
        user=to.username,
        password=to.password,
        database=to.path[1:],
        charset="utf8mb4",
    )


def seed_mysql(url: str) -> None:
    """Make the warehouse system's tables anew."""
    connection = mysql_connection(url)
    with connection.cursor() as cursor:
        for statement in (
            "DROP TABLE IF EXISTS products, stock_movements",
            "CREATE TABLE products (sku char(6) PRIMARY KEY, name varchar(200), price decimal(20,4), weight double,"
            " ean bigint unsigned, is_active tinyint(1), photo blob, attributes json, available_from date,"
            " created_at datetime(6), warranty_until year) CHARACTER SET utf8mb4",
            "CREATE TABLE stock_movements (id bigint AUTO_INCREMENT PRIMARY KEY, sku char(6), quantity decimal(12,3),"
            " moved_at datetime, note text, warehouse varchar(8)) CHARACTER SET utf8mb4",
        ):
            cursor.execute(statement)
        cursor.executemany(
            "INSERT INTO products VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            list(wholesaler.products()),
        )
        _insert_movements(cursor, 0, wholesaler.MOVEMENTS)
    connection.commit()
    connection.close()


def change_mysql(url: str) -> dict[str, int]:
    """Insert movements, of which those of one warehouse must arrive."""
    connection = mysql_connection(url)
    with connection.cursor() as cursor:
        _insert_movements(cursor, wholesaler.MOVEMENTS, wholesaler.MOVEMENTS + 200)
        cursor.execute("UPDATE products SET price = price + 1 WHERE sku < '000010'")
    connection.commit()
    connection.close()
    return {"stock_movements": 180}


def _insert_movements(cursor: Any, first: int, last: int) -> None:
    cursor.executemany(
        "INSERT INTO stock_movements (sku, quantity, moved_at, note, warehouse) VALUES (%s, %s, %s, %s, %s)",
        list(wholesaler.movements(first, last)),
    )


def bigquery_client(project: str) -> bigquery.Client:
    """Return a client of the emulator."""
    return bigquery.Client(project=project, credentials=AnonymousCredentials())


def seed_bigquery() -> None:
    """Make the partner's table anew, in a project of its own."""
    client = bigquery_client(PARTNER)
    for statement in (
        "CREATE SCHEMA IF NOT EXISTS shared",
        "DROP TABLE IF EXISTS shared.market_prices",
        "CREATE TABLE shared.market_prices (sku STRING, quoted_at TIMESTAMP, price NUMERIC, source STRUCT<name STRING,"
        " trust FLOAT64>, rivals ARRAY<STRING>)",
        _quotes(0, wholesaler.QUOTES, "TIMESTAMP '2025-01-01 00:00:00+00'"),
    ):
        client.query_and_wait(statement)


def change_bigquery() -> dict[str, int]:
    """Insert fresh quotes."""
    bigquery_client(PARTNER).query_and_wait(_quotes(0, 70, "CURRENT_TIMESTAMP()"))
    return {"market_prices": 70}


def _quotes(first: int, count: int, moment: str) -> str:
    return (
        f"INSERT INTO shared.market_prices SELECT LPAD(CAST(i AS STRING), 6, '0'), {moment}, CAST(i AS NUMERIC) / 100,"
        " STRUCT('feed' AS name, i / 7 AS trust), ['a', 'b']"
        f" FROM UNNEST(GENERATE_ARRAY({first}, {first + count - 1})) AS i"
    )


def s3_client(env: Mapping[str, str]) -> Any:
    """Return a client of the S3 server."""
    return boto3.client(
        "s3", endpoint_url=env["S3_ENDPOINT_URL"], region_name="us-east-1", aws_access_key_id="local",
        aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
    )  # fmt: skip


def _put_price_list(env: Mapping[str, str], name: str, text: str) -> None:
    body = gzip.compress(text.encode("windows-1250"), mtime=0)
    s3_client(env).put_object(Bucket="acme-suppliers", Key=f"prices/{name}.csv.gz", Body=body)


def seed_s3(env: Mapping[str, str]) -> None:
    """Upload the suppliers' price lists, removing older ones."""
    client = s3_client(env)
    client.create_bucket(Bucket="acme-suppliers")
    for item in client.list_objects_v2(Bucket="acme-suppliers").get("Contents", ()):
        client.delete_object(Bucket="acme-suppliers", Key=item["Key"])
    for number, supplier in enumerate(wholesaler.SUPPLIERS):
        _put_price_list(env, f"2025/supplier {number}", wholesaler.price_list(supplier, 3_000))


def change_s3(env: Mapping[str, str]) -> dict[str, int]:
    """Change one price list and add another."""
    _put_price_list(env, "2025/supplier 0", wholesaler.price_list(wholesaler.SUPPLIERS[0], 3_010, uplift=5))
    _put_price_list(env, "2026/supplier 9", wholesaler.price_list("Nowy dostawca", 1_000))
    return {"prices": 3_010 + 1_000}


def storage_client() -> storage.Client:
    """Return a client of the GCS emulator."""
    return storage.Client("acme-analytics", AnonymousCredentials())


def _bucket(name: str) -> storage.Bucket:
    client = storage_client()
    bucket = client.bucket(name)
    return bucket if bucket.exists() else client.create_bucket(name)


def _put_events(hour: int, count: int) -> None:
    raw = "\n".join(wholesaler.events(hour, count)).encode()
    body = pa.compress(raw, codec="zstd", asbytes=True)
    _bucket("acme-web-events").blob(f"events/{hour:04}.jsonl.zst").upload_from_string(body)


def seed_gcs() -> None:
    """Upload the first hours of events, and make the tenants' landing buckets."""
    for name in ("acme-landing", "globex-landing"):
        _bucket(name)
    for blob in storage_client().list_blobs(_bucket("acme-web-events")):
        blob.delete()
    for hour in range(4):
        _put_events(hour, wholesaler.EVENTS // 4)


def change_gcs() -> dict[str, int]:
    """Upload one more hour."""
    _put_events(4, 700)
    return {"events": 700}


def azure_client(env: Mapping[str, str]) -> BlobServiceClient:
    """Return a client of Azurite."""
    return BlobServiceClient.from_connection_string(env["AZURE_STORAGE_CONNECTION_STRING"])


def _put_feed(env: Mapping[str, str], version: int, count: int) -> None:
    target = io.BytesIO()
    pq.write_table(pa.table(wholesaler.feed(version, count)), target)
    blob = azure_client(env).get_blob_client("content", f"feed/products-{version}.parquet")
    blob.upload_blob(target.getvalue(), overwrite=True)


def seed_azure(env: Mapping[str, str]) -> None:
    """Upload the first feed, removing older ones."""
    container = azure_client(env).get_container_client("content")
    try:
        container.create_container()
    except ResourceExistsError:
        for blob in container.list_blobs():
            container.delete_blob(blob.name)
    _put_feed(env, 1, 2_000)


def change_azure(env: Mapping[str, str]) -> dict[str, int]:
    """Upload a newer feed."""
    _put_feed(env, 2, 2_050)
    return {"feed": 2_050}


def connections(env: Mapping[str, str]) -> dict[str, str]:
    """Return each connection of the example tenants, as it is stored in Secret Manager."""
    found = {
        "acme__shop_db": env["POSTGRES_URL"],
        "globex__crm_db": env["POSTGRES_URL"],
        "acme__supplier_s3": json.dumps(
            {
                "conn_type": "aws",
                "login": env["AWS_ACCESS_KEY_ID"],
                "password": env["AWS_SECRET_ACCESS_KEY"],
                "extra": {"endpoint_url": env["S3_ENDPOINT_URL"], "region_name": env["AWS_DEFAULT_REGION"]},
            }
        ),
        "acme__content_azure": json.dumps(
            {"conn_type": "wasb", "extra": {"connection_string": env["AZURE_STORAGE_CONNECTION_STRING"]}}
        ),
    }
    return found | ({"acme__erp_db": env["MYSQL_URL"]} if "MYSQL_URL" in env else {})


def seed(env: Mapping[str, str]) -> None:
    """Fill every system that is there."""
    os.environ.update(env)
    seed_postgres(env["POSTGRES_URL"])
    if "MYSQL_URL" in env:
        seed_mysql(env["MYSQL_URL"])
    seed_bigquery()
    seed_s3(env)
    seed_gcs()
    seed_azure(env)


def change(env: Mapping[str, str]) -> dict[tuple[str, str], int]:
    """Change every system; return how many rows of each (source, resource) must arrive."""
    changed = {
        "shop_db": change_postgres(env["POSTGRES_URL"]),
        "erp_db": change_mysql(env["MYSQL_URL"]) if "MYSQL_URL" in env else {},
        "partner_market": change_bigquery(),
        "price_lists": change_s3(env),
        "web_events": change_gcs(),
        "product_feed": change_azure(env),
    }
    return {(source, name): rows for source, counts in changed.items() for name, rows in counts.items()}
