"""Every way to write a config file wrong, with the exact message: file, line, path, what to do."""

# ruff: noqa: E501 - one case is one line: a table reads better than a column

from __future__ import annotations

import pytest

from etl_factory.config.loading import load
from examples import SOURCE, TENANT, Write

NO_COLUMN = "cannot name a column in BigQuery: use at most 300 letters, digits and underscores, not beginning with a digit or a prefix that BigQuery keeps for itself"
ONE_NAME = "in BigQuery, where names differ by more than case: rename one of them"
NAME_RULE = "use at most 64 lower-case letters, digits and single underscores, beginning with a letter"
MASKS = "sha256, redact, last4, { hmac: <connection> } or { date_trunc: year|quarter|month|week|day|hour }"
TYPES = "postgres, mysql, bigquery, gcs, s3, azure_blob"
SOURCE_KEYS = "source, type, description, owner, schedule, defaults, connection, resources"
FILES = """\
source: shop_db
type: s3
connection: shop_db
resources:
  prices:
    path: s3://bucket/prices/*.csv
    format: csv
    load: transactional
"""
TABLE = """\
source: shop_db
type: postgres
connection: shop_db
resources:
  orders:
    table: public.orders
    load: transactional
    cursor: updated_at
    primary_key: [id]
"""

SOURCE_CASES = [
    ("empty", SOURCE, "", ["shop_db.yaml:1: the file is empty: write at least the required keys"]),
    ("only a comment", SOURCE, "# later\n", ["shop_db.yaml:1: the file is empty: write at least the required keys"]),
    ("a list", SOURCE, "- a\n", ["shop_db.yaml:1: a mapping (key: value lines) is expected at the top of the file"]),
    ("broken YAML", "type: postgres", "type: [postgres", ["shop_db.yaml:3: not valid YAML: did not find expected ',' or ']'"]),
    ("tab", "  orders:", "\torders:", ["shop_db.yaml:5: not valid YAML: found character that cannot start any token"]),
    ("two documents", "    load: catalog", "    load: catalog\n---\nsource: b", ["shop_db.yaml:8: a second YAML document begins here: one file holds one document"]),
    ("repeated key", "type: postgres", "type: postgres\ntype: mysql", ["shop_db.yaml:3: type: key 'type' is given twice, first on line 2"]),
    ("repeated resource", "    load: catalog", "    load: catalog\n  orders:\n    table: b\n    load: catalog", ["shop_db.yaml:8: resources.orders: key 'orders' is given twice, first on line 5"]),
    ("anchor", "    load: catalog", "    load: &a catalog", ["shop_db.yaml:7: resources.orders.load: YAML anchors and aliases are not allowed: write the value out"]),
    ("tag", "public.orders", "!!python/name:os.system x", ["shop_db.yaml:6: resources.orders.table: YAML tag tag:yaml.org,2002:python/name:os.system is not allowed"]),
    ("template", "public.orders", "'{{ var.value.x }}'", ["shop_db.yaml:6: resources.orders.table: templates ({{, {% or {#) are not allowed: YAML holds plain values only"]),
    ("unknown key", "connection:", "conection:", [
        "shop_db.yaml:1: connection: this key is required",
        f"shop_db.yaml:3: conection: unknown key; did you mean 'connection'?; known keys: {SOURCE_KEYS}",
    ]),
    ("unknown key in a resource", "    load: catalog", "    load: catalog\n    primary_keys: [id]", [
        "shop_db.yaml:8: resources.orders.primary_keys: unknown key; did you mean 'primary_key'?; known keys: retries,"
        " retry_delay, execution_timeout, description, target_table, primary_key, columns, schema_contract,"
        " partition_by, cluster_by, max_bad_rows, on_unrepresentable, table, query, load, max_shrink, history",
    ]),
    ("unknown key deep inside", "    load: catalog", "    load: catalog\n    columns:\n      exclud: [a]", [
        "shop_db.yaml:9: resources.orders.columns.exclud: unknown key; did you mean 'exclude'?; known keys: include,"
        " exclude, rename, types, on_unrepresentable, mask, description, policy_tags",
    ]),
    ("metadata column", TABLE.replace("[id]", "[_etl_load_id]"), None, ["shop_db.yaml:9: resources.orders.primary_key[0]: '_etl_load_id': names that begin with _etl_ are added by publish, choose another"]),
    ("unknown type", "type: postgres", "type: postgre", [f"shop_db.yaml:2: type: source type 'postgre' is not one of {TYPES}; did you mean 'postgres'?"]),
    ("no type", "type: postgres\n", "", [f"shop_db.yaml:1: type: required: one of {TYPES}"]),
    ("no load", "    load: catalog\n", "", ["shop_db.yaml:5: resources.orders.load: this key is required"]),
    ("unknown load", "catalog", "incremental", ["shop_db.yaml:7: resources.orders.load: 'incremental' is not one of transactional, catalog"]),
    ("no resources", "  orders:\n    table: public.orders\n    load: catalog\n", "  {}\n", ["shop_db.yaml:4: resources: at least one entry is required"]),
    ("resources is a list", "  orders:\n    table: public.orders\n    load: catalog\n", "  - orders\n", ["shop_db.yaml:4: resources: expected a mapping (key: value lines), not a list"]),
    ("bad resource name", "  orders:", "  Order-Lines:", [f"shop_db.yaml:5: resources.Order-Lines: 'Order-Lines' is not a name: {NAME_RULE}"]),
    ("another tenant's connection", "connection: shop_db", "connection: globex__crm", [f"shop_db.yaml:3: connection: 'globex__crm' is not a name: {NAME_RULE}"]),
    ("a password in the file", "connection: shop_db", "connection: postgres://app:s3cret@db/shop", [f"shop_db.yaml:3: connection: this value is not a name: an address belongs in Secret Manager, under a name: {NAME_RULE}"]),
    ("a number for text", "public.orders", "42", ["shop_db.yaml:6: resources.orders.table: expected text, not 42"]),
    ("text for a number", "    load: catalog", "    load: catalog\n    retries: three", ["shop_db.yaml:8: resources.orders.retries: expected a whole number, not 'three'"]),
    ("true for a number", "    load: catalog", "    load: catalog\n    retries: true", ["shop_db.yaml:8: resources.orders.retries: expected a whole number, not True"]),
    ("text for a list", "    load: catalog", "    load: catalog\n    primary_key: id", ["shop_db.yaml:8: resources.orders.primary_key: expected a list, such as [a, b], not 'id'"]),
    ("table and query", "    load: catalog", "    load: catalog\n    query: SELECT 1", ["shop_db.yaml:5: resources.orders: give exactly one of table and query"]),
    ("neither table nor query", "    table: public.orders\n", "", ["shop_db.yaml:5: resources.orders: give exactly one of table and query"]),
    ("include and exclude", "    load: catalog", "    load: catalog\n    columns: {include: [a], exclude: [b]}", ["shop_db.yaml:8: resources.orders.columns: give include or exclude, not both"]),
    ("bad cron", "connection: shop_db", 'connection: shop_db\nschedule: "* * *"', ["shop_db.yaml:4: schedule: '* * *' is not a schedule: write five cron fields (minute hour day month weekday), hourly, daily, weekly, monthly, yearly, or none"]),
    ("cron that never runs", "connection: shop_db", 'connection: shop_db\nschedule: "0 0 31 2 *"', ["shop_db.yaml:4: schedule: '0 0 31 2 *' is not a cron expression that ever runs: failed to find next date"]),
    ("cron out of range", "connection: shop_db", 'connection: shop_db\nschedule: "61 * * * *"', ["shop_db.yaml:4: schedule: '61 * * * *' is not a cron expression that ever runs: [61 * * * *] is not acceptable, out of range"]),
    ("duration without unit", "    load: catalog", "    load: catalog\n    execution_timeout: 30", ["shop_db.yaml:8: resources.orders.execution_timeout: 30 is not a duration: write a number and a unit, such as 90s, 10m, 2h, 1d, 1w"]),
    ("shrink beyond all", "    load: catalog", "    load: catalog\n    max_shrink: 150%", ["shop_db.yaml:8: resources.orders.max_shrink: Input should be less than or equal to 1"]),
    ("deletes without a key", TABLE.replace("    primary_key: [id]\n", "    deletes: mark\n"), None, ["shop_db.yaml:9: resources.orders.deletes: deletes: mark needs primary_key, to tell which rows are gone"]),
    ("unknown deletes", TABLE + "    deletes: drop\n", None, ["shop_db.yaml:10: resources.orders.deletes: 'drop' is not one of ignore, mark, remove"]),
    ("deletes of a catalog", "    load: catalog", "    load: catalog\n    deletes: remove\n    max_deletes: 5%", [
        "shop_db.yaml:8: resources.orders.deletes: deletes is for load: transactional: a catalog holds what is there now, so that a row that is gone needs no looking for. Here leave it out; max_shrink is the brake, and history keeps what was",
        "shop_db.yaml:9: resources.orders.max_deletes: max_deletes is for load: transactional: a catalog holds what is there now, so that a row that is gone needs no looking for. Here leave it out; max_shrink is the brake, and history keeps what was",
    ]),
    ("versions without a key", "    load: catalog", "    load: catalog\n    history: scd2", ["shop_db.yaml:8: resources.orders.history: history: scd2 needs primary_key, to tell the versions of one row"]),
    ("snapshots by another day", "    load: catalog", "    load: catalog\n    history: snapshots\n    partition_by: created_at", ["shop_db.yaml:9: resources.orders.partition_by: history: snapshots is partitioned by the day of _etl_snapshot_at: leave it out"]),
    ("no cursor", TABLE.replace("    cursor: updated_at\n", ""), None, ["shop_db.yaml:5: resources.orders.cursor: this key is required"]),
    ("excluded cursor", TABLE + "    columns: {exclude: [updated_at]}\n", None, ["shop_db.yaml:10: resources.orders.columns.exclude: 'updated_at' is the cursor: it cannot be excluded"]),
    ("key not included", TABLE + "    columns: {include: [updated_at]}\n", None, ["shop_db.yaml:10: resources.orders.columns.include: 'id' is the primary_key: include it too"]),
    ("negative lag", TABLE + "    lag: -10m\n", None, ["shop_db.yaml:10: resources.orders.lag: lag cannot be negative: -10m would skip rows"]),
    ("negative integer lag", TABLE + "    lag: -5\n", None, ["shop_db.yaml:10: resources.orders.lag: lag cannot be negative: -5 would skip rows"]),
    ("unknown zone", TABLE + "    cursor_timezone: Europe/Varsovia\n", None, ["shop_db.yaml:10: resources.orders.cursor_timezone: unknown time zone 'Europe/Varsovia': use an IANA name such as Europe/Warsaw"]),
    ("lag below the clock change", TABLE + "    cursor_timezone: Europe/Warsaw\n    lag: 10m\n", None, ["shop_db.yaml:11: resources.orders.lag: lag must be at least 1h: clocks in Europe/Warsaw go back, and rows repeat that time"]),
    ("units and time", TABLE + "    lag: 100\n    backfill_from: 2025-01-01\n", None, ["shop_db.yaml:10: resources.orders.lag: lag and backfill_from (2025-01-01) must both be numbers, or both be of time"]),
    ("units in a zone", TABLE + "    lag: 100\n    cursor_timezone: Europe/Warsaw\n", None, ["shop_db.yaml:10: resources.orders.lag: a lag of 100 units needs an integer cursor, but cursor_timezone says it is a time"]),
    ("two resources, one table", "    load: catalog", "    load: catalog\n  lines:\n    table: l\n    load: catalog\n    target_table: Shop_DB__orders", [
        "shop_db.yaml:5: resources.orders: table acme-analytics.raw.shop_db__orders is also written by acme__shop_db.lines: give one of them another target_table",
        "shop_db.yaml:11: resources.lines.target_table: table acme-analytics.raw.Shop_DB__orders is also written by acme__shop_db.orders: give one of them another target_table",
    ]),
    ("source is not its file", "source: shop_db", "source: crm_db", ["shop_db.yaml:1: source: the file is named shop_db.yaml: a source and its file have one name"]),
    ("wrong scheme", FILES.replace("s3://bucket", "gs://bucket"), None, ["shop_db.yaml:6: resources.prices.path: path 'gs://bucket/prices/*.csv' must start with s3://"]),
    ("wild bucket", FILES.replace("s3://bucket", "s3://buck*"), None, ["shop_db.yaml:6: resources.prices.path: path 's3://buck*/prices/*.csv' must name one bucket, without wildcards, after s3://"]),
    ("no objects", FILES.replace("s3://bucket/prices/*.csv", "s3://bucket"), None, ["shop_db.yaml:6: resources.prices.path: path 's3://bucket' must name objects after the bucket, for example s3://bucket/**/*.csv"]),
    ("unknown format", FILES.replace("format: csv", "format: excel"), None, ["shop_db.yaml:7: resources.prices.format.type: 'excel' is not one of csv, jsonl, json, parquet"]),
    ("unknown encoding", FILES.replace("format: csv", "format: {type: csv, encoding: klingon}"), None, ["shop_db.yaml:7: resources.prices.format.encoding: unknown encoding 'klingon': use a name such as utf-8, windows-1250, latin-1"]),
    ("delimiter too long", FILES.replace("format: csv", "format: {type: csv, delimiter: '||'}"), None, ["shop_db.yaml:7: resources.prices.format.delimiter: '||' is not one character, nor auto, which finds it"]),
    ("a delimiter may be a control character, its file's text may not", FILES.replace("format: csv", 'format: {type: csv, delimiter: "\\x01"}\n    description: "\\x01"'), None, ["shop_db.yaml:8: resources.prices.description: control character \\x01 is not allowed: remove it"]),
    ("nothing in it", "{}", None, ["shop_db.yaml:1: the mapping is empty: write at least the required keys"]),
    ("control character", "public.orders", '"a\\0b"', ["shop_db.yaml:6: resources.orders.table: control character \\x00 is not allowed: remove it"]),
    ("control character in a key", "    load: catalog", '    "lo\\u001fad": catalog', ["shop_db.yaml:7: resources.orders.lo\\x1fad: control character \\x1f is not allowed: remove it"]),
    ("owner too long", "connection: shop_db", "connection: shop_db\nowner: " + 201 * "x", ["shop_db.yaml:4: owner: 201 characters are too many: write at most 200"]),
    ("description too long", "    load: catalog", "    load: catalog\n    description: " + 4001 * "x", ["shop_db.yaml:8: resources.orders.description: 4001 characters are too many: write at most 4000"]),
    ("source's description too long", "connection: shop_db", "connection: shop_db\ndescription: " + 4001 * "x", ["shop_db.yaml:4: description: 4001 characters are too many: write at most 4000"]),
    ("a duration beyond all", "    load: catalog", "    load: catalog\n    retry_delay: 99999999999d", ["shop_db.yaml:8: resources.orders.retry_delay: '99999999999d' is too long: at most 3650d"]),
    ("a long wait", "connection: shop_db", "connection: shop_db\ndefaults: {retry_delay: 25h}", ["shop_db.yaml:4: defaults.retry_delay: too long: wait at most 1d between tries"]),
    ("no time", "    load: catalog", "    load: catalog\n    execution_timeout: 0s", ["shop_db.yaml:8: resources.orders.execution_timeout: a task that may take no time always fails: write 1s or more"]),
    ("a long task", "    load: catalog", "    load: catalog\n    execution_timeout: 31d", ["shop_db.yaml:8: resources.orders.execution_timeout: too long: at most 30d"]),
    ("a lag beyond all", TABLE + "    lag: 999999999d\n", None, ["shop_db.yaml:10: resources.orders.lag: '999999999d' is too long: at most 3650d"]),
    ("illegal rename", "    load: catalog", "    load: catalog\n    columns: {rename: {a: 1x, b: _PARTITIONDATE}}", [
        f"shop_db.yaml:8: resources.orders.columns.rename.a: '1x' {NO_COLUMN}",
        f"shop_db.yaml:8: resources.orders.columns.rename.b: '_PARTITIONDATE' {NO_COLUMN}",
    ]),
    ("two renames, one name", "    load: catalog", "    load: catalog\n    columns: {rename: {a: X, b: x}}", [f"shop_db.yaml:8: resources.orders.columns.rename.b: columns 'a' and 'b' would both be called 'x' {ONE_NAME}"]),
    ("a rename and the key, one name", TABLE + "    columns: {rename: {a: ID}}\n", None, [f"shop_db.yaml:10: resources.orders.columns.rename.a: columns 'id' and 'a' would both be called 'ID' {ONE_NAME}"]),
    ("two included, one name", "    load: catalog", "    load: catalog\n    columns: {include: [a b, a-b]}", [f"shop_db.yaml:8: resources.orders.columns.include: columns 'a b' and 'a-b' would both be called 'a_b' {ONE_NAME}"]),
    ("given twice", TABLE.replace("[id]", "[id, id]") + "    cluster_by: [a, b, a]\n", None, [
        "shop_db.yaml:9: resources.orders.primary_key[1]: 'id' is given twice: once is enough",
        "shop_db.yaml:10: resources.orders.cluster_by[2]: 'a' is given twice: once is enough",
    ]),
    ("included twice", "    load: catalog", "    load: catalog\n    columns: {include: [a, a]}", ["shop_db.yaml:8: resources.orders.columns.include[1]: 'a' is given twice: once is enough"]),
    ("named and excluded", "    load: catalog", "    load: catalog\n    partition_by: d\n    cluster_by: [d]\n    columns: {exclude: [d], rename: {d: e}, types: {d: DATE}}", [
        "shop_db.yaml:10: resources.orders.columns.rename.d: 'd' is left out by columns.exclude: keep it, or do not name it here",
        "shop_db.yaml:10: resources.orders.columns.types.d: 'd' is left out by columns.exclude: keep it, or do not name it here",
        "shop_db.yaml:9: resources.orders.cluster_by[0]: 'd' is left out by columns.exclude: keep it, or do not name it here",
        "shop_db.yaml:8: resources.orders.partition_by: 'd' is left out by columns.exclude: keep it, or do not name it here",
    ]),
    ("named and not included", "    load: catalog", "    load: catalog\n    partition_by: e\n    columns: {include: [d], rename: {d: e}}", ["shop_db.yaml:8: resources.orders.partition_by: 'e' is not among columns.include: include it too (by the source's own name)"]),
    ("unknown masks", "    load: catalog", "    load: catalog\n    columns: {mask: {a: md5, b: {hmac: Bad Name}, c: date_trunc(second)}}", [
        f"shop_db.yaml:8: resources.orders.columns.mask.a: 'md5' is no mask: expected {MASKS}",
        f"shop_db.yaml:8: resources.orders.columns.mask.b: 'Bad Name' is not a name: {NAME_RULE}",
        f"shop_db.yaml:8: resources.orders.columns.mask.c: 'date_trunc(second)' is no mask: expected {MASKS}",
    ]),
    ("what cannot be hidden", TABLE + "    partition_by: d\n    columns: {mask: {id: last4, updated_at: sha256, d: redact, n: hmac(k), m: date_trunc(year)}, types: {n: INT64, m: STRING}}\n", None, [
        "shop_db.yaml:11: resources.orders.columns.mask.id: 'id' is the primary_key, and last4 makes different keys equal: use sha256 or hmac",
        "shop_db.yaml:11: resources.orders.columns.mask.updated_at: 'updated_at' is the cursor, whose values are the watermark: it cannot be masked",
        "shop_db.yaml:11: resources.orders.columns.mask.d: 'd' is partition_by, and redact makes text of it: use date_trunc",
        "shop_db.yaml:11: resources.orders.columns.types.n: 'n' is masked by hmac, which is always STRING",
        "shop_db.yaml:11: resources.orders.columns.types.m: 'm' is masked by date_trunc, which is a DATE, DATETIME or TIMESTAMP",
    ]),
    ("hidden and excluded", "    load: catalog", "    load: catalog\n    columns: {exclude: [d], mask: {d: sha256}, description: {d: x}}", [
        "shop_db.yaml:8: resources.orders.columns.mask.d: 'd' is left out by columns.exclude: keep it, or do not name it here",
        "shop_db.yaml:8: resources.orders.columns.description.d: 'd' is left out by columns.exclude: keep it, or do not name it here",
    ]),
    ("no policy tag", "    load: catalog", "    load: catalog\n    columns: {policy_tags: {a: pii}}", [
        r"shop_db.yaml:8: resources.orders.columns.policy_tags.a: 'pii' does not match ^projects/[^/\s]+/locations/[^/\s]+/taxonomies/[^/\s]+/policyTags/[^/\s]+$",
    ]),
    ("a key in a query", "type: postgres\nconnection: shop_db\nresources:\n  orders:\n    table: public.orders\n    load: catalog", "type: bigquery\nresources:\n  orders:\n    table: p.d.orders\n    load: catalog\n    columns: {mask: {a: hmac(k)}}", [
        "shop_db.yaml:7: resources.orders.columns.mask.a: hmac is not for a bigquery source: its rows never leave BigQuery, so that the key would stand in the query, which BigQuery keeps for whoever may list jobs. Use sha256, or leave the column out",
    ]),
    ("bad ratio", FILES + "    max_bad_rows: some\n", None, ["shop_db.yaml:9: resources.prices.max_bad_rows.ratio: 'some' is not a ratio: write a percentage such as 0.1%, or a number from 0 to 1"]),
    ("several at once", "    load: catalog", "    load: catalog\n    retries: x\n    cluster_by: y\nscheduel: daily", [
        "shop_db.yaml:8: resources.orders.retries: expected a whole number, not 'x'",
        "shop_db.yaml:9: resources.orders.cluster_by: expected a list, such as [a, b], not 'y'",
        f"shop_db.yaml:10: scheduel: unknown key; did you mean 'schedule'?; known keys: {SOURCE_KEYS}",
    ]),
]  # fmt: skip

