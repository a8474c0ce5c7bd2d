"""Objects in Amazon S3, or in a store that speaks its protocol."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import IO, Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from etl_factory.errors import AccessDeniedError, NotFoundError, StaleError, TransientError
from etl_factory.sources._paths import check_paths, parse_path
from etl_factory.sources.base import FileSource, Found, SourceObject
from etl_factory.sources.specs import ConnectedSpec, FileResource, Name

_DENIED = ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "403", "ExpiredToken")


class S3Spec(ConnectedSpec):
    """Objects in an S3 bucket."""

    type: Literal["s3"]
    resources: Annotated[dict[Name, FileResource], Field(min_length=1)]

    @field_validator("resources")
    @classmethod
    def _paths(cls, resources: dict[str, Any]) -> dict[str, Any]:
        return check_paths(resources, "s3")


class S3Source(FileSource):
    """An S3 bucket; the connection's fields are those of Airflow's `aws` type."""

    type: ClassVar[str] = "s3"
    title: ClassVar[str] = "Amazon S3"
    transfer: ClassVar[str] = "etl_factory.transfers.s3_to_gcs:S3ObjectsToGCSOperator"
    conn_types: ClassVar[tuple[str, ...]] = ("aws",)
    spec = S3Spec

    @cached_property
    def client(self) -> Any:
        """A boto3 client; without a login, the machine's own credentials are used."""
        import boto3
        from botocore.config import Config

        extra = self.connection.extra
        session = boto3.session.Session(
            aws_access_key_id=self.connection.login or None,
            aws_secret_access_key=self.connection.password or None,
            aws_session_token=extra.get("aws_session_token"),
            region_name=extra.get("region_name"),
        )
        config = Config(
            retries={"mode": "standard", "max_attempts": 5}, connect_timeout=15, max_pool_connections=16
        )
        return session.client("s3", endpoint_url=extra.get("endpoint_url"), config=config)

    def check(self) -> str:
        """Return how many buckets the login sees."""
        with self._errors("the account"):
            return f"Amazon S3, {len(self.client.list_buckets()['Buckets'])} buckets"

    def discover(self) -> Iterator[Found]:
        """List the account's buckets."""
        with self._errors("the account"):
            for bucket in self.client.list_buckets()["Buckets"]:
                yield Found(f"s3://{bucket['Name']}/")

    def objects(self, path: str) -> Iterator[SourceObject]:
        """List matching objects with their etags, sorted by uri."""
        to = parse_path(path, "s3")
        with self._errors(f"bucket s3://{to.bucket}"):
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=to.bucket, Prefix=to.prefix)
            found = [item for page in pages for item in page.get("Contents", ()) if to.matches(item["Key"])]
        for item in sorted(found, key=lambda entry: entry["Key"]):
            yield SourceObject(
                to.uri(item["Key"]), item["ETag"].strip('"'), item["Size"], item["LastModified"]
            )

    def open(self, source_object: SourceObject) -> IO[bytes]:
        """Stream an object whose etag is still the listed one."""
        to = parse_path(source_object.uri, "s3")
        with self._errors(source_object.uri):
            answer = self.client.get_object(Bucket=to.bucket, Key=to.pattern, IfMatch=source_object.version)
        stream: IO[bytes] = answer["Body"]
        return stream

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code"))
            if code in ("PreconditionFailed", "412", "NoSuchKey"):
                raise StaleError(f"{what} has changed since it was listed") from error
            if code in ("NoSuchBucket", "404"):
                raise NotFoundError(f"{what} does not exist: correct `path`, or create it") from error
            if code in _DENIED:
                raise AccessDeniedError(
                    f"{what}: S3 refuses the login of {self.connection.conn_id} ({code}); grant s3:ListBucket"
                    " and s3:GetObject"
                ) from error
            raise TransientError(f"{what}: S3 does not answer as it should: {code}") from error
        except (BotoCoreError, OSError) as error:
            raise TransientError(f"{what}: S3 cannot be reached: {error}") from error
