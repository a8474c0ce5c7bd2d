"""The SQL of one publish: a script that moves the ledger's head, changes the data, and counts every row.

    BEGIN TRANSACTION
      head     UPDATE ... WHERE version = expected      two publishes of one resource conflict here
      staged   what the staging table holds, as it will be published
      judged   each staged row with what becomes of it: inserted, updated, unchanged, superseded, quarantined
      data     UPDATE, DELETE and INSERT by that judgement
      ledger   one load row with the counts, one row per file
    COMMIT TRANSACTION

Every step asserts what it must have done, and a failed assertion rolls all of it back. UPDATE and INSERT
stand where MERGE could: each then reports its own row count, which MERGE adds up.
Transactions: https://cloud.google.com/bigquery/docs/transactions
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from etl_factory.schema.types import Field

Strategy = Literal["merge", "append", "append_files", "replace"]
MOVED = "etl-factory: head moved"
SHRUNK = "etl-factory: shrunk"
UNBALANCED = "etl-factory: unbalanced"
TOO_MANY_BAD = "etl-factory: too many bad rows"
METADATA = ("_etl_load_id", "_etl_loaded_at", "_etl_source_uri")
METADATA_TYPES = {"_etl_load_id": "STRING", "_etl_loaded_at": "TIMESTAMP", "_etl_source_uri": "STRING"}


@dataclass(frozen=True)
class StagedColumn:
    """A published field, and the staging column (name and type) that its values come from."""

    field: Field
    name: str
    type: str


@dataclass(frozen=True)
class Publication:
    """One publish as data; ids are `project.dataset.table`.

    `keys` and `cursor` are published names; `window` is the SQL condition on the published cursor that
    bounds what an append compares with, empty for all. `is_file`: staging has `_etl_source_uri`, `_etl_record`.
    """

    table: str
    ledger: str
    quarantine: str
    staging: str
    quarantine_staging: str
    strategy: Strategy
    columns: tuple[StagedColumn, ...]
    keys: tuple[str, ...] = ()
    cursor: str | None = None
    window: str = ""
    is_file: bool = False
    checks_shrink: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Published column names."""
        return tuple(column.field.name for column in self.columns)


def script(to: Publication) -> str:
    """Return the whole script; its parameters are named in `operators.publishing`."""
    steps = [
        "BEGIN TRANSACTION",
        *_head(to),
        *_staged(to),
        *_judged(to),
        *_data(to),
        *_aside(to),
        *_ledger(to),
    ]
    return ";\n\n".join([*steps, "COMMIT TRANSACTION"]) + ";"


def _assert(condition: str, message: str) -> str:
    return f"ASSERT {condition} AS '{message}'"


def _head(to: Publication) -> Iterable[str]:
    yield (
        f"UPDATE `{to.ledger}` SET version = version + 1, epoch = @epoch, watermark = @watermark,\n"
        "  snapshot_at = @snapshot_at, published_at = @loaded_at, load_id = @load_id, attempt = @attempt\n"
        "WHERE kind = 'head' AND version = @expected"
    )
    yield _assert("@@row_count = 1", MOVED)


def staged_expression(column: StagedColumn) -> str:
    """Return the expression that turns a staged column (of `s`) into the published one."""
    name, type_ = f"s.`{column.name}`", column.field.type
    if type_ == column.type:
        return name
    return f"PARSE_JSON({name}, wide_number_mode=>'exact')" if type_ == "JSON" else f"CAST({name} AS {type_})"


def _staged(to: Publication) -> Iterable[str]:
    columns = [f"{staged_expression(column)} AS `{column.field.name}`" for column in to.columns]
    uri = "s.`_etl_source_uri`" if to.is_file else "CAST(NULL AS STRING)"
    record = "s.`_etl_record`" if to.is_file else "0"
    columns += [f"{uri} AS _etl_source_uri", f"{record} AS _etl_record", f"{_modified(to)} AS _etl_modified"]
    listed = ",\n  ".join(columns)
    files = (
        "\nLEFT JOIN (SELECT uri, @modified[OFFSET(i)] AS modified FROM UNNEST(@uris) AS uri WITH OFFSET AS i) AS f"
        " ON f.uri = s.`_etl_source_uri`"
        if to.is_file
        else ""
    )
    yield f"CREATE TEMP TABLE _staged AS SELECT\n  {listed}\nFROM `{to.staging}` AS s{files}"


def _modified(to: Publication) -> str:
    return "f.modified" if to.is_file else "CAST(NULL AS TIMESTAMP)"


def _content(alias: str, to: Publication) -> str:
    """Return a text that two rows share exactly when all their published columns are equal."""
    columns = ", ".join(f"{alias}.`{name}` AS `{name}`" for name in to.names)
    return f"TO_JSON_STRING(STRUCT({columns}))"


