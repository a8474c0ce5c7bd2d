"""The providers' own transfer operators, with their defaults where those work, to the stack's bucket."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from benchmarks.subjects import places

BUCKET = "bench-objects"


def table(options: dict[str, Any]) -> Iterator[Any]:
    """Export a table by PostgresToGCSOperator or MySQLToGCSOperator, in the format that is asked for."""
    from airflow.providers.google.cloud.transfers.mysql_to_gcs import MySQLToGCSOperator
    from airflow.providers.google.cloud.transfers.postgres_to_gcs import PostgresToGCSOperator

    folder = f"stock/{options['table']}"
    kind, conn = {
        "postgres": (PostgresToGCSOperator, {"postgres_conn_id": "bench_postgres"}),
        "mysql": (MySQLToGCSOperator, {"mysql_conn_id": "bench_mysql"}),
    }[options["system"]]
    operator = kind(
        task_id="export",
        sql=f"SELECT * FROM {options['table']}",
        bucket=BUCKET,
        filename=f"{folder}/{{}}",
        export_format=options["format"],
        gcp_conn_id="google_cloud_default",
        **conn,
    )
    yield
    operator.execute({"ti": _Silent()})
    yield _size(folder) | {"rows": options["rows"]}
    _clear(folder)


def s3(options: dict[str, Any]) -> Iterator[Any]:
    """Copy a folder by S3ToGCSOperator."""
    with places.store(options):
        yield from _s3(options)


def _s3(options: dict[str, Any]) -> Iterator[Any]:
    from airflow.providers.google.cloud.transfers.s3_to_gcs import S3ToGCSOperator

    operator = S3ToGCSOperator(
        task_id="copy", bucket=BUCKET, prefix=f"{options['folder']}/", aws_conn_id="bench_s3",
        gcp_conn_id="google_cloud_default", dest_gcs=f"gs://{BUCKET}/stock/", replace=True,
    )  # fmt: skip
    _clear("stock")
    yield
    operator.execute({"ti": _Silent()})
    yield _size("stock")
    _clear("stock")


def azure(options: dict[str, Any]) -> Iterator[Any]:
    """Copy a folder by AzureBlobStorageToGCSOperator, which takes one blob: one after the other."""
    with places.store(options):
        yield from _azure(options)


def _azure(options: dict[str, Any]) -> Iterator[Any]:
    from airflow.providers.google.cloud.transfers.azure_blob_to_gcs import AzureBlobStorageToGCSOperator

    names = [f"{options['folder']}/drop/{number:05d}.bin" for number in range(options["objects"])]
    operators = [
        AzureBlobStorageToGCSOperator(
            task_id=f"copy{number}", wasb_conn_id="bench_azure", gcp_conn_id="google_cloud_default",
            blob_name=name, container_name=BUCKET, bucket_name=BUCKET, object_name=f"stock/{name}",
            filename="", gzip=False, unwrap_single=True,
        )
        for number, name in enumerate(names)
    ]  # fmt: skip
    _clear("stock")
    yield
    for operator in operators:
        operator.execute({"ti": _Silent()})
    yield _size("stock")
    _clear("stock")


class _Silent:
    """A task instance that takes XComs and keeps none."""

    def xcom_push(self, *_: Any, **__: Any) -> None:
        """Take one."""


def _size(folder: str) -> dict[str, int]:
    blobs = list(places.storage_client().list_blobs(BUCKET, prefix=f"{folder}/"))
    return {"bytes": sum(blob.size for blob in blobs), "rows": len(blobs)}


def _clear(folder: str) -> None:
    for blob in places.storage_client().list_blobs(BUCKET, prefix=f"{folder}/"):
        blob.delete()


def connections() -> dict[str, str]:
    """Return the Airflow connections that the operators use, as environment variables."""
    import json

    def written(**parts: Any) -> str:
        return json.dumps(parts)

    postgres, mysql = places.connection("postgres"), os.environ.get("MYSQL_URL")
    found = {
        "BENCH_POSTGRES": written(
            conn_type="postgres", host=postgres.host, port=postgres.port, login=postgres.login,
            password=postgres.password, schema=postgres.database,
        ),
        "BENCH_S3": written(
            conn_type="aws", login="local", password="local",
            extra={"endpoint_url": os.environ["S3_ENDPOINT_URL"], "region_name": "us-east-1"},
        ),
        "BENCH_AZURE": written(
            conn_type="wasb", extra={"connection_string": os.environ["AZURE_STORAGE_CONNECTION_STRING"]}
        ),
        "GOOGLE_CLOUD_DEFAULT": written(
            conn_type="google_cloud_platform", extra={"is_anonymous": True, "project": "bench-project"}
        ),
    }  # fmt: skip
    if mysql:
        to = places.connection("mysql")
        found["BENCH_MYSQL"] = written(
            conn_type="mysql", host=to.host, port=to.port, login=to.login, password=to.password,
            schema=to.database,
        )  # fmt: skip
    return {f"AIRFLOW_CONN_{name}": text for name, text in found.items()}
