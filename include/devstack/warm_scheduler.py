"""Runs Airflow's scheduler with the providers already imported, so that the tasks it forks need not."""

from __future__ import annotations

import sys

import airflow.providers.google.cloud.hooks.gcs
import airflow.providers.google.cloud.transfers.gcs_to_bigquery  # noqa: F401 - inherited by forked tasks
import pyarrow.parquet  # noqa: F401 - inherited by forked tasks
from airflow.__main__ import main

if __name__ == "__main__":
    sys.argv = ["airflow", "scheduler"]
    main()