def _same_keys(to: Publication, one: str, other: str) -> str:
    return " AND ".join(f"{one}.`{key}` = {other}.`{key}`" for key in to.keys)


def _judged(to: Publication) -> Iterable[str]:
    judge = {
        "merge": _judge_merge,
        "append": _judge_append,
        "append_files": _judge_files,
        "replace": _judge_replace,
    }
    yield from judge[to.strategy](to)
    yield _assert("(SELECT COUNT(*) FROM _judged) = @rows_staged", f"{UNBALANCED}, staged rows")


def _ranked(to: Publication) -> str:
    """Rank the staged rows of one key: the latest first, by cursor, or by file and place in it."""
    keys = ", ".join(f"s.`{key}`" for key in to.keys)
    latest = "s._etl_modified DESC, s._etl_source_uri DESC, s._etl_record DESC" if to.is_file else ""
    if not to.is_file:
        latest = (f"s.`{to.cursor}` DESC, " if to.cursor else "") + f"{_content('s', to)} DESC"
    return f"ROW_NUMBER() OVER (PARTITION BY {keys} ORDER BY {latest})"


def _null_key(to: Publication, alias: str) -> str:
    return " OR ".join(f"{alias}.`{key}` IS NULL" for key in to.keys)


def _judge_merge(to: Publication) -> Iterable[str]:
    yield f"CREATE TEMP TABLE _ranked AS SELECT s.*, {_ranked(to)} AS _etl_rank FROM _staged AS s"
    yield (
        "CREATE TEMP TABLE _judged AS SELECT s.*, CASE\n"
        f"  WHEN {_null_key(to, 's')} THEN 'quarantined'\n"
        "  WHEN s._etl_rank > 1 THEN 'superseded'\n"
        f"  WHEN t.`{to.keys[0]}` IS NULL THEN 'inserted'\n"
        f"  WHEN {_content('s', to)} = {_content('t', to)} THEN 'unchanged'\n"
        f"  WHEN NOT ({_wins(to)}) THEN 'superseded'\n"
        "  ELSE 'updated' END AS _etl_action\n"
        f"FROM _ranked AS s\nLEFT JOIN `{to.table}` AS t ON s._etl_rank = 1 AND {_same_keys(to, 's', 't')}\n"
        f"{_origins(to)}"
    )


def _origins(to: Publication) -> str:
    """Join what the ledger knows of the row now published: when it was read, or its file's time."""
    if to.is_file:
        return (
            "LEFT JOIN (SELECT load_id, uri, MAX(object_modified) AS modified FROM"
            f" `{to.ledger}` WHERE kind = 'file' GROUP BY load_id, uri) AS o\n"
            "  ON o.load_id = t._etl_load_id AND o.uri = t._etl_source_uri"
        )
    return (
        f"LEFT JOIN (SELECT load_id, MAX(snapshot_at) AS snapshot_at FROM `{to.ledger}` WHERE kind = 'load'"
        " GROUP BY load_id) AS o ON o.load_id = t._etl_load_id"
    )


def _wins(to: Publication) -> str:
    """Tell whether the staged row is at least as new as the published one; NULL cursors go by the read's time."""
    if to.is_file:
        return (
            "o.modified IS NULL OR s._etl_modified > o.modified"
            " OR (s._etl_modified = o.modified AND s._etl_source_uri >= t._etl_source_uri)"
        )
    newer = "(o.snapshot_at IS NULL OR @snapshot_at >= o.snapshot_at)"
    if not to.cursor:
        return newer
    s, t = f"s.`{to.cursor}`", f"t.`{to.cursor}`"
    return (
        f"COALESCE({s} > {t}, FALSE) OR ((s.`{to.cursor}` IS NULL OR {t} IS NULL OR {s} = {t}) AND {newer})"
    )


def _judge_append(to: Publication) -> Iterable[str]:
    """Insert of each distinct row as many copies as the window's published rows lack."""
    held = f"\nWHERE {to.window}" if to.window else ""
    yield (
        "CREATE TEMP TABLE _held AS SELECT SHA256(content) AS _etl_hash, COUNT(*) AS copies FROM\n"
        f"  (SELECT {_content('t', to)} AS content FROM `{to.table}` AS t{held}) GROUP BY _etl_hash"
    )
    yield (
        "CREATE TEMP TABLE _ranked AS SELECT s.*, ROW_NUMBER() OVER (PARTITION BY s._etl_hash) AS _etl_rank FROM\n"
        f"  (SELECT s.*, SHA256({_content('s', to)}) AS _etl_hash FROM _staged AS s) AS s"
    )
    yield (
        "CREATE TEMP TABLE _judged AS SELECT s.* EXCEPT (_etl_hash),\n"
        "  IF(s._etl_rank > COALESCE(h.copies, 0), 'inserted', 'unchanged') AS _etl_action\n"
        "FROM _ranked AS s LEFT JOIN _held AS h ON h._etl_hash = s._etl_hash"
    )


