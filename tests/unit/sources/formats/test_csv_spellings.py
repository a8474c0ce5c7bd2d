"""Any table, spelt in any dialect and encoding, in blocks that are cut anywhere, is loaded value by value as it was."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_factory.schema.contract import Contract
from etl_factory.schema.sanitize import Cleaning, clean, plan_cleaning
from etl_factory.schema.wanted import Wanted
from etl_factory.sources.formats import csv as csv_format
from etl_factory.sources.formats.csv import Csv
from etl_factory.sources.specs import CsvFormat

Row = tuple[int | None, Decimal | None, date | None, str | None, float | None]
NAMES = ("id", "amount", "day", "note", "weight")
TYPES = {"amount": "NUMERIC", "note": "STRING", "weight": "FLOAT64"}
FLOATS = ("{!r}", "{:.17g}", "{:.16e}", "{!r}0")
ALPHABETS = {
    "utf-8": "",
    "utf-8-sig": "",
    "utf-16": "",
    "windows-1250": "łóżé€",
    "windows-1252": "ñüß€",
    "latin-1": "çå",
}
DATES = {"%d.%m.%Y": "{0.day:02}.{0.month:02}.{0.year:04}", "%m/%d/%Y": "{0.month:02}/{0.day:02}/{0.year:04}"}
LONGEST = 700
"""Bytes of the longest record that can be drawn; any block is at least as long."""


@dataclass(frozen=True)
class Spelt:
    """How a file spells its values."""

    encoding: str
    delimiter: str
    quote: str
    escape: str
    newline: str
    decimal: str
    thousands: str
    dates: str
    quotes_all: bool
    floats: str

    @property
    def spec(self) -> CsvFormat:
        return CsvFormat(
            type="csv", encoding=self.encoding.removesuffix("-sig"), delimiter=self.delimiter, quote=self.quote,
            escape=self.escape, decimal=self.decimal, thousands=self.thousands, dates={"day": self.dates},
        )  # fmt: skip

    def file(self, rows: list[Row]) -> bytes:
        lines = [self.delimiter.join(NAMES), *(self.delimiter.join(self._fields(row)) for row in rows)]
        return "".join(line + self.newline for line in lines).encode(self.encoding)

    def _fields(self, row: Row) -> Iterator[str]:
        id_, amount, day, note, weight = row
        yield "" if id_ is None else self._field(str(id_))
        yield "" if amount is None else self._field(self._number(amount))
        yield "" if day is None else self._field(DATES[self.dates].format(day))
        yield "" if note is None else self._field(note)
        yield "" if weight is None else self._field(self._float(weight))

    def _number(self, amount: Decimal) -> str:
        whole, _, rest = f"{amount:,f}".partition(".")
        return whole.replace(",", self.thousands) + (self.decimal + rest if rest else "")

    def _float(self, weight: float) -> str:
        spelt = self.floats.format(weight)
        if float(spelt) != weight:  # by a zero after the exponent
            spelt = repr(weight)
        return spelt.replace(".", self.decimal)

    def _field(self, text: str) -> str:
        marks = {self.delimiter, self.quote, self.escape, "\n", "\r"} - {""}
        if text and not self.quotes_all and not marks & set(text):
            return text
        inner = text.replace(self.escape, self.escape * 2) if self.escape else text
        return self.quote + inner.replace(self.quote, (self.escape or self.quote) + self.quote) + self.quote


@st.composite
def spellings(draw: st.DrawFn) -> Spelt:
    decimal = draw(st.sampled_from(".,"))
    return Spelt(
        draw(st.sampled_from(sorted(ALPHABETS))),
        draw(st.sampled_from([",", ";", "\t", "|"])),
        draw(st.sampled_from("\"'")),
        draw(st.sampled_from(["", "\\"])),
        draw(st.sampled_from(["\n", "\r\n", "\r"])),
        decimal,
        draw(st.sampled_from(["", " ", "." if decimal == "," else ","])),
        draw(st.sampled_from(sorted(DATES))),
        draw(st.booleans()),
        draw(st.sampled_from(FLOATS)),
    )  # fmt: skip


def texts(encoding: str) -> st.SearchStrategy[str]:
    letters = "ab ,;|\t\"'\\\n\r0#" + ALPHABETS[encoding]
    any_letter = st.characters(codec="utf-8", exclude_characters="\0\ufeff", max_codepoint=0x2FFF)
    return st.text(
        st.sampled_from(letters) if ALPHABETS[encoding] else st.sampled_from(letters) | any_letter,
        max_size=40,
    )


@st.composite
def tables(draw: st.DrawFn) -> tuple[Spelt, list[Row]]:
    spelt = draw(spellings())
    row = st.tuples(
        st.none() | st.integers(-(10**28), 10**28) | st.integers(-9, 9),
        st.none()
        | st.decimals(-(10**28), 10**28, places=9, allow_nan=False)
        | st.decimals(0, 9999, places=2),
        st.none() | st.dates(),
        st.none() | texts(spelt.encoding),
        st.none()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.integers(-999, 9999).map(lambda n: n / 7),
    )
    return spelt, draw(st.lists(row, min_size=1, max_size=40))


@contextmanager
def blocks_of(size: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_format, "BLOCK_BYTES", size)
        yield


def loaded(data: bytes, spec: CsvFormat, cleaning: Cleaning, *, typed: bool) -> list[dict[str, Any]]:
    """Clean a file as the first load does, or as the later ones; nothing may be set aside."""
    reader, found, number = Csv(spec), [], 0
    stream = io.BytesIO(data)
    for batch in reader.read_as(stream, cleaning.wanted) if typed else reader.read(stream):
        done = clean(batch, cleaning, "u")
        assert (*batch.rejects, *done.rejects, *done.discarded) == ()
        rows = done.rows.to_pylist()
        assert [row["_etl_record"] for row in rows] == list(range(number + 1, number + 1 + len(rows)))
        number += len(rows)
        found += rows
    return found


@settings(max_examples=60, deadline=None, derandomize=True)
@given(tables(), st.integers(LONGEST, 4 * LONGEST))
def test_every_value_is_what_it_was(table: tuple[Spelt, list[Row]], block: int) -> None:
    spelt, rows = table
    data = spelt.file(rows)
    with blocks_of(block):
        schema = Csv(spelt.spec).infer(io.BytesIO(data))
        wanted = Wanted(types=TYPES)
        cleaning, _ = plan_cleaning(schema, wanted, None, Contract("t"), is_file=True, is_text=True)
        cleaning = cleaning.spelt(Csv(spelt.spec).spelling)
        first = loaded(data, spelt.spec, cleaning, typed=False)
        later = loaded(data, spelt.spec, cleaning, typed=True)

    assert first == later
    assert [tuple(row.get(name) for name in NAMES) for row in first] == [
        (id_ if id_ is None else Decimal(id_), *rest) for id_, *rest in rows
    ]
