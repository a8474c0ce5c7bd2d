"""Values are spelt the same whatever a login of PostgreSQL prefers, and whatever its search path has."""

from __future__ import annotations

import pyarrow as pa
import pytest
from table_systems import Postgres, System

from etl_factory.sources.base import Selection

pytestmark = [
    pytest.mark.stack,
    pytest.mark.parametrize("system", [Postgres], ids=["postgres"], indirect=True),
]
PREFERENCES = {
    "search_path": "preferred, public, pg_catalog", "TimeZone": "'America/New_York'", "DateStyle": "SQL, DMY",
    "IntervalStyle": "postgres_verbose", "extra_float_digits": "-3", "bytea_output": "escape",
}  # fmt: skip


def test_a_logins_preferences_change_no_value(system: System) -> None:
    system.user("contract_preferring")
    system.execute(
        "CREATE TABLE preferring (id int, floats float8[], bytes bytea[], span interval, at timestamptz[])",
        r"INSERT INTO preferring VALUES (1, '{0.30000000000000004}', ARRAY['\x00ff'::bytea],"
        " '1 day 02:00', ARRAY['2025-01-31 10:00+00'::timestamptz])",
        "GRANT SELECT ON preferring TO contract_preferring",
        "CREATE SCHEMA preferred",
        "GRANT USAGE ON SCHEMA preferred TO contract_preferring",
        "CREATE FUNCTION preferred.set_config(text, text, bool) RETURNS text LANGUAGE sql AS 'SELECT NULL::text'",
        *(f"ALTER ROLE contract_preferring SET {name} = {said}" for name, said in PREFERENCES.items()),
    )

    found = []
    for login in ({}, {"login": "contract_preferring", "password": "limited"}):
        with system.source(**login).snapshot(Selection(table="public.preferring")) as snapshot:
            found.append(pa.Table.from_batches(snapshot.read(None)).to_pylist())

    assert found[0] == found[1]
    assert "0.30000000000000004" in str(found[0])
