"""Runs Airflow's scheduler with all that tasks import already imported, so that the tasks it forks need not."""

from __future__ import annotations

import sys
from importlib import import_module

import airflow.providers.amazon.aws.assets.s3
import airflow.providers.google.cloud.hooks.gcs  # noqa: F401 - inherited by forked tasks
import pyarrow.parquet  # noqa: F401 - inherited by forked tasks
from airflow.__main__ import main

# What operators import only once they execute.
LATER = ("sanitizing", "loading", "publishing")

if __name__ == "__main__":
    import etl_factory.loader  # noqa: F401 - Airflow has put the plugins on the path
    from etl_factory.factory import STEPS, operator_class
    from etl_factory.sources import SOURCES

    for source in SOURCES:
        for step in STEPS:
            operator_class(step, source.type)
    for name in LATER:
        import_module(f"etl_factory.operators.{name}")
    sys.argv = ["airflow", "scheduler"]
    main()
