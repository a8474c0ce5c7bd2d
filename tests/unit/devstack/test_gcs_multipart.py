"""An upload of one request comes apart into just the bytes that were put together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devstack.gcs_multipart import related

KIND = "multipart/related; boundary="


def sent(content: bytes, boundary: str = "==1==", kind: str = "text/csv") -> bytes:
    """Write a body as google's client does."""
    mark = b"--" + boundary.encode()
    return (
        mark + b"\r\ncontent-type: application/json; charset=UTF-8\r\n\r\n" + b'{"name": "a"}' + b"\r\n" + mark
        + b"\r\ncontent-type: " + kind.encode() + b"\r\n\r\n" + content + b"\r\n" + mark + b"--"
    )  # fmt: skip


@given(st.binary() | st.lists(st.sampled_from([b"\r\n", b"--", b"==1==", b"x", b"\n", b"\r"])).map(b"".join))
def test_content_is_what_was_sent(content: bytes) -> None:
    found = related(f"{KIND}'==9=='", sent(content, "'==9=='"))

    assert found == {"meta": {"name": "a"}, "content": content, "content-type": "text/csv"}


@pytest.mark.parametrize("boundary", ["==1==", '"==1=="'])
def test_a_boundary_may_be_quoted(boundary: str) -> None:
    assert related(KIND + boundary, sent(b"x", "==1=="))["content"] == b"x"


@pytest.mark.parametrize("body", [b"", sent(b"x")[:-4], b"--==1==\r\n\r\n\r\n--==1==--", sent(b"x", "other")])
def test_what_is_no_such_body_is_an_error(body: bytes) -> None:
    with pytest.raises(ValueError, match="two parts"):
        related(KIND + "==1==", body)
