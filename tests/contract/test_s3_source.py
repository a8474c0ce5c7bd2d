"""What is S3's own: its words for what is wrong with a login, an object or a request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from edge import Edge, edge_of
from etl_factory.errors import AccessDeniedError, TerminalError, TransientError
from etl_factory.sources.base import Connection
from etl_factory.sources.s3 import S3Source
from file_systems import CANARY, CONN_ID, S3, in_use, one, read, whole_story

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def s3(stack: object) -> Iterator[S3]:
    with in_use(S3()) as made:
        yield made


@pytest.fixture
def edge(s3: S3) -> Iterator[Edge]:
    with edge_of(s3.endpoint) as served:
        yield served


@pytest.mark.parametrize(
    ("status", "code", "error", "message"),
    [
        (403, "InvalidAccessKeyId", AccessDeniedError, "does not know the login of acme__contract"),
        (403, "SignatureDoesNotMatch", AccessDeniedError, "Store the right one with `etl-factory secret set"),
        (400, "ExpiredToken", AccessDeniedError, r"\(ExpiredToken\)"),
        (403, "InvalidObjectState", TerminalError, "is archived: restore it in S3"),
        (400, "AuthorizationHeaderMalformed", TerminalError, "refuses the request: AuthorizationHeaderMalf"),
        (500, "InternalError", TransientError, "does not answer as it should: InternalError"),
    ],
)  # fmt: skip
def test_word(
    s3: S3, edge: Edge, monkeypatch: pytest.MonkeyPatch, status: int, code: str, error: Any,
    message: str,
) -> None:  # fmt: skip
    s3.patient_for(monkeypatch, 1)
    item = one(s3, "refused/a", b"x")
    body = f"<Error><Code>{code}</Code><Message>so it is</Message></Error>".encode()
    edge.answers("refused/a", status, body, times=1000)
    with pytest.raises(error, match=message):
        read(s3.source(edge.url), item)


def test_a_login_that_is_not_known_fails_the_check(s3: S3, edge: Edge) -> None:
    edge.answers("GET /", 403, b"<Error><Code>InvalidAccessKeyId</Code></Error>")
    with pytest.raises(AccessDeniedError, match="does not know the login"):
        s3.source(edge.url).check()


def test_no_login_on_a_machine_without_one(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    source = S3Source(Connection(CONN_ID, "aws", extra={"endpoint_url": s3.endpoint}))
    with pytest.raises(AccessDeniedError, match=r"Unable to locate credentials.*Store the right one"):
        source.check()


def test_an_endpoint_that_is_none(s3: S3) -> None:
    source = S3Source(Connection(CONN_ID, "aws", extra={"endpoint_url": f"no {CANARY}"}))
    with pytest.raises(TerminalError, match="its region or endpoint is wrong") as caught:
        source.check()
    assert CANARY not in whole_story(caught.value)


def test_a_bucket_name_that_cannot_be(s3: S3) -> None:
    with pytest.raises(TerminalError, match=r"Invalid bucket name.*correct `path`"):
        list(s3.source().objects("s3://no such bucket/*"))
