"""What a BigQuery source selects in place of a hidden column."""

from __future__ import annotations

import pytest

from etl_factory.errors import ConfigError
from etl_factory.schema.types import Field
from etl_factory.sources._bigquery_masks import masked, masked_field
from etl_factory.sources._masks import MaskSpec

SHA256 = {
    "STRING": "`c`",
    "INT64": "CAST(`c` AS STRING)",
    "BYTES": "`c`",
    "DATETIME": r"REGEXP_REPLACE(FORMAT_DATETIME('%E4Y-%m-%d %H:%M:%E6S', `c`), r'\.?0+$', '')",
    "TIMESTAMP": (
        r"CONCAT(REGEXP_REPLACE(FORMAT_TIMESTAMP('%E4Y-%m-%d %H:%M:%E6S', `c`, 'UTC'), r'\.?0+$', ''), '+00')"
    ),
    "JSON": "IF(`c` IS NULL, NULL, TO_JSON_STRING(`c`))",
}


@pytest.mark.parametrize(("type_", "text"), SHA256.items())
def test_the_canonical_text_is_hashed(type_: str, text: str) -> None:
    assert masked("`c`", Field("c", type_), MaskSpec("sha256")) == f"TO_HEX(SHA256({text}))"


def test_the_other_masks() -> None:
    name = Field("c", "STRING")
    assert masked("`c`", name, MaskSpec("redact")) == "IF(`c` IS NULL, NULL, 'REDACTED')"
    assert masked("`c`", name, MaskSpec("last4")) == (
        "IF(CHAR_LENGTH(`c`) > 4, CONCAT(REGEXP_REPLACE(SUBSTR(`c`, 1, CHAR_LENGTH(`c`) - 4), '(?s).', '*'),"
        " SUBSTR(`c`, -4)), REGEXP_REPLACE(`c`, '(?s).', '*'))"
    )
    cut = MaskSpec("date_trunc", "week")
    assert masked("`c`", Field("c", "TIMESTAMP"), cut) == "TIMESTAMP_TRUNC(`c`, ISOWEEK, 'UTC')"
    assert masked("`c`", Field("c", "DATE"), cut) == "DATE_TRUNC(`c`, ISOWEEK)"
    assert masked("`c`", Field("c", "INT64", "REPEATED"), MaskSpec("sha256")) == (
        "TO_HEX(SHA256(TO_JSON_STRING(`c`)))"
    )


def test_the_type_of_a_hidden_column() -> None:
    assert masked_field(Field("c", "INT64", "REPEATED"), MaskSpec("sha256")) == Field("c", "STRING")
    assert masked_field(Field("c", "DATE"), MaskSpec("date_trunc", "month")) == Field("c", "DATE")


@pytest.mark.parametrize("field", [Field("c", "STRING"), Field("c", "DATE", "REPEATED"), Field("c", "DATE")])
def test_a_cut_that_hides_nothing_is_refused(field: Field) -> None:
    with pytest.raises(ConfigError, match="date_trunc is for dates and moments"):
        masked_field(field, MaskSpec("date_trunc", "day"))
