"""Tells whether all of some text is of a type, by Arrow's parsers where they are as strict as the type's pattern."""

from __future__ import annotations

from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from etl_factory.schema import parsing
from etl_factory.schema.casting import off_calendar
from etl_factory.schema.letters import Digits, measured
from etl_factory.schema.types import BIGNUMERIC_DIGITS, BIGNUMERIC_SCALE, NUMERIC_DIGITS, NUMERIC_SCALE

# Plain numbers of so many digits are of the type whatever they are.
_INT_DIGITS = 18
_ROOM = {"numeric": (NUMERIC_DIGITS, NUMERIC_SCALE), "bignumeric": (BIGNUMERIC_DIGITS, BIGNUMERIC_SCALE)}
# Where a moment has the colon before its minutes: Arrow takes it without any.
_COLON = 13


class Text:
    """Some values of a column, none of them NULL; what several types ask about them is found out once."""

    def __init__(self, values: pa.Array) -> None:
        self.values = values

    @property
    def is_short(self) -> bool:
        """Whether a float holds all digits of every value, since they are plain numbers with no more than 15."""
        return self.digits is not None and self.digits.whole + self.digits.fraction <= parsing.KEPT

    @cached_property
    def digits(self) -> Digits | None:
        """How many digits plain numbers have, None where any value is spelt otherwise."""
        return measured(self.values)

    def fits(self, type_: str, pattern: str, as_arrow: pa.DataType) -> bool:
        """Whether all values match a type's pattern, and are values of it."""
        if type_ in _ROOM:
            return self._fits_decimal(pattern, *_ROOM[type_])
        if type_ == "int":
            return self._fits_int()
        if type_ == "float":
            return self._fits_float(pattern)
        values = parsing.whole(self.values, as_arrow)
        if values is None or off_calendar(values) is not None:
            return False
        if type_ == "bool":
            return bool(pc.min(pc.binary_length(self.values)).as_py() > 1)  # 0 and 1 are numbers
        return type_ == "date" or self._has_minutes()

    def _fits_int(self) -> bool:
        if self.digits is None or self.digits.fraction or self.digits.minus_zero:
            return False
        return self.digits.whole <= _INT_DIGITS or parsing.whole(self.values, pa.int64()) is not None

    def _fits_decimal(self, pattern: str, digits: int, scale: int) -> bool:
        if self.digits is None or self.digits.whole > digits:
            return False
        return self.digits.fraction <= scale or parsing.matches(self.values, pattern)

    def _fits_float(self, pattern: str) -> bool:
        is_number = self.digits is not None or parsing.matches(self.values, pattern)
        return is_number and parsing.floats(self.values, self.digits)[1] is None

    def _has_minutes(self) -> bool:
        marks = pc.binary_slice(self.values.cast(pa.binary()), _COLON, _COLON + 1)
        return bool(pc.all(pc.equal(marks, b":")).as_py())