TENANT_CASES = [
    ("unknown key", "dataset: raw", "datset: raw", [
        "tenant.yaml:1: dataset: this key is required",
        "tenant.yaml:4: datset: unknown key; did you mean 'dataset'?; known keys: tenant, description, project,"
        " location, dataset, landing, impersonate, airflow_role, timezone, notify, limits, defaults",
    ]),
    ("not its folder", "tenant: acme", "tenant: globex", ["tenant.yaml:1: tenant: the folder is named 'acme': a tenant and its folder have one name"]),
    ("landing is no bucket", "gs://acme-landing", "s3://acme-landing", ["tenant.yaml:5: landing: this value is not an address such as gs://acme-landing or gs://acme-landing/etl"]),
    ("unknown zone", "location: EU", "location: EU\ntimezone: Mars/Base", ["tenant.yaml:4: timezone: unknown time zone 'Mars/Base': use an IANA name such as Europe/Warsaw"]),
    ("webhook is an address", "location: EU", "location: EU\nnotify: {webhook: 'https://hooks.example.com/T0/s3cret'}", [f"tenant.yaml:4: notify.webhook: this value is not a name: an address belongs in Secret Manager, under a name: {NAME_RULE}"]),
    ("bad e-mail", "location: EU", "location: EU\nnotify: {email: [data]}", ["tenant.yaml:4: notify.email[0]: 'data' is not an e-mail address"]),
    ("bad size", "location: EU", "location: EU\nlimits: {maximum_bytes_billed: lots}", ["tenant.yaml:4: limits.maximum_bytes_billed: 'lots' is not a size: write a number and a unit, such as 500GB"]),
    ("no tasks", "location: EU", "location: EU\nlimits: {max_active_tasks: 0}", ["tenant.yaml:4: limits.max_active_tasks: Input should be greater than or equal to 1"]),
    ("bad identity", "location: EU", "location: EU\nimpersonate: me", ["tenant.yaml:4: impersonate: 'me' is not the address of a Google service account"]),
    ("unknown role", "location: EU", "location: EU\nairflow_role: bosses", ["tenant.yaml:4: airflow_role: role 'bosses' is not named in ETL_FACTORY_ROLES: create it, then name it; set the variable (now acme) for all of Airflow and where you validate"]),
    ("bad default", "location: EU", "location: EU\ndefaults: {retry_delay: soon}", ["tenant.yaml:4: defaults.retry_delay: 'soon' is not a duration: write a number and a unit, such as 90s, 10m, 2h, 1d, 1w"]),
    ("owner too long", "location: EU", f"location: EU\ndefaults: {{owner: {201 * 'x'}}}", ["tenant.yaml:4: defaults.owner: 201 characters are too many: write at most 200"]),
    ("no time", "location: EU", "location: EU\ndefaults: {execution_timeout: 0s}", ["tenant.yaml:4: defaults.execution_timeout: a task that may take no time always fails: write 1s or more"]),
    ("bytes without end", "location: EU", "location: EU\nlimits: {maximum_bytes_billed: " + 5000 * "9" + "TB}", ["tenant.yaml:4: limits.maximum_bytes_billed: this value is not a size: write a number and a unit, such as 500GB"]),
    ("not UTF-8", "location: EU", b"location: EU\ndescription: \xb3", ["tenant.yaml:4: byte 0xb3 is not UTF-8: save the file as UTF-8"]),
]  # fmt: skip


