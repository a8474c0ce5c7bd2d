# Airflow's own image with this project's pinned requirements; the code itself is mounted.
FROM apache/airflow:3.3.1-python3.11
USER root
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev libmariadb-dev pkg-config \
    && rm -rf /var/lib/apt/lists/* \
    && install -d -o airflow -g 0 /data/secrets
USER airflow
COPY requirements.txt /tmp/requirements.txt
RUN pip install --no-cache-dir --no-deps -r /tmp/requirements.txt
COPY --chown=airflow:0 pyproject.toml README.md /opt/etl-factory/
COPY --chown=airflow:0 plugins /opt/etl-factory/plugins
RUN pip install --no-cache-dir --no-deps --editable /opt/etl-factory
