"""Recognises files of quite another kind by their first bytes, whatever their names say."""

from __future__ import annotations

from etl_factory.errors import TerminalError

_OFFICE = (b"[Content_Types].xml", b"xl/", b"_rels/", b"mimetypeapplication/vnd.")
_KINDS = (
    (b"PAR1", "a Parquet file", "set format to parquet"),
    (b"\x1f\x8b", "gzip-compressed", "set format.compression to auto, and compress it once only"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed", "set format.compression to auto, and compress it once only"),
    (b"\xfd7zXZ\x00", "xz-compressed", "compress it with gzip, bz2 or zstd"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Office document (such as .xls)", "save it as CSV"),
    (b"%PDF-", "a PDF document", "save it as CSV"),
    (b"Obj\x01", "an Avro file", "export it as Parquet or CSV"),
    (b"ORC", "an ORC file", "export it as Parquet or CSV"),
    (b"SQLite format 3\x00", "an SQLite database", "export it as CSV"),
)
_MARKUP = (b"<!doctype html", b"<html", b"<?xml")


def refuse_foreign(head: bytes) -> None:
    """Raise TerminalError when a file that begins so is no delimited text."""
    kind, remedy = _kind(head)
    if kind:
        raise TerminalError(f"the file is {kind}, not CSV: {remedy}. Nothing of it was loaded")


def _kind(head: bytes) -> tuple[str, str]:
    if head.startswith(b"PK\x03\x04"):
        if any(mark in head for mark in _OFFICE):
            return "an Office document (such as .xlsx)", "save it as CSV"
        return "a ZIP archive", "unpack it, or compress it with gzip, bz2 or zstd"
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith(_MARKUP):
        return "an HTML or XML page", "often an error message that was saved as the file; fetch it again"
    # A line that begins so in letters alone may be a header.
    found = ((k, remedy) for magic, k, remedy in _KINDS if head.startswith(magic) and _is_binary(magic, head))
    return next(found, ("", ""))


def _is_binary(magic: bytes, head: bytes) -> bool:
    return not magic.isalnum() or b"\x00" in head[:4096]
