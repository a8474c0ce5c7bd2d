"""A landing object by ranges: exact from any place, and an error where bytes are missing or wrong."""

from __future__ import annotations

import base64
import hashlib
import io
from dataclasses import replace

import pytest

from etl_factory.errors import TransientError
from etl_factory.landing.manifest import Part
from etl_factory.landing.reading import PinnedBytes

CONTENT = bytes(range(256)) * 4
MD5 = base64.b64encode(hashlib.md5(CONTENT).digest()).decode()
CRC32C = "LN9ujw=="
PART = Part("gs://acme-landing/a", 1, len(CONTENT), MD5)


def opened(content: bytes = CONTENT, *, at_most: int = 10_000, part: Part = PART) -> io.BufferedReader:
    """Return a reader of what a server holds that gives no more than so many bytes at once."""
    fetch = PinnedBytes(part, lambda start, size: content[start : start + min(size, at_most)], CRC32C)
    return io.BufferedReader(fetch, 100)


@pytest.mark.parametrize("step", [1, 7, 100, 1000, 5000])
def test_steps_of_any_size(step: int) -> None:
    with opened() as stream:
        assert b"".join(iter(lambda: stream.read(step), b"")) == CONTENT


def test_all_at_once() -> None:
    with opened() as stream:
        assert stream.read() == CONTENT


def test_a_reader_may_jump() -> None:
    with opened() as stream:
        assert (stream.seek(-4, io.SEEK_END), stream.read()) == (1020, CONTENT[-4:])
        assert (stream.seek(10), stream.read(3)) == (10, CONTENT[10:13])
        assert (stream.seek(5, io.SEEK_CUR), stream.tell(), stream.read(2)) == (18, 18, CONTENT[18:20])
        assert (stream.seek(5000), stream.read(1)) == (5000, b"")


def test_missing_bytes_are_no_end() -> None:
    with (
        opened(at_most=50) as stream,
        pytest.raises(TransientError, match=r"^gs://acme-landing/a: 50 bytes came of the 100 at 0$"),
    ):
        stream.read(10)


@pytest.mark.parametrize("place", [0, 500, len(CONTENT) - 1])
def test_a_wrong_byte_anywhere_is_noticed_at_the_end(place: int) -> None:
    damaged = CONTENT[:place] + bytes([CONTENT[place] ^ 1]) + CONTENT[place + 1 :]
    with (
        opened(damaged) as stream,
        pytest.raises(TransientError, match=r"arrived with checksum .* damaged on its way"),
    ):
        stream.read()


def test_parts_of_it_alone_have_no_checksum() -> None:
    with opened(CONTENT[:-1] + b"!") as stream:
        stream.seek(200)
        assert stream.read()[-1:] == b"!"


def test_a_composite_object_has_no_md5() -> None:
    composite = replace(PART, md5="")

    with opened(part=composite) as stream:
        assert stream.read() == CONTENT
    with (
        opened(CONTENT[:-1] + b"!", part=composite) as stream,
        pytest.raises(TransientError, match=r"but Cloud Storage says .* damaged on its way"),
    ):
        stream.read()
