"""Runs Airflow's scheduler with all that tasks import already imported, so that the tasks it forks need not."""

from __future__ import annotations

import sys
from importlib import import_module

import airflow.providers.amazon.aws.assets.s3
import airflow.providers.google.cloud.hooks.gcs
import airflow.providers.google.cloud.transfers.gcs_to_bigquery  # noqa: F401 - inherited by forked tasks
import pyarrow.parquet  # noqa: F401 - inherited by forked tasks
from airflow.__main__ import main

SOURCES = (
    "azure_blob_to_gcs", "bigquery_to_staging", "gcs_to_gcs", "mysql_to_gcs", "postgres_to_gcs", "s3_to_gcs"
)  # fmt: skip
STEPS = ("sanitizing", "load", "loading", "publishing")

if __name__ == "__main__":
    import_module("etl_factory.loader")
    for name in SOURCES:
        import_module(f"etl_factory.transfers.{name}")
    for name in STEPS:
        import_module(f"etl_factory.operators.{name}")
    sys.argv = ["airflow", "scheduler"]
    main()
