"""The DAG processor imports the heavy modules once: preload.py names, as Airflow reads it, all that parsing needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from airflow.utils.file import iter_airflow_imports

from examples import REPOSITORY

PRELOAD = REPOSITORY / "dags/preload.py"
PROGRAM = """
import json, sys
from importlib import import_module
for name in json.loads(sys.argv[1]):
    import_module(name)
before = set(sys.modules)
from etl_factory.loader import tenant_dags
types = {tag for dag in tenant_dags().values() for tag in dag.tags}
print(json.dumps([sorted(types), sorted(set(sys.modules) - before)]))
"""


def test_parsing_imports_no_heavy_module_anew() -> None:
    env = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY / "plugins"),
        "ETL_FACTORY_CONFIG_ROOT": str(REPOSITORY / "config/tenants"),
    }
    named = json.dumps(list(iter_airflow_imports(str(PRELOAD))))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, named], env=env, capture_output=True, text=True, check=True
    )
    types, fresh = json.loads(done.stdout.splitlines()[-1])

    assert {"postgres", "mysql", "bigquery", "gcs", "s3", "azure_blob"} <= set(types)
    heavy = (
        "pandas",
        "numpy",
        "pyarrow",
        "google",
        "boto3",
        "botocore",
        "azure",
        "psycopg",
        "psycopg2",
        "MySQLdb",
    )
    assert [name for name in fresh if name.split(".")[0] in heavy] == []


def test_a_task_reads_none_of_it() -> None:
    assert list(iter_airflow_imports(str(PRELOAD.parent / "tenants.py"))) == []
    assert "dag" in Path(PRELOAD).read_text().lower()  # else Airflow would not read the file
