"""One behaviour suite over every table source, on the real servers of the local stack."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pytest
from table_systems import DATABASE, SYSTEMS, Column, MySQL, Postgres, System

from etl_factory.errors import (
    AccessDeniedError,
    ConfigError,
    EtlFactoryError,
    NotFoundError,
    TerminalError,
    TransientError,
)
from etl_factory.sources import SOURCES
from etl_factory.sources._mysql_snapshot import MySQLSnapshot, name_parts
from etl_factory.sources._postgres_rows import MOST_VALUES
from etl_factory.sources._postgres_snapshot import queried
from etl_factory.sources.base import Selection, TableSource
from etl_factory.sources.postgres import PostgresSnapshot
from etl_factory.windows import CursorValue, Window

pytestmark = pytest.mark.stack

INSTANTS = [datetime(2024, 6, 1, 10, 0, 0, micro, UTC) for micro in (0, 1, 2)]
KINDS: dict[str, list[CursorValue]] = {
    "instant": list(INSTANTS),
    "naive": [moment.replace(tzinfo=None) for moment in INSTANTS],
    "date": [date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1)],
    "integer": [-5, 0, 2**62],
}


def rows(source: TableSource, selection: Selection, window: Window | None = None) -> list[dict[str, Any]]:
    with source.snapshot(selection) as snapshot:
        count = snapshot.count(window)
        found = [row for batch in snapshot.read(window) for row in batch.to_pylist()]
        assert count == len(found)
        return found


def ids(source: TableSource, selection: Selection, window: Window | None = None) -> set[int]:
    return {row["id"] for row in rows(source, selection, window)}


def expected(columns: dict[str, Column]) -> list[dict[str, Any]]:
    count = max(len(column.values) for column in columns.values())
    cells = {name: [value for _, value in column.values] for name, column in columns.items()}
    return [
        {"id": i} | {name: values[i] if i < len(values) else None for name, values in cells.items()}
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def every_type(system: System) -> System:
    system.create("every_type", system.columns)
    system.create("odd_times", system.odd_columns)
    return system


def repeated(columns: dict[str, Column]) -> dict[str, Column]:
    """Return the columns again and again, under other names, so many that a source may read them otherwise."""
    return {
        f"{name}_{n}": column
        for n in range(MOST_VALUES // len(columns) + 1)
        for name, column in columns.items()
    }


@pytest.fixture(scope="module")
def moves(system: System) -> System:
    """Rows 0 to 5 hold each cursor value twice, row 6 holds NULL in every cursor."""
    system.execute(
        f"CREATE TABLE moves (id int PRIMARY KEY, at_instant {system.instant}, at_naive {system.naive},"
        f" at_date date, at_integer bigint, at_text {system.wide_text})"
    )
    for id_ in range(6):
        cells = [KINDS[kind][id_ // 2] for kind in ("instant", "naive", "date", "integer")]
        values = ", ".join(f"'{str(cell).removesuffix('+00:00')}'" for cell in cells)
        suffix = values if system.name == "mysql" else values.replace("',", "+00',", 1)
        system.execute(f"INSERT INTO moves VALUES ({id_}, {suffix}, 'x')")
    system.execute("INSERT INTO moves (id) VALUES (6)")
    return system


def test_every_table_source_is_in_the_suite() -> None:
    tables = {source.type for source in SOURCES if issubclass(source, TableSource)}
    assert tables == {system.source_class.type for system in SYSTEMS}


class TestTypes:
    def test_declared_schema_is_the_catalogue(self, every_type: System) -> None:
        with every_type.source().snapshot(Selection(table="every_type")) as snapshot:
            declared = {field.name: field.type for field in snapshot.schema}
        assert declared.pop("id") in (pa.int32(), pa.int64())
        assert declared == {name: column.declared for name, column in every_type.columns.items()}

    def test_values_are_exact(self, every_type: System) -> None:
        found = sorted(rows(every_type.source(), Selection(table="every_type")), key=lambda row: row["id"])
        assert found == expected(every_type.columns)

    def test_text_is_what_the_server_prints(self, every_type: System) -> None:
        """Text that marks its zone or draws its shape is the source's own; all other is the server's."""
        ours = sorted(rows(every_type.source(), Selection(table="every_type")), key=lambda row: row["id"])
        for mine, theirs in zip(ours, every_type.printed("every_type"), strict=True):
            own = {"moment", "place", "bits"} if every_type.name == "mysql" else set()
            spelt = {
                name: value for name, value in mine.items() if isinstance(value, str) and name not in own
            }
            assert spelt == {name: theirs[name] for name in spelt}

    def test_odd_times_arrive_as_text(self, every_type: System) -> None:
        with every_type.source().snapshot(Selection(table="odd_times")) as snapshot:
            declared = {field.name: field.type for field in snapshot.schema if field.name != "id"}
        assert declared == {name: column.declared for name, column in every_type.odd_columns.items()}
        found = sorted(rows(every_type.source(), Selection(table="odd_times")), key=lambda row: row["id"])
        assert found == expected(every_type.odd_columns)

    def test_values_of_very_many_columns_are_exact(self, system: System) -> None:
        columns = repeated(system.columns)
        system.create("very_many", columns)
        found = sorted(rows(system.source(), Selection(table="very_many")), key=lambda row: row["id"])
        assert found == expected(columns)

    def test_odd_times_in_very_many_columns_arrive_as_text(self, system: System) -> None:
        columns = repeated(system.columns | system.odd_columns)
        system.create("very_many_odd", columns)
        found = sorted(rows(system.source(), Selection(table="very_many_odd")), key=lambda row: row["id"])
        assert found == expected(columns)

    def test_batches_share_one_physical_schema_in_declared_order(self, every_type: System) -> None:
        with every_type.source().snapshot(Selection(table="every_type")) as snapshot:
            schemas = {tuple(batch.schema.names) for batch in snapshot.read(None)}
            assert schemas == {tuple(snapshot.schema.names)}

    def test_query_reads_as_the_table_does(self, every_type: System) -> None:
        query = Selection(query="SELECT * FROM every_type -- all of it")
        with every_type.source().snapshot(query) as snapshot:
            declared = {field.name: field.type for field in snapshot.schema if field.name != "id"}
        table = {name: column.declared for name, column in every_type.columns.items()}
        assert declared == table | every_type.query_declares
        found = sorted(rows(every_type.source(), query), key=lambda row: row["id"])
        assert found == expected(every_type.columns)

    def test_query_may_end_in_a_semicolon(self, every_type: System) -> None:
        assert ids(every_type.source(), Selection(query="SELECT id FROM every_type WHERE id = 0 ;\n")) == {0}


class TestSelection:
    def test_include_reads_these_columns_only(self, every_type: System) -> None:
        found = rows(every_type.source(), Selection(table="every_type", include=("big", "id")))
        assert {tuple(sorted(row)) for row in found} == {("big", "id")}

    @pytest.mark.parametrize("name", ["big", "select"])
    def test_exclude_leaves_the_column_and_its_values_out(self, every_type: System, name: str) -> None:
        found = rows(every_type.source(), Selection(table="every_type", exclude=(name,)))
        assert set(found[0]) == {"id", *every_type.columns} - {name}
        assert all(row[column] == want for row, wanted in zip(
            sorted(found, key=lambda r: r["id"]), expected(every_type.columns), strict=True
        ) for column, want in wanted.items() if column != name)  # fmt: skip

    def test_excluded_column_is_never_asked_for(self, system: System) -> None:
        system.execute(
            "CREATE TABLE guarded (id int PRIMARY KEY, secret int)", "INSERT INTO guarded VALUES (1, 2)"
        )
        system.user("contract_partial", "SELECT (id) ON guarded")
        source = system.source(login="contract_partial", password="limited")
        assert rows(source, Selection(table="guarded", include=("id",))) == [{"id": 1}]

    def test_odd_table_name(self, system: System) -> None:
        name = 'a "b" `c`.d'
        system.execute(f"CREATE TABLE {system.quoted(name)} (id int PRIMARY KEY)")
        assert rows(system.source(), Selection(table=system.quoted(name))) == []

    def test_table_name_is_no_sql(self, moves: System) -> None:
        with pytest.raises(EtlFactoryError):
            rows(moves.source(), Selection(table="moves; DROP TABLE moves"))
        assert len(ids(moves.source(), Selection(table="moves"))) == 7

    def test_empty_table_gives_no_batch_with_rows(self, system: System) -> None:
        system.execute("CREATE TABLE nothing (id int PRIMARY KEY, note varchar(5))")
        assert rows(system.source(), Selection(table="nothing")) == []

    def test_view_reads_as_a_table(self, moves: System) -> None:
        moves.execute("CREATE VIEW moves_view AS SELECT id, at_date FROM moves")
        assert len(ids(moves.source(), Selection(table="moves_view", cursor="at_date"))) == 7


@pytest.mark.parametrize("kind", KINDS)
class TestWindow:
    def select(self, kind: str) -> Selection:
        return Selection(table="moves", cursor=f"at_{kind}")

    def test_kind_is_read_from_the_catalogue(self, moves: System, kind: str) -> None:
        for selection in (self.select(kind), Selection(query="SELECT * FROM moves", cursor=f"at_{kind}")):
            with moves.source().snapshot(selection) as snapshot:
                assert snapshot.cursor_kind() == kind

    def test_is_half_open_and_takes_nulls(self, moves: System, kind: str) -> None:
        first, second, third = KINDS[kind]
        source, selection = moves.source(), self.select(kind)
        assert ids(source, selection, Window(kind, first, second)) == {0, 1, 6}
        assert ids(source, selection, Window(kind, second, third)) == {2, 3, 6}
        assert ids(source, selection, Window(kind, None, third)) == {0, 1, 2, 3, 6}
        assert ids(source, selection, None) == set(range(7))

    def test_neighbours_cover_every_row_once(self, moves: System, kind: str) -> None:
        first, second, third = KINDS[kind]
        source, selection = moves.source(), self.select(kind)
        parts = [
            ids(source, selection, w) - {6}
            for w in (Window(kind, None, first), Window(kind, first, second), Window(kind, second, third))
        ]
        assert set.union(*parts) == {0, 1, 2, 3}
        assert sum(map(len, parts)) == 4

    def test_empty_window_reads_the_null_bucket(self, moves: System, kind: str) -> None:
        first = KINDS[kind][0]
        assert ids(moves.source(), self.select(kind), Window(kind, first, first)) == {6}

    def test_query_takes_the_same_window(self, moves: System, kind: str) -> None:
        first, second, _ = KINDS[kind]
        selection = Selection(query="SELECT * FROM moves", cursor=f"at_{kind}")
        assert ids(moves.source(), selection, Window(kind, first, second)) == {0, 1, 6}


@pytest.mark.parametrize("is_indexed", [False, True], ids=["plain", "indexed"])
@pytest.mark.parametrize("kind", ["instant", "naive", "date"])
class TestBoundlessCursors:
    """Infinities and zero dates: no window holds them, so that every one takes them, as it does NULL."""

    @pytest.fixture
    def table(self, system: System, kind: str, is_indexed: bool) -> str:
        name = f"boundless_{kind}_{is_indexed}".lower()
        column = {"instant": system.instant, "naive": system.naive, "date": "date"}[kind]
        values = [*system.boundless[kind], "NULL", *(self.at(system, moment) for moment in KINDS[kind])]
        rows_ = ", ".join(f"({i}, {value})" for i, value in enumerate(values))
        system.execute(f"DROP TABLE IF EXISTS {name}", f"CREATE TABLE {name} (id int, seen {column})")
        system.execute(f"INSERT INTO {name} VALUES {rows_}")
        if is_indexed:
            system.execute(f"CREATE INDEX seen_{name} ON {name} (seen)")
        return name

    @staticmethod
    def at(system: System, moment: CursorValue) -> str:
        return f"'{str(moment).removesuffix('+00:00') if system.name == 'mysql' else moment}'"

    def test_every_window_takes_them(self, system: System, table: str, kind: Any) -> None:
        first, second, third = KINDS[kind]
        always = {*range(len(system.boundless[kind]) + 1)}
        row = len(always)
        for selection in (
            Selection(table=table, cursor="seen"),
            Selection(query=f"SELECT * FROM {table}", cursor="seen"),
        ):
            source = system.source()
            assert ids(source, selection, Window(kind, None, second)) == always | {row}
            assert ids(source, selection, Window(kind, first, second)) == always | {row}
            assert ids(source, selection, Window(kind, second, third)) == always | {row + 1}
            assert ids(source, selection, Window(kind, third, third)) == always
            assert ids(source, selection) == always | {row, row + 1, row + 2}

    def test_they_are_read_as_text(self, system: System, table: str, kind: Any) -> None:
        window = Window(kind, *KINDS[kind][:2])
        found = {
            row["id"]: row["seen"]
            for row in rows(system.source(), Selection(table=table, cursor="seen"), window)
        }
        odd = [found[i] for i in range(len(system.boundless[kind]))]
        assert all(
            isinstance(value, str) and value.startswith(("0000-0", "infinity", "-infinity")) for value in odd
        )


class TestCursor:
    def test_greatest_of_an_integer(self, moves: System) -> None:
        with moves.source().snapshot(Selection(table="moves", cursor="at_integer")) as snapshot:
            assert snapshot.greatest() == 2**62

    def test_greatest_of_nothing(self, moves: System) -> None:
        query = Selection(query="SELECT * FROM moves WHERE id = 6", cursor="at_integer")
        with moves.source().snapshot(query) as snapshot:
            assert snapshot.greatest() is None

    def test_text_cannot_be_a_cursor(self, moves: System) -> None:
        with (
            moves.source().snapshot(Selection(table="moves", cursor="at_text")) as snapshot,
            pytest.raises(
                ConfigError, match=r"'at_text' of moves is of type .*text: a cursor is a timestamp"
            ),
        ):
            snapshot.cursor_kind()

    def test_cursor_may_be_excluded_from_the_columns(self, moves: System) -> None:
        selection = Selection(table="moves", include=("id",), cursor="at_date")
        assert ids(moves.source(), selection, Window("date", date(2024, 2, 29), date(2024, 3, 1))) == {
            2,
            3,
            6,
        }


class TestSnapshot:
    def test_now_is_the_servers_clock_in_utc(self, system: System, moves: System) -> None:
        with system.source().snapshot(Selection(table="moves")) as snapshot:
            assert snapshot.now.tzinfo is UTC
            assert abs(snapshot.now - datetime.now(UTC)) < timedelta(seconds=5)

    def test_commit_after_the_count_is_not_read(self, system: System) -> None:
        system.execute(
            "CREATE TABLE live (id int PRIMARY KEY, n int)", "INSERT INTO live VALUES (1, 1), (2, 2)"
        )
        with system.source().snapshot(Selection(table="live")) as snapshot:
            assert snapshot.count(None) == 2
            system.execute(
                "UPDATE live SET n = 9 WHERE id = 1",
                "DELETE FROM live WHERE id = 2",
                "INSERT INTO live VALUES (3, 3)",
            )
            found = [row for batch in snapshot.read(None) for row in batch.to_pylist()]
            assert found == [{"id": 1, "n": 1}, {"id": 2, "n": 2}]
            assert snapshot.count(None) == 2
        assert ids(system.source(), Selection(table="live")) == {1, 3}

    def test_settled_is_the_clock_while_nobody_writes(self, system: System, moves: System) -> None:
        with system.source().snapshot(Selection(table="moves")) as snapshot:
            assert snapshot.now - timedelta(seconds=5) < snapshot.settled <= snapshot.now

    def test_source_cannot_write(self, moves: System) -> None:
        query = (
            "SELECT nextval('counter') AS id" if moves.name == "postgres" else "SELECT NEXTVAL(counter) AS id"
        )
        moves.execute("CREATE SEQUENCE counter")
        with pytest.raises(TerminalError, match=r"(?i)read.only"):
            rows(moves.source(), Selection(query=query))

    def test_abandoned_read_leaves_no_session(self, moves: System) -> None:
        with moves.source().snapshot(Selection(table="moves")) as snapshot:
            next(iter(snapshot.read(None)))
        assert len(ids(moves.source(), Selection(table="moves"))) == 7


def test_mysql_reads_one_snapshot_whatever_isolation_the_server_prefers(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not isinstance(system, MySQL):
        pytest.skip("PostgreSQL's snapshot is one transaction, whose level is set in it")
    import MySQLdb

    system.execute("CREATE TABLE isolated (id int PRIMARY KEY)", "INSERT INTO isolated VALUES (1)")
    prefers = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"
    with monkeypatch.context() as patch:
        patch.setattr(MySQLdb, "connect", partial(MySQLdb.connect, init_command=prefers))
        with system.source().snapshot(Selection(table="isolated")) as snapshot:
            system.execute("INSERT INTO isolated VALUES (2)")
            assert snapshot.count(None) == 1
            snapshot.connection.query("SHOW SESSION VARIABLES LIKE 't%isolation'")
            levels = snapshot.connection.store_result().fetch_row(maxrows=0)
    assert {level for _, level in levels} == {b"REPEATABLE-READ"}


class TestOpenTransactions:
    """PostgreSQL tells when each transaction that runs began."""

    @pytest.fixture
    def slow(self, system: System) -> System:
        if isinstance(system, MySQL):
            pytest.skip("MySQL shows open transactions only with PROCESS, in its host's own clock")
        system.execute("DROP TABLE IF EXISTS slow", "CREATE TABLE slow (id int, seen timestamptz)")
        return system

    def settled(self, source: TableSource) -> datetime:
        with source.snapshot(Selection(table="slow", cursor="seen")) as snapshot:
            return snapshot.settled

    def test_a_row_that_commits_late_lies_in_the_next_window(self, slow: System) -> None:
        with slow.session() as writer:
            writer.execute("BEGIN")
            writer.execute("INSERT INTO slow VALUES (1, now())")
            first = self.settled(slow.source())
            writer.execute("COMMIT")
        second = self.settled(slow.source())

        selection = Selection(table="slow", cursor="seen")
        assert first < second
        assert ids(slow.source(), selection, Window("instant", None, first)) == set()
        assert ids(slow.source(), selection, Window("instant", first, second)) == {1}

    def test_a_transaction_that_only_reads_holds_nothing_back(self, slow: System) -> None:
        with slow.session() as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT now() FROM slow")
            reader.execute("SELECT now()")
            began = reader.fetchone()[0]
            assert self.settled(slow.source()) > began

    def test_a_transaction_of_another_database_holds_nothing_back(self, slow: System) -> None:
        with slow.session(slow.admin) as writer:
            writer.execute("BEGIN")
            writer.execute("SELECT now(), pg_current_xact_id()")
            began = writer.fetchone()[0]
            assert self.settled(slow.source()) > began

    @pytest.mark.parametrize(("grants", "is_seen"), [((), False), (("pg_read_all_stats",), True)])
    def test_a_login_needs_a_role_to_see_when_others_began(
        self, slow: System, grants: tuple[str, ...], is_seen: bool
    ) -> None:
        login = f"contract_watcher_{is_seen}".lower()
        slow.user(login, "SELECT ON slow", *grants)
        source = slow.source(login=login, password="limited")
        with slow.session() as writer:
            writer.execute("BEGIN")
            writer.execute("SELECT now(), pg_current_xact_id()")
            began = writer.fetchone()[0]
            assert (self.settled(source) == began) is is_seen

    def test_what_commits_between_the_two_is_in_the_snapshot(self, slow: System) -> None:
        """A transaction that was not seen running must not be missed by the snapshot either."""
        selection = Selection(table="slow", cursor="seen")
        with slow.source()._cursor() as cursor:  # the seam below the snapshot
            commits = _CommitsBefore(cursor, lambda: slow.execute("INSERT INTO slow VALUES (1, now())"))
            snapshot = PostgresSnapshot(commits, selection, "acme__contract")
            window = Window("instant", None, snapshot.settled)
            seen = snapshot.count(window)
        assert seen == len(rows(slow.source(), selection, window)) > 0


class _CommitsBefore:
    """A cursor that commits a row from elsewhere just before each of its statements."""

    def __init__(self, cursor: Any, commit: Any) -> None:
        self._cursor, self._commit = cursor, commit

    def execute(self, *arguments: Any) -> None:
        self._commit()
        self._cursor.execute(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


class _Interrupted:
    """A connection that commits a row from elsewhere just before each of its statements."""

    def __init__(self, connection: Any, commit: Any) -> None:
        self._connection, self._commit = connection, commit

    def query(self, statement: str) -> None:
        self._commit()
        self._connection.query(statement)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def test_a_table_of_very_many_columns_that_is_replaced_is_not_read_as_what_it_was(system: System) -> None:
    for table, type_ in (("swapped", "integer"), ("swapped_new", "bigint")):
        system.create(
            table, {f"c{n}": Column(type_, pa.int32(), (("7", 7),)) for n in range(MOST_VALUES + 1)}
        )
    replace = [
        f"ALTER TABLE {old} RENAME TO {new}" for old, new in (("swapped", "gone"), ("swapped_new", "swapped"))
    ]
    with system.source().snapshot(Selection(table="swapped")) as snapshot:
        if system.name == "mysql":  # whoever would replace it waits
            with pytest.raises(Exception, match="Lock wait timeout exceeded"):
                system.execute("SET lock_wait_timeout = 1", *replace)
            assert {type(value) for batch in snapshot.read(None) for value in batch["c0"].to_pylist()} == {
                int
            }
        else:  # what comes is compared with the list of columns
            system.execute(*replace)
            with pytest.raises(
                TransientError, match="column c0 of swapped has another type than when it was listed"
            ):
                list(snapshot.read(None))


def test_postgres_reads_in_one_process_and_without_machine_code(stack: dict[str, str]) -> None:
    system, told = Postgres(), "SELECT current_setting('{0}') AS {0}"
    source = system.source(database=system.admin.database)
    with source.snapshot(Selection(query="SELECT 1 AS id")) as snapshot:
        assert isinstance(snapshot, PostgresSnapshot)
        assert queried(snapshot.cursor, told.format("jit")) == [{"jit": "off"}]
        assert queried(snapshot.cursor, told.format("parallel_tuple_cost")) == [{"parallel_tuple_cost": "1"}]


def test_mysql_takes_its_clock_before_its_snapshot(system: System) -> None:
    """What is committed between the two lies after `now`, so that the next window still takes it."""
    if not isinstance(system, MySQL):
        pytest.skip("PostgreSQL's transaction_timestamp() precedes its snapshot by definition")
    system.execute("CREATE TABLE ticking (id int AUTO_INCREMENT PRIMARY KEY, at timestamp(6) NULL)")
    with system.source()._connection() as connection:  # the seam below the snapshot

        def commit() -> None:
            system.execute("INSERT INTO ticking (at) VALUES (UTC_TIMESTAMP(6))")

        selection = Selection(table="ticking", cursor="at")
        snapshot = MySQLSnapshot(_Interrupted(connection, commit), selection, DATABASE, "acme__contract")
        seen = snapshot.count(Window("instant", None, snapshot.now))
    assert seen == len(ids(system.source(), selection, Window("instant", None, snapshot.now)))
    assert seen > 0


BIG_ROWS, BIG_GROWTH_MB = 500_000, 200
_READ_BIG = """
import resource, sys
from table_systems import SYSTEMS
from etl_factory.sources.base import Selection
system = {system.name: system for system in SYSTEMS}[sys.argv[1]]()
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
def read(query):
    with system.source().snapshot(Selection(query=query)) as snapshot:
        count, sizes = snapshot.count(None), [(b.num_rows, b.nbytes) for b in snapshot.read(None)]
    assert sum(rows for rows, _ in sizes) == count, (count, sizes)
    return count, sum(size for _, size in sizes) / 2**20
