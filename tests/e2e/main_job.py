"""What the e2e tests load, what must arrive, and the three runs that they look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import systems
from local_airflow import Local
from records import AZURE, CHANGED, GCS, RECORDS, S3, Content, Record

SOURCES = ("shop_pg", "shop_my", "shop_bq", "files_s3", "files_gcs", "files_azure")
DAGS = tuple(f"e2e__{source}" for source in SOURCES)
BEFORE = RECORDS[:6]
NEW = RECORDS[7:9]
DELETED = RECORDS[2]
KEYED = (CHANGED, *RECORDS[1:6], *NEW)
"""A row that is deleted at the source stays: an incremental load cannot see it go."""
UNKEYED = (*KEYED, RECORDS[0])
"""Without a primary key every version of a row that was read is kept, once."""
CATALOG = tuple(row for row in KEYED if row is not DELETED)
LOADS = {"keyed": KEYED, "unkeyed": UNKEYED, "snapshot": CATALOG}
EXPECTED: dict[tuple[str, str], tuple[Content, Content]] = {
    **{(source, load): (BEFORE, rows) for source in SOURCES[:3] for load, rows in LOADS.items()},
    **{
        (source, files.resource): files.expected()
        for source, sets in (("files_s3", S3), ("files_gcs", GCS), ("files_azure", AZURE))
        for files in sets
    },
}
AGAIN = ("shop_pg", "files_gcs")
"""Sources that are run a third time, with nothing changed: one database, one store of files."""


@dataclass(frozen=True)
class Loaded:
    """What the runs left: their ids, and the published tables after each of them."""

    runs: tuple[dict[str, tuple[str, str]], ...]
    tables: tuple[dict[tuple[str, str], list[dict[str, Any]]], ...]


def load(local: Local) -> Loaded:
    """Run all DAGs, change every source, run them again; run some once more with nothing changed."""
    first = local.run(*DAGS)
    tables = read_tables()
    systems.change(local.env)
    second = local.run(*DAGS)
    changed = read_tables()
    third = local.run(*(f"e2e__{source}" for source in AGAIN))
    return Loaded((first, second, third), (tables, changed, read_tables()))


def read_tables() -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Read every published table, without our own columns and those that the comparison leaves out."""
    names = ", ".join(Record.__dataclass_fields__)
    client = systems.clients.bigquery_client("e2e-project")
    return {
        (source, resource): [
            dict(row) for row in client.query_and_wait(f"SELECT {names} FROM raw.{source}__{resource}")
        ]
        for source, resource in EXPECTED
    }
