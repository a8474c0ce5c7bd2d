"""What becomes of each staged row: inserted, updated, unchanged, superseded or quarantined, by strategy.

Rows are compared by a JSON text of all their published columns, which BigQuery defines for every type:
it tells NULL from empty, keeps all digits of integers and decimals, spells NaN and infinity, and quotes
what stands inside a text, so that no two rows share a text by the way their columns are joined. Two types need help:
a JSON null would look like SQL's NULL, and GEOGRAPHY is compared by its well-known text.
Encodings: https://cloud.google.com/bigquery/docs/reference/standard-sql/json_functions#json_encodings
"""

from __future__ import annotations

from collections.abc import Iterable

from etl_factory.warehouse.ddl import IS_CURRENT, METADATA
from etl_factory.warehouse.nested import published, scalar
from etl_factory.warehouse.publication import Publication, StagedColumn
from etl_factory.warehouse.quoting import identifier, identifiers, text

UNBALANCED = "etl-factory: unbalanced"
TWICE = (
    "etl-factory: the published table holds a primary key more than once. Delete all but one row of each key there,"
    " or run once with full_refresh"
)
TWICE_CURRENT = (
    "etl-factory: the published table holds a primary key more than once among its current rows. Delete all but one"
    " row of each key there, or publish the history into a new table with target_table"
)
STRAYED = "etl-factory: partitions moved"


def check(condition: str, message: str) -> str:
    """Return the statement that ends the script, and with it the transaction, unless `condition` holds."""
    return f"ASSERT {condition} AS {text(message)}"


def count(*actions: str) -> str:
    """Return how many staged rows got one of the actions."""
    return f"(SELECT COUNT(*) FROM _judged WHERE {is_one_of(*actions)})"


def is_one_of(*actions: str) -> str:
    """Return the condition that a judged row got one of the actions."""
    one, *more = (f"'{action}'" for action in actions)
    return f"_etl_action IN ({', '.join((one, *more))})" if more else f"_etl_action = {one}"


def content(alias: str, to: Publication) -> str:
    """Return a text that two rows share exactly when all their published columns are equal."""
    columns = ", ".join(
        f"{_comparable(alias, column)} AS {identifier(column.field.name)}" for column in to.columns
    )
    return f"TO_JSON_STRING(STRUCT({columns}))"


def _comparable(alias: str, column: StagedColumn) -> str:
    name = f"{alias}.{identifier(column.field.name)}"
    if column.field.mode == "REPEATED":
        return name
    if column.field.type == "JSON":
        return f"IF({name} IS NULL, NULL, TO_JSON_STRING({name}))"
    return f"ST_ASTEXT({name})" if column.field.type == "GEOGRAPHY" else name


def staged_expression(column: StagedColumn) -> str:
    """Return the expression that turns a staged column (of `s`) into the published one."""
    name, to = f"s.{identifier(column.name)}", column.field.type
    if column.is_parquet and column.field.is_nested:
        return published(column.field, name)
    if to == column.type:
        return name
    is_document = to not in ("JSON", "GEOGRAPHY") and column.type in ("JSON", "RECORD")
    return f"TO_JSON_STRING({name})" if is_document else scalar(to, name)


def same_keys(to: Publication, one: str, other: str) -> str:
    """Return the condition that rows `one` and `other` have the same, whole key."""
    return " AND ".join(f"{one}.{identifier(key)} = {other}.{identifier(key)}" for key in to.keys)


def compared(to: Publication) -> str:
    """Return the published rows `t` that a merge compares with, to be joined.

    Columns are named, since a column that the load does not have may be one that nobody lets it read.
    """
    table = f"{identifier(to.table)} AS t"
    if not to.partitions:
        return table
    return f"(SELECT {identifiers(*to.names, *METADATA)} FROM {table}\n  WHERE {to.partitions}) AS t"


def within(to: Publication) -> str:
    """Return what a statement adds to its condition on `t`, so that it scans these partitions alone."""
    return f"\n  AND ({to.partitions})" if to.partitions else ""


def none_elsewhere(to: Publication) -> Iterable[str]:
    """Assert that no staged key lies in another partition, as after somebody's own UPDATE since they were found.

    That reads the key and partition columns alone.
    """
    if to.asserts_partitions:
        elsewhere = f"s._etl_rank = 1 AND {same_keys(to, 's', 't')} WHERE ({to.partitions}) IS NOT TRUE"
        rows = f"SELECT COUNT(*) FROM {identifier(to.table)} AS t JOIN _ranked AS s ON {elsewhere}"
        yield check(f"({rows}) = 0", STRAYED)


