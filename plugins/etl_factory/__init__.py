"""ETL Factory turns tenants' YAML source configs into Airflow DAGs that load BigQuery exactly once."""

import os
import sys

__version__ = "0.1.0"

# Arrow chooses its memory pool as it is imported; in a task this package comes before. jemalloc, in every wheel for
# Linux, takes a third less memory and time of a file than Arrow's own choice. What the environment says goes first.
if sys.platform == "linux":
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = os.environ.get("ARROW_DEFAULT_MEMORY_POOL") or "jemalloc"
