"""Objects in Amazon S3, or in a store that speaks its protocol."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cached_property
from typing import IO, Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from etl_factory.errors import AccessDeniedError, EtlFactoryError, TerminalError
from etl_factory.sources._paths import check_paths, parse_path, split_object
from etl_factory.sources._stores import AT_ONCE, Store, pinned, stale
from etl_factory.sources.base import FileSource, Found, SourceObject
from etl_factory.sources.specs import ConnectedSpec, FileResource, Name

ATTEMPTS = 5  # how often boto3 tries a request that is refused or not answered
ANSWER_SECONDS = 60  # of silence, before an answer and within it
CUT_OFF = 2  # how many answers may be cut off before the third one counts
WRONG_LOGIN = frozenset(
    {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired"}
)


class S3Spec(ConnectedSpec):
    """Objects in an S3 bucket."""

    type: Literal["s3"]
    resources: Annotated[dict[Name, FileResource], Field(min_length=1)]

    @field_validator("resources")
    @classmethod
    def _paths(cls, resources: dict[str, Any]) -> dict[str, Any]:
        return check_paths(resources, "s3")


class S3Source(FileSource):
    """An S3 bucket; the connection's fields are those of Airflow's `aws` type.

    An object's version is its etag and when it was written: an etag alone comes back with old content.
    """

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
            retries={"mode": "standard", "max_attempts": ATTEMPTS},
            connect_timeout=15,
            read_timeout=ANSWER_SECONDS,
            max_pool_connections=AT_ONCE,
        )
        return session.client("s3", endpoint_url=extra.get("endpoint_url"), config=config)

    def check(self) -> str:
        """Return how many buckets the login sees; a login for one bucket alone may not list them."""
        try:
            with self._errors("the account"):
                return f"Amazon S3, {len(self.client.list_buckets()['Buckets'])} buckets"
        except AccessDeniedError as error:
            if _code(error.__cause__) != "AccessDenied":
                raise
            return "Amazon S3, whose buckets this login may not list"

    def discover(self) -> Iterator[Found]:
        """List the account's buckets."""
        with self._errors("the account", "grant s3:ListAllMyBuckets"):
            buckets = self.client.list_buckets()["Buckets"]
        for bucket in buckets:
            yield Found(f"s3://{bucket['Name']}/")

    def objects(self, path: str) -> Iterator[SourceObject]:
        """List matching objects with their etags, sorted by uri."""
        to = parse_path(path, "s3")
        with self._errors(f"bucket s3://{to.bucket}"):
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=to.bucket, Prefix=to.prefix)
            items = (item for page in pages for item in page.get("Contents", ()) if to.matches(item["Key"]))
            found = [_listed(to.uri(item["Key"]), item) for item in items]
        yield from sorted(found, key=lambda item: item.uri)

    def open(self, source_object: SourceObject) -> IO[bytes]:
        """Stream an object while its etag is still the listed one."""
        bucket, name = split_object(source_object.uri)
        etag = f'"{source_object.version.rpartition("@")[0]}"'

        def fetch(start: int, size: int) -> bytes:
            wanted = {
                "Bucket": bucket,
                "Key": name,
                "IfMatch": etag,
                "Range": f"bytes={start}-{start + size - 1}",
            }
            with self._errors(source_object.uri):
                return self._body(wanted)

        return pinned(source_object, fetch)

    def _body(self, wanted: dict[str, str]) -> bytes:
        """Get a range; boto3 itself repeats a request that is refused, but not one cut off in its answer."""
        from botocore.exceptions import IncompleteReadError, ReadTimeoutError, ResponseStreamingError

        for _ in range(CUT_OFF):
            with suppress(IncompleteReadError, ReadTimeoutError, ResponseStreamingError):
                return bytes(self.client.get_object(**wanted)["Body"].read())
        return bytes(self.client.get_object(**wanted)["Body"].read())

    @contextmanager
    def _errors(self, what: str, grant: str = "grant s3:ListBucket and s3:GetObject") -> Iterator[None]:
        from botocore import exceptions as boto
        from botocore.parsers import ResponseParserError

        store = Store("S3", self.connection.conn_id, grant)
        try:
            yield
        except boto.ClientError as error:
            raise _explained(store, what, error) from error
        except (
            boto.NoCredentialsError,
            boto.PartialCredentialsError,
            boto.CredentialRetrievalError,
        ) as error:
            raise store.wrong_login(what, str(error)) from error
        except (
            boto.ConnectionError,
            boto.HTTPClientError,
            boto.IncompleteReadError,
            ResponseParserError,  # an answer that is none, as a gateway's own page
            OSError,
        ) as error:
            raise store.unreachable(what, self.client.meta.endpoint_url, error) from None
        except boto.ParamValidationError as error:
            raise TerminalError(f"{what}: {error}: correct `path`") from error
        except (boto.BotoCoreError, ValueError) as error:
            raise store.unusable(what, f"its region or endpoint is wrong ({type(error).__name__})") from None


def _listed(uri: str, item: dict[str, Any]) -> SourceObject:
    written: datetime = item["LastModified"]
    version = f"{item['ETag'].strip(chr(34))}@{written.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return SourceObject(uri, version, item["Size"], written)


def _code(error: BaseException | None) -> str:
    return str(getattr(error, "response", {}).get("Error", {}).get("Code"))


def _explained(store: Store, what: str, error: Any) -> EtlFactoryError:
    code, status = _code(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if code == "NoSuchKey":
        return stale(what)
    if code == "InvalidObjectState":
        return store.archived(what)
    if code in WRONG_LOGIN:
        return store.wrong_login(what, code)
    said = f"{code}: {error.response.get('Error', {}).get('Message')}"
    return store.refusal(what, status, code if status in (401, 403) else said)
