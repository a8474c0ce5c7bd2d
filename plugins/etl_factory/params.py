"""What a person may ask of one run, in the trigger form, over REST, or from the command line."""

from __future__ import annotations

from airflow.sdk import Param

_MOMENT = {"type": ["null", "string", "integer"]}

PARAMS = {
    "start": Param(
        None,
        title="Backfill from",
        description="First cursor value to read again, e.g. 2025-01-01. Leave empty for a normal run.",
        **_MOMENT,
    ),
    "end": Param(
        None, title="Backfill until", description="First cursor value not to read. Needed with `start`.", **_MOMENT
    ),
    "full_refresh": Param(
        False,
        type="boolean",
        title="Full refresh",
        description="Read everything and replace the published tables, in one transaction each.",
    ),
}