read("SELECT 1 AS n"); before = peak()
print(*read(sys.argv[2]), peak() - before)
"""


def read_apart(system: System, query: str) -> tuple[int, float, float]:
    """Read a query in a process of its own: rows, megabytes read, megabytes by which its peak grew."""
    here = Path(__file__).parent
    path = [str(here), str(here.parents[1] / "plugins")]
    script = f"import sys; sys.path[:0] = {path!r}\n{_READ_BIG}"
    command = [sys.executable, "-c", script, system.name, query]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    count, size, growth = done.stdout.split()
    return int(count), float(size), float(growth)


def digits(n: int) -> str:
    """Return a FROM list of 10**n rows."""
    return ", ".join(few(10, f"d{i}") for i in range(n))


def few(count: int, alias: str = "few") -> str:
    """Return a derived table of some rows, 0 to `count` - 1 in its column n."""
    return f"(SELECT 0 AS n {' '.join(f'UNION ALL SELECT {i}' for i in range(1, count))}) AS {alias}"


class TestMemory:
    """The server makes the rows up, so that the test costs no disk."""

    def test_many_rows(self, system: System) -> None:
        query = f"SELECT d0.n, repeat('x', 1000) AS words FROM {digits(5)}, {few(5)}"
        count, size, growth = read_apart(system, query)
        assert count == BIG_ROWS
        assert size > 400
        assert growth < BIG_GROWTH_MB

    def test_long_values_after_short_ones(self, system: System) -> None:
        short = f"SELECT d0.n, 'x' AS words FROM {digits(4)}"
        long = f"SELECT d0.n, repeat('x', 2000000) FROM {digits(2)}, {few(3)}"
        count, size, growth = read_apart(system, f"{short} UNION ALL {long}")
        assert count == 10_300
        assert size > 500
        assert growth < BIG_GROWTH_MB


class TestErrors:
    def test_missing_table_names_the_nearest(self, moves: System) -> None:
        with pytest.raises(
            NotFoundError,
            match=r"acme__contract: table 'movs' does not exist.*did you mean '(public\.)?moves'",
        ):
            rows(moves.source(), Selection(table="movs"))

    @pytest.mark.parametrize("part", ["include", "exclude", "primary_key", "cursor"])
    def test_missing_column_names_table_and_nearest(self, moves: System, part: str) -> None:
        value = "at_dat" if part == "cursor" else ("at_dat",)
        with pytest.raises(NotFoundError, match="moves has no column 'at_dat'; did you mean 'at_date'"):
            rows(moves.source(), Selection(table="moves", **{part: value}))

    def test_query_over_a_missing_table(self, moves: System) -> None:
        with pytest.raises(NotFoundError, match=r"acme__contract .*nowhere.*(does not|doesn't) exist"):
            rows(moves.source(), Selection(query="SELECT * FROM nowhere"))

    @pytest.mark.parametrize(
        "query", ["SELEC 1", "SELECT id, id FROM moves", "SELECT 1) AS q; DROP TABLE moves --"]
    )
    def test_wrong_query_is_terminal(self, moves: System, query: str) -> None:
        with pytest.raises(TerminalError):
            rows(moves.source(), Selection(query=query))
        assert len(ids(moves.source(), Selection(table="moves"))) == 7

    def test_value_error_while_reading_is_terminal(self, moves: System) -> None:
        query = (
            "SELECT 1 / (id - 3) AS x FROM moves"
            if moves.name == "postgres"
            else "SELECT exp(id * 1000) AS x FROM moves WHERE id > 0"
        )
        with pytest.raises(TerminalError, match=r"(?i)zero|out of range"):
            rows(moves.source(), Selection(query=query))

    def test_wrong_password(self, system: System) -> None:
        with pytest.raises(AccessDeniedError, match="login as 'contract_absent' was refused") as caught:
            system.source(login="contract_absent", password="sesame-canary").check()
        assert "sesame-canary" not in str(caught.value)

    def test_missing_database(self, system: System) -> None:
        with pytest.raises(NotFoundError, match="no_such_db"):
            system.source(database="no_such_db").check()

    @pytest.mark.parametrize("change", [{"port": 1}, {"host": "no-such-host.invalid"}])
    def test_unreachable_server_is_transient(self, system: System, change: dict[str, Any]) -> None:
        source = system.source(**change)
        address = f"{source.connection.host}:{source.connection.port}"
        with pytest.raises(TransientError, match=f"{address} does not answer.*Check host, port, firewall"):
            source.check()

    def test_missing_grant_is_named(self, moves: System) -> None:
        connect = f"SELECT ON {DATABASE}.nothing_else" if moves.name == "mysql" else "USAGE ON SCHEMA public"
        if moves.name == "mysql":
            moves.execute("CREATE TABLE nothing_else (id int)")
        moves.user("contract_stranger", connect)
        source = moves.source(login="contract_stranger", password="limited")
        with pytest.raises(AccessDeniedError, match="GRANT SELECT on it to 'contract_stranger'"):
            rows(source, Selection(query="SELECT * FROM moves"))
        refused = AccessDeniedError if moves.name == "postgres" else NotFoundError
        with pytest.raises(refused, match=r"GRANT SELECT|may not see it"):
            rows(source, Selection(table="moves"))


class TestKeys:
    """The columns that tell rows apart, of every row, just as a read gives them."""

    KEYS: ClassVar[dict[str, tuple[str, ...]]] = {
        "postgres": ("key", "words", "money_like", "any_number", "moment", "day", "bytes", "id"),
        "mysql": ("words", "money_like", "moment", "local", "day", "bytes", "id"),
    }

    def keys(self, system: System, selection: Selection) -> list[dict[str, Any]]:
        with system.source().snapshot(selection) as snapshot:
            return [row for batch in snapshot.read_keys(selection.primary_key) for row in batch.to_pylist()]

    def test_each_is_what_the_row_holds(self, every_type: System) -> None:
        known = {"id", *every_type.columns}
        names = tuple(name for name in self.KEYS[every_type.name] if name in known)
        assert len(names) > 3
        for relation in ({"table": "every_type"}, {"query": "SELECT * FROM every_type"}):
            found = self.keys(every_type, Selection(**relation, primary_key=names))
            wanted = [{name: row[name] for name in names} for row in expected(every_type.columns)]
            assert sorted(found, key=lambda row: row["id"]) == wanted

    def test_one_of_any_type_is_what_the_row_holds(self, every_type: System) -> None:
        with every_type.source().snapshot(Selection(table="every_type")) as snapshot:
            rows_ = [row for batch in snapshot.read(None) for row in batch.to_pylist()]
            for name in every_type.columns:
                found = [row for batch in snapshot.read_keys((name,)) for row in batch.to_pylist()]
                assert found == [{name: row[name]} for row in rows_], name

    def test_they_are_read_whatever_the_window(self, moves: System) -> None:
        first = KINDS["instant"][0]
        selection = Selection(table="moves", cursor="at_instant", primary_key=("id",))
        with moves.source().snapshot(selection) as snapshot:
            window = Window("instant", first, first)
            assert [row for batch in snapshot.read(window) for row in batch.to_pylist()]
            moves.execute("CREATE TABLE IF NOT EXISTS later (id int)", "INSERT INTO moves (id) VALUES (99)")
            found = [row["id"] for batch in snapshot.read_keys(("id",)) for row in batch.to_pylist()]
            assert (sorted(found), snapshot.count(None)) == (list(range(7)), 7)
        moves.execute("DELETE FROM moves WHERE id = 99")

    def test_no_other_column_is_asked_for(self, system: System) -> None:
        system.execute("CREATE TABLE keyed (a int, b int, note int)", "INSERT INTO keyed VALUES (1, 2, 3)")
        system.user("contract_keys", "SELECT (a, b) ON keyed")
        source = system.source(login="contract_keys", password="limited")
        query = Selection(query="SELECT a, b FROM keyed", primary_key=("b", "a"))
        table = Selection(table="keyed", include=("a", "b"), primary_key=("b", "a"))
        for selection in (query, table):
            with source.snapshot(selection) as snapshot:
                found = [row for batch in snapshot.read_keys(("b", "a")) for row in batch.to_pylist()]
                assert (found, snapshot.count(None)) == ([{"a": 1, "b": 2}], 1)

    def test_an_empty_table_has_none(self, system: System) -> None:
        system.execute("CREATE TABLE no_rows (id int PRIMARY KEY)")
        assert self.keys(system, Selection(table="no_rows", primary_key=("id",))) == []


class TestDiscovery:
    def test_check_names_the_server(self, system: System) -> None:
        assert (
            system.source().check().startswith({"postgres": "PostgreSQL 1", "mysql": "MySQL "}[system.name])
        )

    def test_discover_lists_tables_views_and_keys(self, system: System) -> None:
        system.execute(
            "CREATE TABLE composed (b int NOT NULL, a int NOT NULL, note varchar(9), PRIMARY KEY (a, b))"
        )
        system.execute("CREATE VIEW composed_view AS SELECT a FROM composed")
        found = {item.name: item for item in system.source().discover()}
        table = found[f"{system.schema}composed"]
        assert [name for name, _ in table.columns] == ["b", "a", "note"]
        assert table.columns[2][1] in ("varchar(9)", "character varying(9)")
        assert table.primary_key == ("a", "b")
        assert [name for name, _ in found[f"{system.schema}composed_view"].columns] == ["a"]

    @pytest.mark.parametrize("system", [Postgres], ids=["postgres"], indirect=True)
    def test_a_column_that_a_key_only_includes_is_none_of_it(self, system: System) -> None:
        system.execute("CREATE TABLE covered (a int, id int, x text, PRIMARY KEY (id) INCLUDE (x))")
        found = {item.name: item for item in system.source().discover()}
        assert found["public.covered"].primary_key == ("id",)

    def test_what_is_discovered_can_be_read(self, system: System, moves: System) -> None:
        for item in system.source().discover():
            with system.source().snapshot(Selection(table=item.name)) as snapshot:
                assert snapshot.schema.names == [name for name, _ in item.columns]


@pytest.mark.parametrize(
    ("table", "parts"),
    [
        ("orders", ["orders"]),
        ("shop.orders", ["shop", "orders"]),
        ("`a.b`", ["a.b"]),
        ("shop.`a``b`", ["shop", "a`b"]),
    ],
)
def test_mysql_table_names(table: str, parts: list[str]) -> None:
    assert name_parts(table) == parts
