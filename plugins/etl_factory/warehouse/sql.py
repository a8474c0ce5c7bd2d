"""The SQL of one publish: a script that moves the ledger's head, changes the data, and counts every row.

    BEGIN TRANSACTION
      head     UPDATE ... WHERE version = expected      two publishes of one resource conflict here
      files    what became of each source file
      staged   what the staging table holds, as it will be published
      judged   each staged row with what becomes of it (see judgement)
      data     UPDATE, DELETE and INSERT by that judgement
      ledger   one load row with the counts, one row per file
    COMMIT TRANSACTION

Every step asserts what it must have done, and a failed assertion rolls all of it back. UPDATE and INSERT
stand where MERGE could: each then reports its own row count, which MERGE adds up.
Transactions: https://cloud.google.com/bigquery/docs/transactions
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from etl_factory.warehouse import replay
from etl_factory.warehouse.ddl import (
    METADATA,
    QUARANTINE_COLUMNS,
    SNAPSHOT_AT,
    create_quarantine,
    ddl,
    metadata_columns,
    quarantine_columns,
)
from etl_factory.warehouse.deletes import TOO_MANY_DELETES, brake_before_ddl, deletes
from etl_factory.warehouse.history import INSERTED, closed, latest, taken_in
from etl_factory.warehouse.judgement import (
    STRAYED,
    UNBALANCED,
    check,
    content,
    count,
    is_one_of,
    judged,
    same_keys,
    staged_expression,
    within,
)
from etl_factory.warehouse.publication import Publication, StagedColumn, Strategy
from etl_factory.warehouse.quoting import identifier, identifiers, text

__all__ = [
    "METADATA", "MOVED", "QUARANTINE_COLUMNS", "REPLAYED", "SHRUNK", "STRAYED", "TALLY_COLUMNS", "TOO_MANY_BAD",
    "TOO_MANY_DELETES", "UNBALANCED", "Publication", "StagedColumn", "Strategy", "checks", "create_quarantine", "ddl",
    "metadata_columns", "quarantine_columns", "script",
]  # fmt: skip
MOVED = "etl-factory: head moved"
SHRUNK = "etl-factory: shrunk"
REPLAYED = replay.REPLAYED
TOO_MANY_BAD = "etl-factory: too many bad rows"
LOAD_COLUMNS = {
    "kind": "'load'", "version": "@expected + 1", "epoch": "@epoch", "watermark": "@watermark",
    "watermark_of": "@watermark_of", "load_id": "@load_id", "attempt": "@attempt", "run_id": "@run_id",
    "mode": "@mode", "plan": "@plan",
    "snapshot_at": "@snapshot_at", "published_at": "@loaded_at", "rows_read": "@rows_read",
    "rows_staged": "@rows_staged", "inserted": "COUNTIF(_etl_action = 'inserted')",
    "updated": "COUNTIF(_etl_action = 'updated')", "unchanged": "COUNTIF(_etl_action = 'unchanged')",
    "superseded": "COUNTIF(_etl_action = 'superseded')", "deleted": "(SELECT n FROM _deleted)", "restored": "0",
    "quarantined": "COUNTIF(_etl_action = 'quarantined') + @rows_quarantined", "bytes": "@bytes",
    "checksum": "@checksum", "spec_digest": "@spec_digest", "schema_changes": "@schema_changes",
    "declared_schema": "@declared_schema",
}  # fmt: skip
FILE_COLUMNS = {
    "kind": "'file'", "epoch": "@epoch", "load_id": "@load_id", "attempt": "@attempt",
    "published_at": "@loaded_at", "uri": "uri", "object_version": "version", "object_size": "size",
    "object_modified": "modified", "rows": "file_rows", "quarantined": "quarantined",
}  # fmt: skip
# What a run says of each of its files, in a table where it says too much for a request, and which parameter says it.
TALLY_COLUMNS = {
    "uri": "STRING", "version": "STRING", "size": "INT64", "modified": "TIMESTAMP", "file_rows": "INT64",
    "quarantined": "INT64",
}  # fmt: skip
_TALLY_PARAMETERS = {
    "version": "versions", "size": "sizes", "modified": "modified", "file_rows": "file_rows",
    "quarantined": "file_quarantined",
}  # fmt: skip


# Which published rows go before the new ones come.
_REPLACED = {
    "replace": "TRUE",
    "snapshot": "_etl_load_id = @load_id",
    "append_files": "_etl_source_uri IN (SELECT uri FROM _files) AND _etl_source_uri NOT IN (SELECT uri FROM _stale)",
}


def script(to: Publication) -> str:
    """Return the whole script; its parameters are named in `operators.parameters`."""
    judgement = replay.judged_rows(to) if to.replays_rows else (*taken_in(to), *judged(to))
    body = (*_head(to), *_files(to), *_staged(to), *judgement, *_data(to), *_aside(to), *_ledger(to))
    return ";\n\n".join(("BEGIN TRANSACTION", *body, "COMMIT TRANSACTION")) + ";"


def checks(to: Publication, held: Collection[str]) -> str:
    """Return what can be asserted before any DDL, which no transaction takes back; same messages and parameters.

    The published table must exist, with the columns in `held`: what needs others is left to the transaction, which
    asserts all of it again, and more exactly.
    """
    staging = f"FROM {identifier(to.staging)} AS s"
    names = {column.field.name: f"s.{identifier(column.name)}" for column in to.columns}
    lacks_key = " OR ".join(f"{names[key]} IS NULL" for key in to.keys) or "FALSE"
    head = f"(SELECT version FROM {identifier(to.ledger)} WHERE kind = 'head')"
    asserted = [
        check(f"{head} = @expected", MOVED),
        check(f"(SELECT COUNT(*) {staging}) = @rows_staged", f"{UNBALANCED}, staged rows"),
        check(f"(SELECT COUNTIF({lacks_key}) {staging}) + @rows_quarantined <= @most_bad", TOO_MANY_BAD),
    ]
    if to.checks_shrink and set(INSERTED.get(to.strategy, ())) <= set(held):
        asserted.append(check(f"(SELECT COUNT(*) {staging}) >= {_least(to)}", SHRUNK))
    if to.finds_deletes and set(to.keys) <= set(held):
        asserted.append(brake_before_ddl(to, held))
    return ";\n\n".join(asserted) + ";"


def _head(to: Publication) -> Iterable[str]:
    newest = ",\n  snapshot_at = IF(snapshot_at > @snapshot_at, snapshot_at, @snapshot_at)"
    snapshot = "" if to.replays else newest  # what is read again is nothing new
    yield (
        f"UPDATE {identifier(to.ledger)} SET version = version + 1, epoch = @epoch, watermark = @watermark,\n"
        "  watermark_of = @watermark_of, published_at = @loaded_at, load_id = @load_id, attempt = @attempt,\n"
        f"  declared_schema = @declared_schema{snapshot}\n"
        "WHERE kind = 'head' AND version = @expected"
    )
    yield check("@@row_count = 1", MOVED)


def _files(to: Publication) -> Iterable[str]:
    """Fill `_files` with what became of each file; a table of them must hold as many as were staged."""
    if not to.is_file:
        return
    if to.files_staging:
        yield f"CREATE TEMP TABLE _files AS SELECT {identifiers(*TALLY_COLUMNS)} FROM {identifier(to.files_staging)}"
        yield check("(SELECT COUNT(*) FROM _files) = @files", f"{UNBALANCED}, files")
        return
    given = ", ".join(f"@{parameter}[OFFSET(i)] AS {name}" for name, parameter in _TALLY_PARAMETERS.items())
    yield f"CREATE TEMP TABLE _files AS SELECT uri, {given}\nFROM UNNEST(@uris) AS uri WITH OFFSET AS i"


def _staged(to: Publication) -> Iterable[str]:
    columns = [f"{staged_expression(column)} AS {identifier(column.field.name)}" for column in to.columns]
    if to.replays_rows:
        yield from replay.staged_rows(to, columns)
        return
    extra, files = ("CAST(NULL AS STRING)", "0", "CAST(NULL AS TIMESTAMP)"), ""
    if to.is_file:
        extra = ("s._etl_source_uri", "s._etl_record", "f.modified")
        files = "\nLEFT JOIN _files AS f ON f.uri = s._etl_source_uri"
    if to.is_one_file:
        extra, files = ("f.uri", "0", "f.modified"), "\nCROSS JOIN _files AS f"
    names = ("_etl_source_uri", "_etl_record", "_etl_modified")
    columns += [f"{value} AS {name}" for value, name in zip(extra, names, strict=True)]
    listed = ",\n  ".join(columns)
    yield f"CREATE TEMP TABLE _staged AS SELECT\n  {listed}\nFROM {identifier(to.staging)} AS s{files}"


def _data(to: Publication) -> Iterable[str]:
    if to.replays and to.is_file and to.is_whole:
        yield check(f"{replay.newest_snapshot(to)} = @snapshot_at", REPLAYED)
    if to.checks_shrink:
        kept = ("inserted", "updated", "unchanged") if to.strategy == "versions" else ("inserted",)
        yield check(f"{count(*kept)} >= {_least(to)}", SHRUNK)
    if to.strategy == "merge":
        yield from _update(to)
    yield from _delete(to)
    yield from _insert(to)


def _least(to: Publication) -> str:
    """Return the fewest rows that may follow those published; rounded, since 1 - 0.7 is a little more than 0.3."""
    return f"ROUND(@least_ratio * {latest(to)}, 6)"


def _update(to: Publication) -> Iterable[str]:
    values = [f"{identifier(name)} = s.{identifier(name)}" for name in to.names]
    load = "s._etl_origin" if to.replays_rows else "@load_id"
    settings = ",\n  ".join((*values, *(f"{identifier(name)} = NULL" for name in to.absent)))
    yield (
        f"UPDATE {identifier(to.table)} AS t SET\n  {settings},\n  _etl_load_id = {load},"
        " _etl_loaded_at = @loaded_at, _etl_source_uri = s._etl_source_uri\nFROM _judged AS s"
        f" WHERE s._etl_action = 'updated' AND {same_keys(to, 't', 's')}{within(to)}"
    )
    yield check(f"@@row_count = {count('updated')}", f"{UNBALANCED}, updated rows")


def _delete(to: Publication) -> Iterable[str]:
    """Delete what is replaced, closed or gone, and keep the count; no transaction holds CREATE OR REPLACE."""
    deleted = "SELECT 0 AS n"
    if to.finds_deletes or to.marks:
        yield from deletes(to)
        deleted = "SELECT gone AS n FROM _gone" if to.finds_deletes else deleted
    elif to.strategy == "versions":
        yield from closed(to)
        deleted = "SELECT @@row_count AS n"
    elif (condition := _REPLACED.get(to.strategy)) and not to.replays_rows:
        yield f"DELETE FROM {identifier(to.table)} WHERE {condition}"
        deleted = "SELECT @@row_count AS n"
    yield f"CREATE TEMP TABLE _deleted AS {deleted}"


def _insert(to: Publication) -> Iterable[str]:
    extra = INSERTED.get(to.strategy, {})
    if to.replays_rows and extra:
        extra = {SNAPSHOT_AT: SNAPSHOT_AT}
    values = "".join(f", {value}" for value in extra.values())
    load = "_etl_origin" if to.replays_rows else "@load_id"  # a row is of the load that read it
    actions = ("inserted", "updated") if to.strategy == "versions" else ("inserted",)
    yield (
        f"INSERT INTO {identifier(to.table)} ({identifiers(*to.names, *METADATA, *extra)})\n"
        f"SELECT {identifiers(*to.names)}, {load}, @loaded_at, _etl_source_uri{values} FROM _judged"
        f" WHERE {is_one_of(*actions)}"
    )
    yield check(f"@@row_count = {count(*actions)}", f"{UNBALANCED}, inserted rows")


def _aside(to: Publication) -> Iterable[str]:
    """Quarantine what sanitize set aside and rows without a key; a cleared run replaces its own, a replay what it took.

    Sanitize also notes single values that it discarded there, so that it holds at least the bad rows.
    """
    yield check(f"{count('quarantined')} + @rows_quarantined <= @most_bad", TOO_MANY_BAD)
    names = identifiers(*QUARANTINE_COLUMNS)
    into = f"INSERT INTO {identifier(to.quarantine)} ({names})"
    if to.replays_rows:
        yield from (*replay.leave(to), *replay.noted(to, into, names))
        return
    if to.replays:
        yield from replay.forget_files(to)
    yield f"DELETE FROM {identifier(to.quarantine)} WHERE load_id = @load_id"
    if to.quarantine_staging:
        yield f"{into}\nSELECT {names} FROM {identifier(to.quarantine_staging)}"
    held = "@@row_count" if to.quarantine_staging else "0"
    yield check(f"{held} >= @rows_quarantined", f"{UNBALANCED}, quarantined rows")
    if to.keys:
        yield (
            f"{into}\nSELECT @resource, @load_id, _etl_source_uri, _etl_record, CAST(NULL AS INT64),"
            f" TO_JSON_STRING(STRUCT({identifiers(*to.keys)})), {text(', '.join(to.keys))}, 'NULL',"
            f" 'the primary key is NULL', {content('j', to)}, 'row', CAST(NULL AS BYTES), @loaded_at\n"
            "FROM _judged AS j WHERE _etl_action = 'quarantined'"
        )
        yield check(f"@@row_count = {count('quarantined')}", f"{UNBALANCED}, rows without a key")


def _ledger(to: Publication) -> Iterable[str]:
    restored = {"restored": "(SELECT n FROM _restored)"} if to.marks else {}
    yield f"{_into_ledger(to, LOAD_COLUMNS | restored)}\nFROM _judged"
    if to.replays_rows:
        yield from replay.dated(to)
    if to.is_file:
        yield f"{_into_ledger(to, FILE_COLUMNS)}\nFROM _files"


def _into_ledger(to: Publication, columns: dict[str, str]) -> str:
    """Insert by name; every name is quoted, since `rows` is a word of BigQuery's own."""
    values = ",\n  ".join(columns.values())
    return f"INSERT INTO {identifier(to.ledger)} ({identifiers(*columns)})\nSELECT\n  {values}"
