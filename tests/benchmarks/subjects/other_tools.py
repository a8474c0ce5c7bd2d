"""The peers of an environment of their own: dlt, Sling and plain pandas, each into local Parquet files."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def dlt_table(options: dict[str, Any]) -> Iterator[Any]:
    """Load a table by dlt's sql_database into its filesystem destination; no backend means its defaults."""
    import dlt
    from dlt.destinations import filesystem
    from dlt.sources.sql_database import sql_table

    with tempfile.TemporaryDirectory() as folder:
        backend = {"backend": options["backend"]} if options["backend"] else {}
        more = {"loader_file_format": "parquet"} if options["backend"] else {}
        source = sql_table(credentials=_url(options["system"]), table=options["table"], **backend)
        pipeline = dlt.pipeline(
            "bench", destination=filesystem(bucket_url=f"file://{folder}/out"), dataset_name="bench",
            pipelines_dir=f"{folder}/state",
        )  # fmt: skip
        yield
        pipeline.run(source, **more)
        rows = pipeline.last_trace.last_normalize_info.row_counts[options["table"]]
        yield {"rows": rows, "bytes": _size(Path(folder, "out"))}


def sling_table(options: dict[str, Any]) -> Iterator[Any]:
    """Load a table by Sling's binary, which its last wheel with one brings, into Parquet files."""
    import sling_linux_amd64

    binary = Path(sling_linux_amd64.__file__).parent / "bin/sling-linux-amd64"
    binary.chmod(0o755)
    schema = {"postgres": "public.", "mysql": "shop."}[options["system"]]
    with tempfile.TemporaryDirectory() as folder:
        command = [
            str(binary), "run", "--src-conn", "BENCH", "--src-stream", schema + options["table"],
            "--tgt-object", f"file://{folder}/out.parquet",
        ]  # fmt: skip
        url = os.environ[f"{options['system'].upper()}_URL"]
        tls = "?sslmode=disable" if options["system"] == "postgres" else ""
        env = {**os.environ, "BENCH": url + tls, "SLING_HOME_DIR": folder, "SLING_DISABLE_TELEMETRY": "TRUE"}
        env["SLING_DUCKDB_COMPUTE"] = "false"  # else it downloads DuckDB's program to write Parquet
        yield
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError((done.stdout + done.stderr).strip().splitlines()[-1])
        yield {"rows": _parquet_rows(Path(folder, "out.parquet")), "bytes": _size(Path(folder))}


def pandas_table(options: dict[str, Any]) -> Iterator[Any]:
    """Read a table by pandas in one piece, and write it as Parquet."""
    import pandas as pd
    import sqlalchemy as sa

    engine = sa.create_engine(_url(options["system"]))
    with tempfile.TemporaryDirectory() as folder, engine.connect() as connection:
        target = Path(folder, "out.parquet")
        yield
        frame = pd.read_sql(sa.text(f"SELECT * FROM {options['table']}"), connection)
        for name in {"token", "payload"} & set(frame.columns):  # objects that Parquet has no type for
            frame[name] = frame[name].astype(str)
        frame.to_parquet(target)
        yield {"rows": len(frame), "bytes": target.stat().st_size}


def pandas_file(options: dict[str, Any]) -> Iterator[Any]:
    """Read a file by pandas in one piece, and write it as Parquet."""
    import pandas as pd
    import pyarrow.parquet  # noqa: F401 - loaded before the clock starts

    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "out.parquet")
        yield
        path = options["path"]
        frame = pd.read_csv(path) if options["format"] == "csv" else pd.read_json(path, lines=True)
        frame.to_parquet(target)
        yield {"rows": len(frame), "bytes": target.stat().st_size}


def _parquet_rows(file: Path) -> int:
    import pyarrow.parquet as pq

    return int(pq.read_metadata(file).num_rows)


def _url(system: str) -> str:
    url = os.environ[f"{system.upper()}_URL"]
    driver = {"postgres": "postgresql+psycopg2", "mysql": "mysql+pymysql"}[system]
    return f"{driver}://{url.partition('://')[2]}"


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