def _judge_files(to: Publication) -> Iterable[str]:
    """Replace each file's rows by its newer version's; an older version than the published one loses."""
    yield (
        "CREATE TEMP TABLE _stale AS SELECT f.uri FROM (SELECT uri, @modified[OFFSET(i)] AS modified"
        " FROM UNNEST(@uris) AS uri WITH OFFSET AS i) AS f\n"
        f"JOIN (SELECT uri, MAX(object_modified) AS modified FROM `{to.ledger}` WHERE kind = 'file' AND epoch = @epoch"
        " GROUP BY uri) AS l ON l.uri = f.uri WHERE l.modified > f.modified"
    )
    yield (
        "CREATE TEMP TABLE _judged AS SELECT s.*, 1 AS _etl_rank,\n"
        "  IF(d.uri IS NULL, 'inserted', 'superseded') AS _etl_action\n"
        "FROM _staged AS s LEFT JOIN _stale AS d ON d.uri = s._etl_source_uri"
    )


def _judge_replace(to: Publication) -> Iterable[str]:
    if not to.keys:
        yield "CREATE TEMP TABLE _judged AS SELECT s.*, 1 AS _etl_rank, 'inserted' AS _etl_action FROM _staged AS s"
        return
    yield (
        "CREATE TEMP TABLE _judged AS SELECT r.*, CASE\n"
        f"  WHEN {_null_key(to, 'r')} THEN 'quarantined'\n"
        "  WHEN r._etl_rank > 1 THEN 'superseded' ELSE 'inserted' END AS _etl_action\n"
        f"FROM (SELECT s.*, {_ranked(to)} AS _etl_rank FROM _staged AS s) AS r"
    )


def _rows(action: str) -> str:
    return f"(SELECT COUNT(*) FROM _judged WHERE _etl_action = '{action}')"


def _data(to: Publication) -> Iterable[str]:
    yield "CREATE TEMP TABLE _deleted AS SELECT 0 AS n"
    if to.checks_shrink:
        yield _assert(f"{_rows('inserted')} >= @least_ratio * (SELECT COUNT(*) FROM `{to.table}`)", SHRUNK)
    if to.strategy == "merge":
        yield from _update(to)
    if to.strategy == "replace":
        yield from _delete(to, "TRUE")
    if to.strategy == "append_files":
        yield from _delete(
            to, "_etl_source_uri IN UNNEST(@uris) AND _etl_source_uri NOT IN (SELECT uri FROM _stale)"
        )
    yield from _insert(to)


def _update(to: Publication) -> Iterable[str]:
    settings = ",\n  ".join(f"`{name}` = s.`{name}`" for name in to.names)
    yield (
        f"UPDATE `{to.table}` AS t SET\n  {settings},\n  _etl_load_id = @load_id, _etl_loaded_at = @loaded_at,"
        f" _etl_source_uri = s._etl_source_uri\nFROM _judged AS s WHERE s._etl_action = 'updated'"
        f" AND {_same_keys(to, 't', 's')}"
    )
    yield _assert(f"@@row_count = {_rows('updated')}", f"{UNBALANCED}, updated rows")


def _delete(to: Publication, condition: str) -> Iterable[str]:
    yield f"DELETE FROM `{to.table}` WHERE {condition}"
    yield "CREATE OR REPLACE TEMP TABLE _deleted AS SELECT @@row_count AS n"


def _insert(to: Publication) -> Iterable[str]:
    names = ", ".join(f"`{name}`" for name in to.names)
    yield (
        f"INSERT INTO `{to.table}` ({names}, _etl_load_id, _etl_loaded_at, _etl_source_uri)\n"
        f"SELECT {names}, @load_id, @loaded_at, _etl_source_uri FROM _judged WHERE _etl_action = 'inserted'"
    )
    yield _assert(f"@@row_count = {_rows('inserted')}", f"{UNBALANCED}, inserted rows")


QUARANTINE_COLUMNS = {
    "resource": "STRING", "load_id": "STRING", "file": "STRING", "record": "INT64", "line": "INT64",
    "column": "STRING", "value": "STRING", "reason": "STRING", "row": "STRING", "quarantined_at": "TIMESTAMP",
}  # fmt: skip


