"""Streams that can be looked at, tails and compression."""

from __future__ import annotations

import bz2
import gzip
import io

import pyarrow as pa
import pytest

from etl_factory.errors import TerminalError
from etl_factory.sources.formats import format_of
from etl_factory.sources.formats.base import Peekable, damaged_file_errors, decompressed, is_utf8
from etl_factory.sources.formats.csv import Csv
from etl_factory.sources.formats.json import JsonLines, JsonObjects
from etl_factory.sources.formats.parquet import Parquet
from etl_factory.sources.specs import CsvFormat, JsonFormat, JsonLinesFormat, ParquetFormat

TEXT = b"".join(b"line %d\n" % number for number in range(5000))


class Drip(io.BytesIO):
    """A stream that gives a few bytes at a time, as a network does."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(7 if size is None or size < 0 else min(size, 7))


def whole(stream: pa.NativeFile) -> bytes:
    return b"".join(iter(lambda: stream.read(1000), b""))


def zstd(data: bytes) -> bytes:
    return pa.compress(data, codec="zstd", asbytes=True)


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, zstd])
@pytest.mark.parametrize("open_", [io.BytesIO, Drip])
def test_compression_is_told_by_the_first_bytes(compress, open_) -> None:
    assert whole(decompressed(open_(compress(TEXT)), "auto")) == TEXT


@pytest.mark.parametrize(
    ("name", "compress"), [("gzip", gzip.compress), ("bz2", bz2.compress), ("zstd", zstd)]
)
def test_files_in_several_compressed_pieces(name: str, compress) -> None:
    pieces = compress(TEXT) + compress(b"more\n")
    assert whole(decompressed(io.BytesIO(pieces), name)) == TEXT + b"more\n"
    assert whole(decompressed(io.BytesIO(pieces), "auto")) == TEXT + b"more\n"


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, zstd])
@pytest.mark.parametrize("kept", [0.5, 0.99])
def test_a_cut_file_is_no_short_file(compress, kept: float) -> None:
    data = compress(TEXT)
    with pytest.raises(TerminalError, match="damaged"), damaged_file_errors():
        whole(decompressed(io.BytesIO(data[: int(len(data) * kept)]), "auto"))


def test_a_file_that_is_not_compressed_as_declared() -> None:
    with pytest.raises(TerminalError, match="damaged or not of the declared format"), damaged_file_errors():
        whole(decompressed(io.BytesIO(TEXT), "gzip"))


def test_none_means_none() -> None:
    data = gzip.compress(b"x")
    assert whole(decompressed(io.BytesIO(data), "none")) == data


@pytest.mark.parametrize("open_", [io.BytesIO, Drip])
def test_a_look_takes_nothing(open_) -> None:
    source = Peekable(open_(TEXT))
    assert source.peek(100) == TEXT[:100]
    assert source.peek(10) == TEXT[:10]
    assert source.read(50) == TEXT[:50]
    assert source.read(0) == b""
    assert source.read() == TEXT[50:]
    assert source.read(1) == source.peek(1) == b""


@pytest.mark.parametrize(
    ("data", "whole"),
    [
        (b"", b"tail\n"),
        (b"a\n", b"a\ntail\n"),
        (b"a", b"a\ntail\n"),
        (b"a\r", b"a\rtail\n"),
    ],
)
@pytest.mark.parametrize("size", [-1, 1, 3, 100])
@pytest.mark.parametrize("look", [0, 1, 100])
def test_a_tail_is_a_line_of_its_own(data: bytes, whole: bytes, size: int, look: int) -> None:
    source = Peekable(Drip(data), b"tail\n")
    assert source.peek(look) == whole[:look]
    pieces = []
    while piece := source.read(size):
        pieces.append(piece)
    assert b"".join(pieces) == whole
    assert size < 0 or all(len(piece) <= size for piece in pieces)


@pytest.mark.parametrize("name", ["utf-8", "UTF8", "utf_8", "U8", "utf-8-sig"])
def test_names_of_utf8(name: str) -> None:
    assert is_utf8(name)
    assert not is_utf8("windows-1250")


@pytest.mark.parametrize(
    ("spec", "reader"),
    [
        (CsvFormat(type="csv"), Csv),
        (JsonLinesFormat(type="jsonl"), JsonLines),
        (JsonFormat(type="json"), JsonObjects),
        (ParquetFormat(type="parquet"), Parquet),
    ],
    ids=lambda value: getattr(value, "type", ""),
)
def test_each_spec_has_its_reader(spec, reader: type) -> None:
    assert type(format_of(spec)) is reader
    assert reader.is_text == (spec.type != "parquet")