def judged(to: Publication) -> Iterable[str]:
    """Fill `_judged` with the staged rows, each with its `_etl_action`."""
    judge = {
        "merge": _merge, "append": _append, "append_files": _files, "replace": _replace, "snapshot": _replace,
        "versions": _versions,
    }  # fmt: skip
    yield from judge[to.strategy](to)
    yield check("(SELECT COUNT(*) FROM _judged) = @rows_staged", f"{UNBALANCED}, staged rows")


def _rank(to: Publication) -> str:
    """Rank the staged rows of one key: the latest first, by cursor, or by file and place in it."""
    keys = ", ".join(f"s.{identifier(key)}" for key in to.keys)
    if to.is_file:
        latest = "s._etl_modified DESC, s._etl_source_uri DESC, s._etl_record DESC"
    else:
        cursor = f"s.{identifier(to.cursor)} DESC, " if to.cursor else ""
        latest = f"{cursor}{content('s', to)} DESC"
    return f"ROW_NUMBER() OVER (PARTITION BY {keys} ORDER BY {latest})"


def lacks_key(to: Publication, alias: str) -> str:
    """Return the condition that a row has no whole key."""
    return " OR ".join(f"{alias}.{identifier(key)} IS NULL" for key in to.keys)


def _merge(to: Publication) -> Iterable[str]:
    if to.is_file:
        yield _stale(to)
    yield f"CREATE TEMP TABLE _ranked AS SELECT s.*, {_rank(to)} AS _etl_rank FROM _staged AS s"
    yield from none_elsewhere(to)
    yield (
        "CREATE TEMP TABLE _judged AS SELECT s.*, CASE\n"
        f"  WHEN {lacks_key(to, 's')} THEN 'quarantined'\n"
        "  WHEN s._etl_rank > 1 THEN 'superseded'\n"
        f"  WHEN t.{identifier(to.keys[0])} IS NULL THEN 'inserted'\n"
        f"  WHEN {content('s', to)} = {content('t', to)} THEN 'unchanged'\n"
        f"  WHEN NOT ({wins(to)}) THEN 'superseded'\n"
        "  ELSE 'updated' END AS _etl_action\n"
        f"FROM _ranked AS s\nLEFT JOIN {compared(to)}"
        f" ON s._etl_rank = 1 AND {same_keys(to, 's', 't')}\n{origins(to)}"
    )
    yield check("(SELECT COUNT(*) FROM _judged) = (SELECT COUNT(*) FROM _ranked)", TWICE)


def origins(to: Publication) -> str:
    """Join what the ledger knows of the row now published: when it was read, or its file's time."""
    if to.is_file:
        return (
            "LEFT JOIN (SELECT load_id, published_at, uri, MAX(object_modified) AS modified FROM"
            f" {identifier(to.ledger)} WHERE kind = 'file' GROUP BY load_id, published_at, uri) AS o\n"
            "  ON o.load_id = t._etl_load_id AND o.published_at = t._etl_loaded_at AND o.uri = t._etl_source_uri\n"
            "LEFT JOIN _stale AS d ON d.uri = s._etl_source_uri"
        )
    return (
        f"LEFT JOIN (SELECT load_id, published_at, MAX(snapshot_at) AS snapshot_at FROM {identifier(to.ledger)}\n"
        "  WHERE kind IN ('load', 'replayed') GROUP BY load_id, published_at) AS o"
        " ON o.load_id = t._etl_load_id AND o.published_at = t._etl_loaded_at"
    )


def wins(to: Publication, snapshot: str = "@snapshot_at") -> str:
    """Tell whether the staged row, read in `snapshot`, is at least as new as the published one.

    What a later snapshot shows is newer. A cursor tells nothing of that: it goes back where a long transaction writes
    last, or clocks are put back. Only in one and the same snapshot the greater one wins. Of one file, the version that
    was listed later is newer.
    """
    if to.is_file:
        return (
            "o.modified IS NULL OR IF(s._etl_source_uri = t._etl_source_uri, d.uri IS NULL,\n"
            "    s._etl_modified > o.modified"
            " OR (s._etl_modified = o.modified AND s._etl_source_uri > t._etl_source_uri))"
        )
    same = f"{snapshot} = o.snapshot_at"
    if to.cursor:
        s, t = f"s.{identifier(to.cursor)}", f"t.{identifier(to.cursor)}"
        same = f"({same} AND COALESCE({s} >= {t}, TRUE))"
    return f"o.snapshot_at IS NULL OR {snapshot} > o.snapshot_at OR {same}"


