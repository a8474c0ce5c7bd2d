# The BigQuery emulator; its server is include/devstack/bigquery_server.py, which the service mounts.
FROM python:3.13-slim
COPY bigquery.txt /tmp/requirements.txt
RUN pip install --no-cache-dir -r /tmp/requirements.txt
# DuckDB finds its extensions under HOME.
ENV HOME=/opt/bigquery
RUN mkdir -p "$HOME" && python -c "from duckdb_extensions import import_extension; \
[import_extension(name) for name in ('avro', 'ducklake', 'httpfs', 'icu', 'spatial')]"
