"""Values that the server joins into one arrive as those that it prints alone: every type, in tables drawn at random."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

import pyarrow as pa
import pytest
from table_systems import MySQL, System

from etl_factory.errors import EtlFactoryError
from etl_factory.schema.types import is_json, raw_json
from etl_factory.sources._mysql_snapshot import MySQLSnapshot
from etl_factory.sources.base import Selection

pytestmark = [
    pytest.mark.stack,
    pytest.mark.parametrize("system", [MySQL], ids=["mysql"], indirect=True),
]
ROWS = 400
TYPES = {
    "tinyint": lambda draw: draw.randint(-128, 127),
    "int(20) unsigned zerofill": lambda draw: draw.randrange(2**32),
    "bigint": lambda draw: draw.randint(-(2**63), 2**63 - 1),
    "bigint unsigned": lambda draw: draw.randrange(2**64),
    "bit(17)": lambda draw: draw.randrange(2**17),
    "year": lambda draw: draw.choice([0, draw.randint(1901, 2155)]),
    "decimal(65,30)": lambda draw: f"{draw.randrange(10**35)}.{draw.randrange(10**30):030}",
    "decimal(9,0)": lambda draw: draw.randint(-(10**9) + 1, 10**9 - 1),
    "decimal(8,3) zerofill": lambda draw: draw.randrange(10**8) / 1000,
    "float": lambda draw: draw.uniform(-3e38, 3e38),
    "double": lambda draw: draw.uniform(-1, 1) * 10.0 ** draw.randint(-300, 300),
    "double(20,4)": lambda draw: draw.uniform(-1e9, 1e9),
    "date": lambda draw: draw.choice(["0000-00-00", str(date(1000, 1, 1) + timedelta(draw.randrange(3_000_000)))]),
    "datetime": lambda draw: datetime(1000, 1, 1) + timedelta(seconds=draw.randrange(10**11)),
    "datetime(3)": lambda draw: datetime(1970, 1, 1) + timedelta(milliseconds=draw.randrange(10**12)),
    "timestamp(6)": lambda draw: datetime(1971, 1, 1) + timedelta(microseconds=draw.randrange(2 * 10**15)),
    "time(6)": lambda draw: f"{draw.randint(-838, 838)}:{draw.randrange(60):02}:{draw.randrange(59):02}.5",
    "varchar(20)": lambda draw: draw.choice(["", ",", "\n", '"', "\\", "ż", "NULL"]) * draw.randrange(3),
    "varbinary(9)": lambda draw: draw.choice(["", ",", "\n", "x"]) * draw.randrange(3),
}  # fmt: skip


def made(system: System, name: str, types: list[str], draw: random.Random, *, required: bool) -> None:
    """Create a table of these types, whose rows are drawn; a fourth of the values is NULL unless `required`."""
    columns = ", ".join(f"c{i} {type_} {'NOT NULL' if required else 'NULL'}" for i, type_ in enumerate(types))
    with system.session() as cursor:
        cursor.execute("SET sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'")
        cursor.execute(f"DROP TABLE IF EXISTS {name}")
        cursor.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, {columns})")
        cursor.executemany(
            f"INSERT INTO {name} VALUES (%s{', %s' * len(types)})",
            [(i, *(_drawn(type_, draw, required=required) for type_ in types)) for i in range(ROWS)],
        )


def _drawn(type_: str, draw: random.Random, *, required: bool) -> Any:
    return None if not required and draw.random() < 0.25 else TYPES[type_](draw)


def read(system: System, name: str) -> list[dict[str, Any]]:
    with system.source().snapshot(Selection(table=name)) as snapshot:
        table = pa.Table.from_batches(snapshot.read(None))
    return sorted(table.to_pylist(), key=lambda row: row["id"])


@pytest.mark.parametrize("required", [True, False], ids=["required", "nullable"])
@pytest.mark.parametrize("seed", range(4))
def test_every_value_is_the_one_that_the_server_prints(system: System, seed: int, required: bool) -> None:
    draw = random.Random(seed)
    types = draw.sample(list(TYPES), draw.choice([1, 3, len(TYPES)]))
    made(system, "drawn", types, draw, required=required)
    exact = {"float": "CAST({} AS DOUBLE)", "bit(17)": "CAST({} AS UNSIGNED)"}
    apart = []
    for i, type_ in enumerate(types):  # each in a statement of its own, and in no expression but the source's
        with system.session() as cursor:
            cursor.execute("SET time_zone = '+00:00'")
            cursor.execute(f"SELECT {exact.get(type_, '{}').format(f'c{i}')} FROM drawn ORDER BY id")
            apart.append([row[0] for row in cursor.fetchall()])
    found = read(system, "drawn")
    assert len(found) == ROWS
    for i, (type_, printed) in enumerate(zip(types, apart, strict=True)):
        values = [row[f"c{i}"] for row in found]
        assert [_as_read(type_, value) for value in printed] == values, type_


def _as_read(type_: str, printed: bytes | str | None) -> Any:
    if printed is None or type_ == "varbinary(9)":
        return printed
    text = printed.decode() if isinstance(printed, bytes) else printed
    if type_.startswith(("float", "double")):
        return float(text)
    if type_.startswith(("tinyint", "int", "bit", "year")) or type_ == "bigint":
        return int(text)
    return f"{text}+00:00" if type_ == "timestamp(6)" else text


def test_rows_beyond_one_batch_keep_their_nulls(system: System) -> None:
    system.execute(
        "CREATE TABLE sparse (id int PRIMARY KEY, n int)",
        "INSERT INTO sparse SELECT seq, IF(seq % 3, NULL, seq) FROM seq_1_to_45000",
    )
    with system.source().snapshot(Selection(table="sparse", include=("n",))) as snapshot:
        batches = list(snapshot.read(None))
    assert len(batches) > 1
    values = [value for batch in batches for value in batch.column("n").to_pylist()]
    assert sorted(value for value in values if value) == list(range(3, 45_001, 3))
    assert values.count(None) == 30_000


MODES = ("PAD_CHAR_TO_FULL_LENGTH", "EMPTY_STRING_IS_NULL", "ORACLE", "ANSI")


@pytest.mark.parametrize(
    "preference", [*(f"sql_mode = CONCAT(@@sql_mode, ',{mode}')" for mode in MODES), "sql_select_limit = 1"]
)
def test_values_are_the_same_whatever_the_server_prefers(
    system: System, preference: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import MySQLdb

    system.execute(
        "CREATE TABLE preferring (id int PRIMARY KEY, n int, at date, code char(5), words varchar(9))",
        "INSERT INTO preferring VALUES (1, NULL, NULL, 'ab', ''), (2, 7, '2024-01-01', '', NULL)",
    )
    with monkeypatch.context() as patch:
        prefers = partial(MySQLdb.connect, init_command=f"SET SESSION {preference}")
        patch.setattr(MySQLdb, "connect", prefers)
        found = read(system, "preferring")
    system.execute("DROP TABLE preferring")
    assert found == [
        {"id": 1, "n": None, "at": None, "code": "ab", "words": ""},
        {"id": 2, "n": 7, "at": "2024-01-01", "code": "", "words": None},
    ]


def test_a_table_that_changes_while_it_is_listed(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    system.execute("CREATE TABLE changing (id int PRIMARY KEY)")
    hold = MySQLSnapshot._hold

    def changed(snapshot: MySQLSnapshot) -> None:
        system.execute("ALTER TABLE changing ADD COLUMN more int")
        hold(snapshot)

    monkeypatch.setattr(MySQLSnapshot, "_hold", changed)
    with (
        pytest.raises(EtlFactoryError, match=r"changed while its columns were listed|definition has changed"),
        system.source().snapshot(Selection(table="changing")),
    ):
        raise AssertionError("it was read")


def test_a_json_column_is_known_by_any_name(system: System) -> None:
    system.execute("CREATE TABLE named (`b``c` json, `a.b` json)")
    with system.source().snapshot(Selection(table="named")) as snapshot:
        assert [is_json(field.type) or field.type == raw_json() for field in snapshot.schema] == [True, True]


def test_a_table_of_wide_texts_takes_little_memory(system: System) -> None:
    """A `varchar` may hold 64 KiB, and its type is none of those for long text."""
    system.execute(
        "CREATE TABLE wide_texts (id int PRIMARY KEY, words varchar(16000)) CHARACTER SET utf8mb4",
        "INSERT INTO wide_texts SELECT seq, REPEAT('x', 15000) FROM seq_1_to_3000",
    )
    with system.source().snapshot(Selection(table="wide_texts")) as snapshot:
        sizes = [batch.nbytes for batch in snapshot.read(None)]
    assert sum(sizes) > 40e6
    assert max(sizes) < 9e6
