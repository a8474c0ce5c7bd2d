"""How YAML spells names, durations, ratios, counts, moments and schedules, each turned into one canonical form."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, NoReturn
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

NAME_PATTERN = r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$"
NAME_LENGTH = 64
DURATION_PATTERN = r"^\d+\s*(s|m|h|d|w)$"
LONGEST_DURATION = timedelta(days=3650)
LONGEST_SCHEDULE = 100  # Airflow's database keeps 1,000 characters of a schedule in words
PERCENT_PATTERN = r"^\d+(\.\d+)?\s*%$"
MOMENT_PATTERN = r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?)?$"
RESERVED_PREFIX = "_etl_"
MANUAL = "none"
PRESETS = {
    "hourly": "0 * * * *",
    "daily": "0 0 * * *",
    "weekly": "0 0 * * 0",
    "monthly": "0 0 1 * *",
    "yearly": "0 0 1 1 *",
}
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_CRON_FIELD = re.compile(
    r"^([0-9*,/#-]|l|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mon|tue|wed|thu|fri|sat|sun)+$", re.I
)


def refuse(problems: Mapping[tuple[str, ...], str]) -> NoReturn:
    """Fail a model's validation at places inside it: a path of keys, and the message for each."""
    raise PydanticCustomError("problems", "{text}", {"text": "; ".join(problems.values()), "at": problems})


def shown(value: Any) -> str:
    """Return what an error may show of a value: never an address, which may carry a password."""
    text = repr(value)
    return "this value" if re.search(r"://|@", text) or len(text) > 80 else text


def parse_duration(value: Any) -> Any:
    """Turn `90s`, `10m`, `2h`, `1d`, `1w` into a timedelta; raises ValueError for anything else."""
    if isinstance(value, timedelta):
        return value
    text = value.strip() if isinstance(value, str) else ""
    if not re.match(DURATION_PATTERN, text):
        raise ValueError(
            f"{shown(value)} is not a duration: write a number and a unit, such as 90s, 10m, 2h, 1d, 1w"
        )
    number, unit = text[:-1].strip().lstrip("0"), timedelta(**{_UNITS[text[-1]]: 1})
    # The digits are counted first: a number of any length is more than a timedelta, or int(), can take.
    if len(number) > 10 or int(number or 0) > LONGEST_DURATION // unit:
        raise ValueError(f"{shown(value)} is too long: at most {LONGEST_DURATION.days}d")
    return int(number or 0) * unit


def parse_lag(value: Any) -> Any:
    """Read a lag: a whole number for an integer cursor, else a duration."""
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise ValueError(f"lag cannot be negative: {value} would skip rows")
        return value
    if isinstance(value, str) and re.fullmatch(r"-\s*\d{1,20}\s*\w", value):
        raise ValueError(f"lag cannot be negative: {value} would skip rows")
    return parse_duration(value)


def parse_ratio(value: Any) -> Any:
    """Turn `0.1%` into 0.001; leave anything else to pydantic."""
    if isinstance(value, str) and re.match(PERCENT_PATTERN, value):
        return float(value[:-1]) / 100
    if isinstance(value, bool | str):
        raise ValueError(
            f"{shown(value)} is not a ratio: write a percentage such as 0.1%, or a number from 0 to 1"
        )
    return value


def parse_start(value: Any) -> date | int:
    """Read a whole number, a date of exactly ten characters, or a time, whose offset is kept."""
    if isinstance(value, date) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, str) and re.match(MOMENT_PATTERN, value):
        with suppress(ValueError):
            return date.fromisoformat(value) if len(value) == 10 else datetime.fromisoformat(value)
    raise ValueError(
        f"{shown(value)} is not where a cursor can begin: write a date such as 2025-01-01, a time such as"
        " 2025-01-01T00:00:00+02:00, or a whole number for an integer cursor"
    )


def parse_schedule(value: str) -> str:
    """Turn a preset (`hourly`, `@daily`...) or five cron fields into cron; keep `none`, which means by hand.

    Raises ValueError for what no calendar ever meets, such as 31 February.
    """
    from croniter import CroniterError, croniter

    text = " ".join(value.split())
    if text.removeprefix("@") in PRESETS:
        return PRESETS[text.removeprefix("@")]
    if text == MANUAL:
        return text
    if len(text) > LONGEST_SCHEDULE:
        raise ValueError(
            f"a schedule of {len(text)} characters is not a readable one: write at most {LONGEST_SCHEDULE}, with"
            " ranges (9-17) and steps (*/5)"
        )
    fields = text.split(" ")
    if len(fields) != 5 or not all(map(_CRON_FIELD.match, fields)):
        raise ValueError(
            f"{shown(value)} is not a schedule: write five cron fields (minute hour day month weekday),"
            f" {', '.join(PRESETS)}, or {MANUAL}"
        )
    try:
        croniter(text, datetime(2024, 1, 1, tzinfo=UTC)).get_next()
    except (CroniterError, ValueError, KeyError) as error:
        raise ValueError(f"{value!r} is not a cron expression that ever runs: {error}") from error
    return text


def is_name(value: str) -> bool:
    """Tell whether a text can name a tenant, a source, a resource or a connection."""
    return len(value) <= NAME_LENGTH and re.fullmatch(NAME_PATTERN, value) is not None


def known_name(value: str) -> str:
    """Pass a name; raises ValueError for any other text, which it shows only when that can be no secret."""
    if not is_name(value):
        hint = ": an address belongs in Secret Manager, under a name" if "://" in value else ""
        raise ValueError(
            f"{shown(value)} is not a name{hint}: use at most {NAME_LENGTH} lower-case letters, digits and"
            " single underscores, beginning with a letter"
        )
    return value


def known_zone(value: str) -> str:
    """Pass an IANA time zone name; raises ValueError for any other."""
    try:
        ZoneInfo(value)
    except (OSError, LookupError, ValueError) as error:
        raise ValueError(
            f"unknown time zone {shown(value)}: use an IANA name such as Europe/Warsaw"
        ) from error
    return value


def not_reserved(value: str) -> str:
    """Pass a column's name; raises ValueError for a name of the columns that publish adds."""
    if value.lower().startswith(RESERVED_PREFIX):
        raise ValueError(
            f"{shown(value)}: names that begin with {RESERVED_PREFIX} are added by publish, choose another"
        )
    return value


Name = Annotated[
    str,
    AfterValidator(known_name),
    WithJsonSchema({"type": "string", "pattern": NAME_PATTERN, "maxLength": NAME_LENGTH}),
]
Column = Annotated[str, Field(min_length=1), AfterValidator(not_reserved)]
TimeZone = Annotated[str, AfterValidator(known_zone)]
Schedule = Annotated[str, AfterValidator(parse_schedule)]
Count = Annotated[int, Field(ge=0, strict=True)]
Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN}),
]
Lag = Annotated[
    timedelta | int,
    BeforeValidator(parse_lag),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "pattern": DURATION_PATTERN}, {"type": "integer", "minimum": 0}]}
    ),
]
Ratio = Annotated[
    float,
    Field(ge=0, le=1),
    BeforeValidator(parse_ratio),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": PERCENT_PATTERN},
                {"type": "number", "minimum": 0, "maximum": 1},
            ]
        }
    ),
]
Start = Annotated[
    date | datetime | int,
    BeforeValidator(parse_start),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": MOMENT_PATTERN}, {"type": "integer"}]}),
]
