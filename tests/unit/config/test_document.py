"""How YAML text becomes plain values with line numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from etl_factory.config.document import dotted, read_document, resolve


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("NO", "NO"),
        ("22:30", "22:30"),
        ("2025-01-01", "2025-01-01"),
        ("10", 10),
        ("-3", -3),
        ("010", "010"),
        ("1_000", "1_000"),
        ("0x1f", "0x1f"),
        ("9" * 30, "9" * 30),
        ("0.5", 0.5),
        (".inf", ".inf"),
        ("1e5", "1e5"),
        ("null", None),
        ("~", None),
        ("", None),
    ],
)
def test_plain_scalars(text: str, value: object) -> None:
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


def read(tmp_path: Path, text: str) -> object:
    file = tmp_path / "a.yaml"
    file.write_text(text)
    document = read_document(file)
    assert document.errors == []
    return document


def test_quoted_scalars_and_keys_are_text(tmp_path: Path) -> None:
    document = read(tmp_path, "on: '10'\n1: \"true\"\n")

    assert document.value == {"on": "10", "1": "true"}


def test_lines_of_keys_and_items(tmp_path: Path) -> None:
    document = read(tmp_path, "a:\n  b:\n    - x\n    - y: 1\n\n  c: |\n    text\n")

    assert document.lines[("a", "b", 1, "y")] == 4
    assert document.lines[("a", "c")] == 6
    assert document.line(("a", "b", 0, "gone")) == 3
    assert document.line(("gone",)) == 1
    assert dotted(("a", "b", 1, "y")) == "a.b[1].y"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"a: " + b"[" * 500 + b"]" * 500, "a[0][0]: nested more than 12 levels deep"),
        (b"x: 1\n" * 300_000, "the file has 1500000 bytes; at most 1000000 are read"),
        (b"a: &x [1]\nb: *x\n", "a: YAML anchors and aliases are not allowed: write the value out"),
        (b"? [a]\n: b\n", "a key must be plain text"),
        (b"a: \x00\n", "not valid YAML: unacceptable character #x0000: control characters are not allowed"),
    ],
)
def test_hostile_text(tmp_path: Path, raw: bytes, message: str) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(raw)

    errors = [str(error) for error in read_document(file).errors]

    assert len(errors) == 1
    assert errors[0].startswith(f"{file}:")
    assert errors[0].endswith(message)


def test_a_byte_order_mark_is_no_content(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(b"\xef\xbb\xbfa: 1\n")

    assert read_document(file).value == {"a": 1}


def test_unreadable_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").mkdir()

    assert [str(e) for e in read_document(tmp_path / "a.yaml").errors] == [
        f"{tmp_path}/a.yaml:1: the file cannot be read: Is a directory"
    ]
