"""What a replay changes: rows of the quarantine are judged as of the load that set them aside, and leave it.

A table's rows come from the quarantine itself (`replay_script`). Each is published as of its own load: it wins against
what that load or an earlier one published, and loses to what was read later. It says so in `_etl_load_id`, and the
ledger gets a row of kind `replayed` per load, which dates the rows that came late. Whatever is judged leaves the
quarantine in the same transaction, except rows that have no key.

    merge             the newest snapshot's row of each key, unless the published one is of a later snapshot
    append            as many copies as one load held at most, less those that the table holds
    replace           rows of the newest snapshot; those of a snapshot that was replaced are superseded
    snapshot          each row beside those of its own snapshot

Files are read again whole, so that only the newest version of each may come (`judgement`), and all entries of
that version leave the quarantine (`forget_files`).
"""

from __future__ import annotations

from collections.abc import Iterable

from etl_factory.schema.types import Field
from etl_factory.warehouse.judgement import (
    TWICE,
    UNBALANCED,
    check,
    compared,
    content,
    is_one_of,
    lacks_key,
    none_elsewhere,
    origins,
    same_keys,
    wins,
)
from etl_factory.warehouse.publication import Publication
from etl_factory.warehouse.quoting import identifier, identifiers

REPLAYED = "etl-factory: quarantine changed"
# How a staged row finds its entries in quarantine. `_etl_is_value`: the row itself is published, with NULL in place
# of a value; `_etl_entries`: how many entries it has.
ORIGIN = (
    Field("_etl_origin", "STRING"),
    Field("_etl_file", "STRING"),
    Field("_etl_record", "INT64"),
    Field("_etl_is_value", "BOOL"),
    Field("_etl_entries", "INT64"),
)
_SAME_ENTRY = "j._etl_origin = q.load_id AND j._etl_file = q.file AND j._etl_record = q.record"


def staged_rows(to: Publication, columns: Iterable[str]) -> Iterable[str]:
    """Fill `_staged` with the rows as they will be published, each with the snapshot of its load."""
    listed = ",\n  ".join((*columns, "CAST(NULL AS STRING) AS _etl_source_uri", *_origin_columns()))
    yield (
        "CREATE TEMP TABLE _origins AS SELECT load_id, MAX(snapshot_at) AS snapshot_at, MAX(epoch) AS epoch\n"
        f"FROM {identifier(to.ledger)} WHERE kind = 'load' GROUP BY load_id"
    )
    yield (
        f"CREATE TEMP TABLE _staged AS SELECT\n  {listed}\nFROM {identifier(to.staging)} AS s\n"
        "LEFT JOIN _origins AS o ON o.load_id = s._etl_origin"
    )
    yield check("(SELECT COUNTIF(_etl_snapshot_at IS NULL) FROM _staged) = 0", REPLAYED)


def _origin_columns() -> Iterable[str]:
    yield from (f"s.{field.name}" for field in ORIGIN)
    yield from ("o.snapshot_at AS _etl_snapshot_at", "o.epoch AS _etl_epoch")


def judged_rows(to: Publication) -> Iterable[str]:
    """Fill `_judged`; a row of an epoch that a full refresh has ended is superseded, since it read everything."""
    judge = {"merge": _merge, "append": _append, "replace": _newest, "snapshot": _own}
    yield from judge[to.strategy](to)
    yield check("(SELECT COUNT(*) FROM _judged) = @rows_staged", f"{UNBALANCED}, staged rows")


def _merge(to: Publication) -> Iterable[str]:
    keys = ", ".join(f"s.{identifier(key)}" for key in to.keys)
    cursor = f"s.{identifier(to.cursor)} DESC, " if to.cursor else ""
    latest = f"s._etl_epoch DESC, s._etl_snapshot_at DESC, {cursor}{content('s', to)} DESC"
    yield (
        "CREATE TEMP TABLE _ranked AS SELECT s.*,\n"
        f"  ROW_NUMBER() OVER (PARTITION BY {keys} ORDER BY {latest}) AS _etl_rank FROM _staged AS s"
    )
    yield from none_elsewhere(to)
    yield (
        "CREATE TEMP TABLE _judged AS SELECT s.*, CASE\n"
        "  WHEN s._etl_epoch <> @epoch THEN 'superseded'\n"
        f"  WHEN {lacks_key(to, 's')} THEN 'quarantined'\n"
        "  WHEN s._etl_rank > 1 THEN 'superseded'\n"
        f"  WHEN t.{identifier(to.keys[0])} IS NULL THEN IF(s._etl_is_value, 'superseded', 'inserted')\n"
        f"  WHEN {content('s', to)} = {content('t', to)} THEN 'unchanged'\n"
        f"  WHEN NOT ({wins(to, 's._etl_snapshot_at')}) THEN 'superseded'\n"
        "  ELSE 'updated' END AS _etl_action\n"
        f"FROM _ranked AS s\nLEFT JOIN {compared(to)}"
        f" ON s._etl_rank = 1 AND {same_keys(to, 's', 't')}\n{origins(to)}"
    )
    yield check("(SELECT COUNT(*) FROM _judged) = (SELECT COUNT(*) FROM _ranked)", TWICE)


