"""Holds a published table, its ledger and what is left lying around against what the source held."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from crash_cases import Case, Row, plain
from crash_sources import Source

from demo import systems
from etl_factory.config.resource import Resource
from etl_factory.landing.objects import split_uri

COUNTED = ("inserted", "updated", "unchanged", "superseded", "quarantined")
LONGEST = timedelta(days=8)
"""No staging table may live longer than this."""
Ledger = list[dict[str, Any]]


@dataclass
class Verdict:
    """What is wrong, in words, empty if nothing; how many rows are lost and doubled; what is left to expire."""

    problems: list[str] = field(default_factory=list)
    lost: int = 0
    doubled: int = 0
    orphans: int = 0


def judge(case: Case, resource: Resource, source: Source, cleaned: Collection[str]) -> Verdict:
    """Judge one resource after its last run; `cleaned` are the load ids whose publish has come to its end."""
    client = systems.bigquery_client(resource.destination.project)
    verdict = Verdict()
    rows = published(client, resource, source)
    _judge_rows(verdict, case, source, rows)
    ledger = [dict(row) for row in client.query_and_wait(f"SELECT * FROM `{resource.target.ledger_id}`")]
    verdict.problems += [*ledger_problems(ledger), *count_problems(case, ledger, len(rows))]
    verdict.problems += quarantine_problems(client, resource, ledger)
    tables, objects = list(staging_tables(client, resource)), list(landing_objects(resource))
    verdict.problems += [*expiry_problems(tables), *cleanup_problems(cleaned, objects)]
    verdict.orphans = len(tables) + sum(not name.endswith(".json") for name in objects)
    return verdict


def published(client: Any, resource: Resource, source: Source) -> list[Row]:
    """Read the published table, in the columns that are compared."""
    columns = ", ".join([*(f"`{name}`" for name in source.columns), *source.case.told])
    found = client.query_and_wait(f"SELECT {columns} FROM `{resource.table_id}`")
    return [tuple(map(plain, row.values())) for row in found]


def _judge_rows(verdict: Verdict, case: Case, source: Source, rows: list[Row]) -> None:
    must, may = case.oracle(source.past(), rows)
    held = Counter(rows)
    lost, doubled = must - held, held - must - may
    verdict.lost, verdict.doubled = lost.total(), doubled.total()
    for what, which in (("lost", lost), ("doubled or wrong", doubled)):
        if which:
            few = sorted(which.items(), key=repr)[:3]
            verdict.problems.append(f"{which.total()} of {must.total()} rows {what}, such as {few}")


def ledger_problems(ledger: Ledger) -> Iterator[str]:
    """Say where the ledger contradicts itself."""
    heads = [row for row in ledger if row["kind"] == "head"]
    loads = sorted((row for row in ledger if row["kind"] == "load"), key=lambda row: row["version"])
    if len(heads) != 1:
        yield f"the ledger has {len(heads)} heads"
        return
    if [row["version"] for row in loads] != list(range(1, heads[0]["version"] + 1)):
        yield f"head version {heads[0]['version']}, but loads {[row['version'] for row in loads]}"
    if (twice := Counter((row["load_id"], row["attempt"]) for row in loads)) and max(twice.values()) > 1:
        yield f"an attempt is published twice: {twice}"
    for row in loads:
        if row["rows_read"] != sum(row[name] or 0 for name in COUNTED):
            yield f"version {row['version']}: {row['rows_read']} rows read are not {[row[n] for n in COUNTED]}"
    yield from _watermark_problems(heads[0], loads)


def count_problems(case: Case, ledger: Ledger, rows: int) -> Iterator[str]:
    """Say where the counts of all loads do not explain the table's number of rows."""
    loads = [row for row in ledger if row["kind"] == "load"]
    explained = sum(sum(row[name] for name in case.grows_by) - row["deleted"] * case.shrinks for row in loads)
    if explained != rows:
        yield f"the ledger explains {explained} rows, the table has {rows}"


def _watermark_problems(head: Mapping[str, Any], loads: Ledger) -> Iterator[str]:
    windows = [window for row in loads if (window := json.loads(row["plan"])["window"])]
    ends = [str(window["end"]) for window in windows]
    if ends and head["watermark"] != max(ends, key=_cursor):
        yield f"watermark {head['watermark']} is not the greatest end of the windows {ends}"
    if not ends and head["watermark"] is not None:
        yield f"watermark {head['watermark']} without any window"


def _cursor(text: str) -> Any:
    return (int(text), "") if text.isdecimal() else (0, text)


def quarantine_problems(client: Any, resource: Resource, ledger: Ledger) -> Iterator[str]:
    """Say which loads have not as many rows in quarantine as the ledger counts."""
    sql = f"SELECT load_id, COUNT(*) AS rows_held FROM `{resource.target.quarantine_id}` GROUP BY load_id"
    held = {row["load_id"]: row["rows_held"] for row in client.query_and_wait(sql)}
    loads = sorted((row for row in ledger if row["kind"] == "load"), key=lambda row: row["version"])
    counted = {row["load_id"]: row["quarantined"] for row in loads if row["quarantined"]}
    if held != counted:
        yield f"in quarantine are {held}, the ledger counts {counted}"


def staging_tables(client: Any, resource: Resource) -> Iterator[tuple[str, datetime | None]]:
    """List a resource's staging tables with their expiry."""
    target = resource.target
    dataset = f"{target.destination.project}.{target.destination.etl_dataset}"
    for item in client.list_tables(dataset):
        if item.table_id.startswith(f"_staging__{resource.source}__"):
            yield item.table_id, client.get_table(item.reference).expires


def expiry_problems(tables: list[tuple[str, datetime | None]]) -> Iterator[str]:
    """Say which staging tables outlive their use."""
    now = datetime.now(UTC)
    for name, expires in tables:
        if expires is None or not now < expires < now + LONGEST:
            yield f"staging table {name} expires {expires or 'never'}"


def landing_objects(resource: Resource) -> Iterator[str]:
    """List a resource's objects in the landing bucket."""
    bucket, prefix = split_uri(resource.target.landing_prefix("x").rpartition("/")[0] + "/")
    for blob in systems.storage_client().list_blobs(bucket, prefix=prefix):
        yield blob.name


def cleanup_problems(cleaned: Collection[str], objects: list[str]) -> Iterator[str]:
    """Say which objects a published load has left besides its plan and manifests; others expire."""
    left = [name for name in objects if not name.endswith(".json")]
    for load_id in cleaned:
        if found := [name for name in left if f"/load_id={load_id}/" in name]:
            yield f"published load {load_id} has left {found[:3]}"