def changed(text: str, old: str, new: str | bytes | None) -> bytes:
    """Apply one change; a whole other text comes with `new` None, an empty one as it is."""
    if new is None or (old == text and not new):
        return old.encode() if new is None else b""
    if old == text:
        return new if isinstance(new, bytes) else new.encode()
    assert old in text
    return text.encode().replace(old.encode(), new if isinstance(new, bytes) else new.encode())


@pytest.mark.parametrize(
    ("old", "new", "messages"), [c[1:] for c in SOURCE_CASES], ids=[c[0] for c in SOURCE_CASES]
)
def test_bad_source_file(write: Write, old: str, new: str | None, messages: list[str]) -> None:
    root = write({"acme/tenant.yaml": TENANT, "acme/shop_db.yaml": changed(SOURCE, old, new)})

    catalogue = load(root)

    assert [broken.dag_id for broken in catalogue.errors] == ["acme__shop_db"]
    assert [str(error) for error in catalogue.errors[0].errors] == [f"{root}/acme/{m}" for m in messages]
    assert catalogue.sources == ()


@pytest.mark.parametrize(
    ("old", "new", "messages"), [c[1:] for c in TENANT_CASES], ids=[c[0] for c in TENANT_CASES]
)
def test_bad_tenant_file(write: Write, old: str, new: str | bytes, messages: list[str]) -> None:
    root = write({"acme/tenant.yaml": changed(TENANT, old, new), "acme/shop_db.yaml": SOURCE})

    catalogue = load(root, roles=frozenset({"acme"}))

    expected = [f"{root}/acme/{message}" for message in messages]
    assert {broken.dag_id for broken in catalogue.errors} == {"acme__tenant", "acme__shop_db"}
    for broken in catalogue.errors:
        assert [str(error) for error in broken.errors] == expected
    assert (catalogue.tenants, catalogue.sources) == ((), ())