def _aside(to: Publication) -> Iterable[str]:
    """Quarantine what sanitize set aside and rows without a key; a cleared run replaces its own."""
    yield _assert(f"{_rows('quarantined')} + @rows_quarantined <= @most_bad", TOO_MANY_BAD)
    yield f"DELETE FROM `{to.quarantine}` WHERE load_id = @load_id"
    names = ", ".join(f"`{name}`" for name in QUARANTINE_COLUMNS)
    if to.quarantine_staging:
        yield f"INSERT INTO `{to.quarantine}` ({names}) SELECT {names} FROM `{to.quarantine_staging}`"
    if to.keys:
        keys = ", ".join(to.keys)
        yield (
            f"INSERT INTO `{to.quarantine}` ({names})\nSELECT @resource, @load_id, _etl_source_uri, _etl_record,"
            f" CAST(NULL AS INT64), '{keys}', 'NULL', 'the primary key is NULL', {_content('j', to)}, @loaded_at"
            " FROM _judged AS j WHERE _etl_action = 'quarantined'"
        )


def _ledger(to: Publication) -> Iterable[str]:
    actions = ("inserted", "updated", "unchanged", "superseded")
    counts = ", ".join(f"COUNTIF(_etl_action = '{action}')" for action in actions)
    yield (
        f"INSERT INTO `{to.ledger}` (kind, version, epoch, watermark, load_id, attempt, run_id, mode, plan,\n"
        "  snapshot_at, published_at, rows_read, rows_staged, inserted, updated, unchanged, superseded, deleted,\n"
        "  quarantined, bytes, spec_digest, schema_changes)\n"
        "SELECT 'load', @expected + 1, @epoch, @watermark, @load_id, @attempt, @run_id, @mode, @plan,\n"
        f"  @snapshot_at, @loaded_at, @rows_read, @rows_staged, {counts}, (SELECT n FROM _deleted),\n"
        "  COUNTIF(_etl_action = 'quarantined') + @rows_quarantined, @bytes, @spec_digest, @schema_changes\n"
        "FROM _judged"
    )
    if to.is_file:
        yield (
            f"INSERT INTO `{to.ledger}` (kind, epoch, load_id, attempt, published_at, uri, object_version,"
            " object_size, object_modified, rows, quarantined)\n"
            "SELECT 'file', @epoch, @load_id, @attempt, @loaded_at, uri, @versions[OFFSET(i)], @sizes[OFFSET(i)],"
            " @modified[OFFSET(i)], @file_rows[OFFSET(i)], @file_quarantined[OFFSET(i)]\n"
            "FROM UNNEST(@uris) AS uri WITH OFFSET AS i"
        )


def ddl(table: str, operation: dict[str, object]) -> str:
    """Render one schema change of the published table; every one may run twice."""
    match operation["op"]:
        case "create":
            return _create(table, operation)
        case "add":
            field = Field.from_json(operation["field"])  # type: ignore[arg-type]  # as contract wrote it
            return f"ALTER TABLE `{table}` ADD COLUMN IF NOT EXISTS `{field.name}` {field.ddl}"
        case "widen":
            return (
                f"ALTER TABLE `{table}` ALTER COLUMN `{operation['name']}` SET DATA TYPE {operation['type']}"
            )
        case "relax":
            return f"ALTER TABLE `{table}` ALTER COLUMN `{operation['name']}` DROP NOT NULL"
    raise ValueError(f"unknown schema change {operation['op']!r}")


def _create(table: str, operation: dict[str, object]) -> str:
    fields = [Field.from_json(document) for document in operation["fields"]]  # type: ignore[attr-defined]  # a list
    columns = [f"`{field.name}` {field.ddl}" for field in fields]
    columns += [f"{name} {type_}" for name, type_ in METADATA_TYPES.items()]
    shape = ""
    if name := operation.get("partition_by"):
        shape += f"\nPARTITION BY {_partition(str(name), {field.name: field.type for field in fields})}"
    if names := operation.get("cluster_by"):
        shape += "\nCLUSTER BY " + ", ".join(f"`{name}`" for name in names)  # type: ignore[attr-defined]  # a list
    return f"CREATE TABLE IF NOT EXISTS `{table}` (\n  " + ",\n  ".join(columns) + f"\n){shape}"


def _partition(name: str, types: dict[str, str]) -> str:
    """Partition by day: https://cloud.google.com/bigquery/docs/creating-partitioned-tables"""
    functions = {
        "TIMESTAMP": "TIMESTAMP_TRUNC(`{}`, DAY)",
        "DATETIME": "DATETIME_TRUNC(`{}`, DAY)",
        "DATE": "`{}`",
    }
    return functions[types[name]].format(name)


def metadata_columns(table: str) -> Iterable[str]:
    """Add our columns to a table that was not made by us."""
    for name, type_ in METADATA_TYPES.items():
        yield f"ALTER TABLE `{table}` ADD COLUMN IF NOT EXISTS {name} {type_}"


def create_quarantine(table: str) -> str:
    """Return the statement that makes a resource's quarantine table."""
    columns = ", ".join(f"`{name}` {type_}" for name, type_ in QUARANTINE_COLUMNS.items())
    return f"CREATE TABLE IF NOT EXISTS `{table}` ({columns})"