def _append(to: Publication) -> Iterable[str]:
    """Insert of each distinct row as many copies as the window's published rows lack."""
    held = f"\nWHERE {to.window}" if to.window else ""
    yield (
        "CREATE TEMP TABLE _held AS SELECT SHA256(content) AS _etl_hash, COUNT(*) AS copies FROM\n"
        f"  (SELECT {content('t', to)} AS content FROM {identifier(to.table)} AS t{held}) GROUP BY _etl_hash"
    )
    yield (
        "CREATE TEMP TABLE _ranked AS SELECT s.*, ROW_NUMBER() OVER (PARTITION BY s._etl_hash) AS _etl_rank FROM\n"
        f"  (SELECT s.*, SHA256({content('s', to)}) AS _etl_hash FROM _staged AS s) AS s"
    )
    yield (
        "CREATE TEMP TABLE _judged AS SELECT s.* EXCEPT (_etl_hash),\n"
        "  IF(s._etl_rank > COALESCE(h.copies, 0), 'inserted', 'unchanged') AS _etl_action\n"
        "FROM _ranked AS s LEFT JOIN _held AS h ON h._etl_hash = s._etl_hash"
    )


def _stale(to: Publication) -> str:
    """Find the files of which another version was published that was listed later.

    Its time tells nothing of that: two versions may share a second, and S3 dates an upload in parts by its begin.
    """
    if to.replays:
        return _newest_versions(to)
    ledger = identifier(to.ledger)
    return (
        f"CREATE TEMP TABLE _stale AS SELECT DISTINCT f.uri FROM _files AS f\n"
        f"JOIN {ledger} AS l ON l.kind = 'file' AND l.epoch = @epoch AND l.uri = f.uri"
        " AND l.object_version <> f.version\n"
        f"JOIN {ledger} AS o ON o.kind = 'load' AND o.load_id = l.load_id AND o.attempt = l.attempt\n"
        "WHERE o.snapshot_at > @snapshot_at OR (o.snapshot_at = @snapshot_at AND l.object_modified > f.modified)"
    )


def _newest_versions(to: Publication) -> str:
    """Find the files of which another version than the one read again is the newest that was published."""
    ledger = identifier(to.ledger)
    return (
        "CREATE TEMP TABLE _stale AS SELECT f.uri FROM (SELECT l.uri, l.object_version, ROW_NUMBER() OVER\n"
        "  (PARTITION BY l.uri ORDER BY o.snapshot_at DESC, l.object_modified DESC) AS place\n"
        f"  FROM {ledger} AS l JOIN {ledger} AS o ON o.kind = 'load' AND o.load_id = l.load_id"
        " AND o.attempt = l.attempt\n  WHERE l.kind = 'file' AND l.epoch = @epoch) AS n\n"
        "JOIN _files AS f ON f.uri = n.uri\nWHERE n.place = 1 AND n.object_version <> f.version"
    )


def _files(to: Publication) -> Iterable[str]:
    """Replace each file's rows by its newer version's; an older version than the published one loses."""
    yield _stale(to)
    yield (
        "CREATE TEMP TABLE _judged AS SELECT s.*, 1 AS _etl_rank,\n"
        "  IF(d.uri IS NULL, 'inserted', 'superseded') AS _etl_action\n"
        "FROM _staged AS s LEFT JOIN _stale AS d ON d.uri = s._etl_source_uri"
    )


def _replace(to: Publication) -> Iterable[str]:
    if not to.keys:
        yield "CREATE TEMP TABLE _judged AS SELECT s.*, 1 AS _etl_rank, 'inserted' AS _etl_action FROM _staged AS s"
        return
    yield (
        "CREATE TEMP TABLE _judged AS SELECT r.*, CASE\n"
        f"  WHEN {lacks_key(to, 'r')} THEN 'quarantined'\n"
        "  WHEN r._etl_rank > 1 THEN 'superseded' ELSE 'inserted' END AS _etl_action\n"
        f"FROM (SELECT s.*, {_rank(to)} AS _etl_rank FROM _staged AS s) AS r"
    )


def _versions(to: Publication) -> Iterable[str]:
    """Compare each key's row with its current version."""
    yield f"CREATE TEMP TABLE _ranked AS SELECT s.*, {_rank(to)} AS _etl_rank FROM _staged AS s"
    yield (
        "CREATE TEMP TABLE _judged AS SELECT s.*, CASE\n"
        f"  WHEN {lacks_key(to, 's')} THEN 'quarantined'\n"
        "  WHEN s._etl_rank > 1 THEN 'superseded'\n"
        f"  WHEN t.{identifier(to.keys[0])} IS NULL THEN 'inserted'\n"
        f"  WHEN {content('s', to)} = {content('t', to)} THEN 'unchanged'\n"
        "  ELSE 'updated' END AS _etl_action\n"
        f"FROM _ranked AS s\nLEFT JOIN {identifier(to.table)} AS t"
        f" ON s._etl_rank = 1 AND t.{IS_CURRENT} AND {same_keys(to, 's', 't')}"
    )
    yield check("(SELECT COUNT(*) FROM _judged) = (SELECT COUNT(*) FROM _ranked)", TWICE_CURRENT)