def test_no_message_shows_a_secret(write: Write) -> None:
    bad = SOURCE.replace("connection: shop_db", "connection: postgres://app:s3cret@db/x\npassword: s3cret")
    root = write({"acme/tenant.yaml": TENANT, "acme/shop_db.yaml": bad})

    text = "\n".join(str(error) for broken in load(root).errors for error in broken.errors)

    assert "password: unknown key" in text
    assert "s3cret" not in text


def test_so_many_findings_as_a_person_reads(write: Write) -> None:
    unknown = "".join(f"key{number}: 1\n" for number in range(30_000))
    root = write({"acme/tenant.yaml": TENANT, "acme/shop_db.yaml": SOURCE + unknown})

    (broken,) = load(root).errors

    assert len(broken.errors) == 51
    assert str(broken.errors[-1]).endswith("shop_db.yaml:1: 29950 more findings: correct these first")


def test_more_resources_than_one_dag_can_hold(write: Write) -> None:
    many = "".join(f"  r{number}: {{table: t, load: catalog}}\n" for number in range(501))
    root = write({"acme/tenant.yaml": TENANT, "acme/shop_db.yaml": SOURCE.split("  orders:")[0] + many})

    (broken,) = load(root).errors

    message = "resources: 501 resources are too many for one DAG: split the source, 500 a file at most"
    assert [e.path + ": " + e.message for e in broken.errors] == [message]