def _append(to: Publication) -> Iterable[str]:
    """Compare with the whole table: the rows of several loads lie in several windows."""
    yield (
        "CREATE TEMP TABLE _held AS SELECT SHA256(content) AS _etl_hash, COUNT(*) AS copies FROM\n"
        f"  (SELECT {content('t', to)} AS content FROM {identifier(to.table)} AS t) GROUP BY _etl_hash"
    )
    yield (
        "CREATE TEMP TABLE _hashed AS SELECT s.*, ROW_NUMBER() OVER"
        " (PARTITION BY s._etl_hash, s._etl_epoch, s._etl_origin ORDER BY s._etl_file, s._etl_record) AS _etl_copy\n"
        f"FROM (SELECT s.*, SHA256({content('s', to)}) AS _etl_hash FROM _staged AS s) AS s"
    )
    # The n-th copy of a row in one load is the n-th copy in another: of each, one may come.
    yield (
        "CREATE TEMP TABLE _ranked AS SELECT s.*, ROW_NUMBER() OVER (PARTITION BY s._etl_hash, s._etl_epoch,"
        " s._etl_copy\n  ORDER BY s._etl_snapshot_at, s._etl_origin) AS _etl_rank FROM _hashed AS s"
    )
    yield (
        "CREATE TEMP TABLE _judged AS SELECT s.* EXCEPT (_etl_hash), CASE\n"
        "  WHEN s._etl_epoch <> @epoch OR s._etl_rank > 1 THEN 'superseded'\n"
        "  WHEN s._etl_copy > COALESCE(h.copies, 0) THEN 'inserted'\n"
        "  ELSE 'unchanged' END AS _etl_action\n"
        "FROM _ranked AS s LEFT JOIN _held AS h ON h._etl_hash = s._etl_hash"
    )


def _newest(to: Publication) -> Iterable[str]:
    yield (
        "CREATE TEMP TABLE _judged AS SELECT s.*,\n"
        f"  IF(s._etl_snapshot_at = {newest_snapshot(to)}, 'inserted', 'superseded') AS _etl_action\n"
        "FROM _staged AS s"
    )


def _own(_: Publication) -> Iterable[str]:
    yield "CREATE TEMP TABLE _judged AS SELECT s.*, 'inserted' AS _etl_action FROM _staged AS s"


def newest_snapshot(to: Publication) -> str:
    """Return when the newest published snapshot was read; a replay's own row is dated by what it replays."""
    return f"(SELECT MAX(snapshot_at) FROM {identifier(to.ledger)} WHERE kind = 'load')"


def leave(to: Publication) -> Iterable[str]:
    """Take the entries of all rows that were judged out of the quarantine, and note the values still discarded."""
    quarantine = identifier(to.quarantine)
    settled = f"{_SAME_ENTRY} AND j._etl_action <> 'quarantined'"
    yield f"DELETE FROM {quarantine} AS q WHERE EXISTS (SELECT 1 FROM _judged AS j WHERE {settled})"
    yield check(
        "@@row_count = (SELECT COALESCE(SUM(_etl_entries), 0) FROM _judged WHERE _etl_action <> 'quarantined')",
        REPLAYED,
    )


def noted(to: Publication, into: str, names: str) -> Iterable[str]:
    """Keep the notes of values that are discarded again, of the rows that this replay has published."""
    if to.quarantine_staging:
        listed = ", ".join(f"q.{name}" for name in names.split(", "))
        yield (
            f"{into}\nSELECT {listed} FROM {identifier(to.quarantine_staging)} AS q WHERE EXISTS\n"
            f"  (SELECT 1 FROM _judged AS j WHERE {_SAME_ENTRY} AND j.{is_one_of('inserted', 'updated')})"
        )


def dated(to: Publication) -> Iterable[str]:
    """Write one ledger row per load whose rows came late, which tells when they were read."""
    columns = {
        "kind": "'replayed'", "epoch": "@epoch", "load_id": "_etl_origin", "attempt": "@attempt", "run_id": "@run_id",
        "mode": "@mode", "snapshot_at": "_etl_snapshot_at", "published_at": "@loaded_at",
        "inserted": "COUNTIF(_etl_action = 'inserted')", "updated": "COUNTIF(_etl_action = 'updated')",
    }  # fmt: skip
    yield (
        f"INSERT INTO {identifier(to.ledger)} ({identifiers(*columns)})\nSELECT {', '.join(columns.values())}\n"
        f"FROM _judged WHERE {is_one_of('inserted', 'updated')} GROUP BY _etl_origin, _etl_snapshot_at"
    )


def forget_files(to: Publication) -> Iterable[str]:
    """Take all entries of the versions that were read again, or replaced since, out of the quarantine."""
    yield (
        f"DELETE FROM {identifier(to.quarantine)} AS q WHERE EXISTS (SELECT 1 FROM UNNEST(@replayed_loads) AS load_id"
        " WITH OFFSET AS i\n  WHERE load_id = q.load_id AND @replayed_files[OFFSET(i)] = q.file)"
    )
    yield check("@@row_count = @replayed_entries", REPLAYED)
