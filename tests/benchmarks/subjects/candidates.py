"""What could read tables instead of our readers: not exact as they stand, measured to know what exactness costs."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse


def duckdb_scanner(options: dict[str, Any]) -> Iterator[Any]:
    """Let DuckDB's scanner of the system copy a table into a local Parquet file, with a thread per core.

    With `casts`, the server spells the types that the scanner changes, as it does for us: that is one query, so one
    stream.
    """
    import duckdb
    from duckdb_extensions import import_extension

    system, to = options["system"], urlparse(os.environ[f"{options['system'].upper()}_URL"])
    schema = {"postgres": "public", "mysql": to.path[1:]}[system]
    name = {"postgres": "dbname", "mysql": "database"}[system]
    at = {"host": to.hostname, "port": to.port, "user": to.username, "password": unquote(to.password or "")}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HOME"] = folder  # where extensions go
        import_extension(f"{system}_scanner")
        target = Path(folder, "out.parquet")
        database = duckdb.connect()
        listed = " ".join(f"{key}={value}" for key, value in (at | {name: to.path[1:]}).items())
        database.execute(f"ATTACH '{listed}' AS shop (TYPE {system}, READ_ONLY)")
        rows = f"shop.{schema}.{options['table']}"
        if options.get("casts"):
            rows = f"{system}_query('shop', '{_cast(system, options['table'])}')"
        yield
        copied = database.execute(
            f"COPY (SELECT * FROM {rows}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)"
        ).fetchall()
        yield {"rows": copied[0][0], "bytes": target.stat().st_size}


def _cast(system: str, table: str) -> str:
    """Write a query of the mixed columns in which the server spells numerics, documents, dates and times."""
    from benchmarks.shapes import SHAPES

    mine = {"postgres": 1, "mysql": 3}[system]
    risky = ("numeric", "decimal", "json", "date", "time", "tinyint")
    spelt = {"postgres": "CAST({} AS text)", "mysql": "CAST({} AS char)"}[system]
    columns = [
        spelt.format(column[0]) + f" AS {column[0]}" if column[mine].startswith(risky) else column[0]
        for column in SHAPES["mixed"]
    ]
    return f"SELECT {', '.join(columns)} FROM {table}"


def connectorx_stream(options: dict[str, Any]) -> Iterator[Any]:
    """Stream a table through ConnectorX into Parquet that nobody keeps."""
    import connectorx
    import pyarrow.parquet as pq

    url = os.environ[f"{options['system'].upper()}_URL"]
    with open(os.devnull, "wb") as sink:
        yield
        reader = connectorx.read_sql(
            url, f"SELECT * FROM {options['table']}", return_type="arrow_stream", batch_size=50_000
        )
        rows = 0
        with pq.ParquetWriter(sink, reader.schema, compression="zstd", compression_level=1) as writer:
            for batch in reader:
                writer.write_batch(batch)
                rows += batch.num_rows
        yield {"rows": rows}
