"""What YAML says of hiding a column's values, in one canonical form: pure data, no SDK, no pyarrow."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, WithJsonSchema

from etl_factory.sources.words import NAME_LENGTH, NAME_PATTERN, known_name, shown

Unit = Literal["year", "quarter", "month", "week", "day", "hour"]
UNITS: tuple[str, ...] = get_args(Unit)
BARE = ("sha256", "redact", "last4")
_CALL = re.compile(r"(hmac|date_trunc)\(\s*(.*?)\s*\)")
EXPECTED = f"{', '.join(BARE)}, {{ hmac: <connection> }} or {{ date_trunc: {'|'.join(UNITS)} }}"


@dataclass(frozen=True)
class MaskSpec:
    """How a column is hidden; `by` is the connection that holds the key of `hmac`, or the unit of `date_trunc`."""

    how: Literal["sha256", "redact", "last4", "hmac", "date_trunc"]
    by: str = ""

    @property
    def keeps_rows_apart(self) -> bool:
        """Whether different values stay different, so that a key may be hidden so."""
        return self.how in ("sha256", "hmac")

    @property
    def is_text(self) -> bool:
        """Whether what is published in place of the value is text, whatever the value was."""
        return self.how != "date_trunc"


def parse_mask(value: Any) -> MaskSpec:
    """Read `sha256`, `{ hmac: name }` or `hmac(name)`; raises ValueError for anything else."""
    given = value
    if isinstance(value, MaskSpec):
        return value
    if isinstance(value, str) and value in BARE:
        return MaskSpec(value)  # type: ignore[arg-type]  # one of them
    if isinstance(value, str) and (call := _CALL.fullmatch(value)):
        value = {call[1]: call[2]}
    if isinstance(value, dict) and set(value) == {"hmac"}:
        return MaskSpec("hmac", known_name(str(value["hmac"])))
    if isinstance(value, dict) and set(value) == {"date_trunc"} and value["date_trunc"] in UNITS:
        return MaskSpec("date_trunc", value["date_trunc"])
    raise ValueError(f"{shown(given)} is no mask: expected {EXPECTED}")


def _only(key: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object", "properties": {key: schema}, "required": [key], "additionalProperties": False,
    }  # fmt: skip


Mask = Annotated[
    MaskSpec,
    BeforeValidator(parse_mask),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": list(BARE)},
                _only("hmac", {"type": "string", "pattern": NAME_PATTERN, "maxLength": NAME_LENGTH}),
                _only("date_trunc", {"enum": list(UNITS)}),
                {"type": "string", "pattern": rf"^(hmac\([a-z0-9_]+\)|date_trunc\(({'|'.join(UNITS)})\))$"},
            ]
        }
    ),
]
# https://cloud.google.com/bigquery/docs/reference/rest/v2/tables#TableFieldSchema
PolicyTag = Annotated[
    str, Field(pattern=r"^projects/[^/\s]+/locations/[^/\s]+/taxonomies/[^/\s]+/policyTags/[^/\s]+$")
]
ColumnText = Annotated[str, Field(min_length=1, max_length=1024)]
