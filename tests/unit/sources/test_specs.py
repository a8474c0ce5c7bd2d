"""What YAML may say of a source, where one key takes values of several kinds."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from etl_factory.sources.specs import TransactionalTable

EAST = timezone(timedelta(hours=2))
SCHEMA = jsonschema.Draft202012Validator(TransactionalTable.model_json_schema())


def document(start: Any) -> dict[str, Any]:
    return {"table": "orders", "load": "transactional", "cursor": "seen", "backfill_from": start}


@pytest.mark.parametrize(
    ("written", "start"),
    [
        (None, None),
        (0, 0),
        (20250101, 20250101),
        ("2025-01-01", date(2025, 1, 1)),
        ("2025-01-01T00:00:00+02:00", datetime(2025, 1, 1, tzinfo=EAST)),
        ("2025-01-01 00:00:00.5Z", datetime(2025, 1, 1, 0, 0, 0, 500_000, UTC)),
        ("2025-01-01T00:00", datetime(2025, 1, 1)),
    ],
)
def test_backfill_from_is_what_was_written(written: Any, start: Any) -> None:
    found = TransactionalTable.model_validate(document(written)).backfill_from

    assert (type(found), found) == (type(start), start)
    assert str(found) == str(start)
    assert SCHEMA.is_valid(document(written))


@pytest.mark.parametrize("start", [date(2025, 1, 1), datetime(2025, 1, 1, tzinfo=EAST)])
def test_backfill_from_takes_pythons_own_dates_and_times(start: date) -> None:
    found = TransactionalTable.model_validate(document(start)).backfill_from

    assert (type(found), str(found)) == (type(start), str(start))


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("20250101", "'20250101'"),
        ("2025-W01-1", "'2025-W01-1'"),
        ("2025-01-01 ", "'2025-01-01 '"),
        ("2025-01-01T00:00:00+2", "'2025-01-01T00:00:00+2'"),
        ("1735689600", "'1735689600'"),
        ("yesterday", "'yesterday'"),
        (1.5, "1.5"),
        (True, "True"),
    ],
)
def test_backfill_from_guesses_nothing(written: Any, shown: str) -> None:
    with pytest.raises(ValidationError) as raised:
        TransactionalTable.model_validate(document(written))

    (error,) = raised.value.errors()
    assert (error["loc"], error["msg"]) == (
        ("backfill_from",),
        f"Value error, {shown} is not where a cursor can begin: write a date such as 2025-01-01, a time such as"
        " 2025-01-01T00:00:00+02:00, or a whole number for an integer cursor",
    )
    assert not SCHEMA.is_valid(document(written))


def test_backfill_from_refuses_a_day_that_no_calendar_has() -> None:
    with pytest.raises(ValidationError, match="'2025-02-30' is not where a cursor can begin"):
        TransactionalTable.model_validate(document("2025-02-30"))


@pytest.mark.parametrize("written", ["2025-01-01", "2025-01-01T00:00:00+02:00", 7])
def test_backfill_from_survives_json_exactly(written: Any) -> None:
    spec = TransactionalTable.model_validate(document(written))

    assert TransactionalTable.model_validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize("written", [None, "null"])
def test_a_bare_null_is_the_word(written: Any) -> None:
    """YAML reads `on_unrepresentable: null` as no value at all."""
    said = {
        **document("2025-01-01"),
        "on_unrepresentable": written,
        "columns": {"on_unrepresentable": {"b": written}},
    }
    spec = TransactionalTable.model_validate(said)

    assert (spec.on_unrepresentable, spec.columns.on_unrepresentable) == ("null", {"b": "null"})
    assert TransactionalTable.model_validate_json(spec.model_dump_json()) == spec
    assert SCHEMA.is_valid(said)


def test_a_key_is_never_null_or_text() -> None:
    said = document("2025-01-01")
    cursor = said["cursor"]
    with pytest.raises(ValidationError, match=f"'{cursor}' is the cursor, which tells rows apart or in time"):
        TransactionalTable.model_validate({**said, "columns": {"on_unrepresentable": {cursor: "text"}}})
