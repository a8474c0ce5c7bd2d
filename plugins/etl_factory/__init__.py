"""ETL Factory turns tenants' YAML source configs into Airflow DAGs that load BigQuery exactly once."""

__version__ = "0.1.0"
