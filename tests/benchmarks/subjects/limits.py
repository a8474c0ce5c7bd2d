"""Physical limits: what the server, the writer and the disk do at best, with nothing of ours between."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from benchmarks.subjects import places


def postgres_copy(options: dict[str, Any]) -> Iterator[Any]:
    """Let psql COPY a table in binary to nowhere."""
    command = [
        "psql", "-qX", os.environ["POSTGRES_URL"],
        "-c", f"COPY {options['table']} TO STDOUT (FORMAT binary)",
    ]  # fmt: skip
    yield
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    yield {"rows": options["rows"]}


def mysql_quick(options: dict[str, Any]) -> Iterator[Any]:
    """Let MariaDB's own client print a table, unbuffered, to nowhere."""
    to = urlparse(os.environ["MYSQL_URL"])
    command = [
        "mariadb", "--no-defaults", "--quick", "--raw", "-N", "-h", str(to.hostname), "-P", str(to.port),
        "-u", str(to.username), to.path[1:], "-e", f"SELECT * FROM {options['table']}",
    ]  # fmt: skip
    env = {**os.environ, "MYSQL_PWD": str(to.password)}
    yield
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env=env)
    yield {"rows": options["rows"]}


def table_to_parquet(options: dict[str, Any]) -> Iterator[Any]:
    """Write the rows that our source gives, held in memory, as the same Parquet, to nowhere."""
    _choose_our_pool()
    import pyarrow as pa

    from etl_factory.sources import source_class
    from etl_factory.sources.base import Selection

    source: Any = source_class(options["system"])(places.connection(options["system"]))
    with source.snapshot(Selection(table=options["table"])) as snapshot:
        table = pa.Table.from_batches(snapshot.read(None))
    yield from _to_parquet(table)


def csv_to_parquet(options: dict[str, Any]) -> Iterator[Any]:
    """Write the rows that pyarrow reads of a CSV file, held in memory, as Parquet of our kind, to nowhere."""
    _choose_our_pool()
    import pyarrow.csv as pacsv

    yield from _to_parquet(pacsv.read_csv(options["path"]))


def _choose_our_pool() -> None:
    """Let pyarrow, which is imported later, hold its rows where ours are."""
    import_module("etl_factory")


def _to_parquet(table: Any) -> Iterator[Any]:
    import pyarrow.parquet as pq

    from etl_factory.landing.parts import GROUP_ROWS, OPTIONS

    landing = places.NullLanding()
    yield
    with landing.create("gs://bench-objects/limit.parquet") as sink:
        pq.write_table(table, sink, row_group_size=GROUP_ROWS, **OPTIONS)
    yield {"rows": table.num_rows, "bytes": landing.sizes["gs://bench-objects/limit.parquet"]}


def sequential_read(options: dict[str, Any]) -> Iterator[Any]:
    """Read a file from its first byte to its last."""
    path, buffer, size = Path(options["path"]), bytearray(1 << 20), 0
    yield
    with path.open("rb", buffering=0) as file:
        while got := file.readinto(buffer):
            size += got
    yield {"rows": options["rows"], "bytes": size}


def arrow_csv(options: dict[str, Any]) -> Iterator[Any]:
    """Read a CSV file as pyarrow does it at best: in one piece, by all cores, types guessed."""
    import pyarrow.csv as pacsv

    yield
    table = pacsv.read_csv(options["path"])
    yield {"rows": table.num_rows, "bytes": Path(options["path"]).stat().st_size}


def arrow_json(options: dict[str, Any]) -> Iterator[Any]:
    """Read JSON Lines as pyarrow does it at best: in one piece, by all cores, types guessed."""
    import pyarrow.json as pajson

    yield
    table = pajson.read_json(options["path"])
    yield {"rows": table.num_rows, "bytes": Path(options["path"]).stat().st_size}
