"""What Airflow runs after extract: sanitize, load, publish."""
