"""Facts about each database of the contract suite: every type it has, its odd values, and how to seed it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

import pyarrow as pa

from etl_factory.schema.types import raw_json
from etl_factory.sources.base import Connection, TableSource
from etl_factory.sources.mysql import MySQLSource
from etl_factory.sources.postgres import PostgresSource

# One for each test session; a process that a test starts finds the same.
DATABASE = os.environ.setdefault("ETL_CONTRACT_DATABASE", f"etl_contract_tables_{os.getpid()}")


@dataclass(frozen=True)
class Column:
    """A column's SQL type, the Arrow type it is declared as, and (SQL literal, value as read) per row."""

    sql_type: str
    declared: pa.DataType
    values: tuple[tuple[str, Any], ...]


class System:
    """One database server; subclasses say what is particular to it."""

    name: ClassVar[str]
    url_variable: ClassVar[str]
    source_class: ClassVar[type[TableSource]]
    quote: ClassVar[str]
    columns: ClassVar[dict[str, Column]]
    """Columns whose every value is exact in the declared type."""
    odd_columns: ClassVar[dict[str, Column]]
    """Columns that hold what the declared type cannot: they are read as text."""
    query_declares: ClassVar[dict[str, pa.DataType]]
    """Columns that a query, which has no catalogue of its own, declares otherwise than the table does."""
    boundless: ClassVar[dict[str, tuple[str, ...]]]
    """Values of a cursor, by its kind, that are no point in time."""
    wide_text: ClassVar[str]
    instant: ClassVar[str]
    naive: ClassVar[str]
    schema: ClassVar[str]

    def __init__(self) -> None:
        url = urlsplit(os.environ[self.url_variable])
        self.admin = Connection(
            "acme__contract",
            self.name,
            host=url.hostname or "",
            port=url.port,
            login=unquote(url.username or ""),
            database=url.path[1:],
            password=unquote(url.password or ""),
        )
        self.connection = replace(self.admin, database=DATABASE)
        self.users: list[str] = []

    def source(self, **changes: Any) -> TableSource:
        """Return the source under test, its connection changed as asked."""
        return self.source_class(replace(self.connection, **changes))

    @contextmanager
    def session(self, connection: Connection | None = None) -> Iterator[Any]:
        """Open an autocommitting cursor of another client than the source's own."""
        raise NotImplementedError

    def execute(self, *statements: str) -> None:
        """Run statements, each committed."""
        with self.session() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def create(self, table: str, columns: dict[str, Column]) -> None:
        """Create a table with `id` and the columns; row i holds every column's i-th value, NULL beyond."""
        listed = ", ".join(f"{self.quoted(name)} {column.sql_type}" for name, column in columns.items())
        count = max(len(column.values) for column in columns.values())
        rows = ", ".join(f"({i}, {', '.join(self._cells(columns, i))})" for i in range(count))
        self.execute(
            f"CREATE TABLE {table} (id int PRIMARY KEY, {listed})", f"INSERT INTO {table} VALUES {rows}"
        )

    @staticmethod
    def _cells(columns: dict[str, Column], row: int) -> list[str]:
        return [c.values[row][0] if row < len(c.values) else "NULL" for c in columns.values()]

    def printed(self, table: str) -> list[dict[str, str | None]]:
        """Return the rows as the server prints them to its own client."""
        raise NotImplementedError

    def quoted(self, name: str) -> str:
        """Quote an identifier."""
        return self.quote + name.replace(self.quote, self.quote * 2) + self.quote

    def user(self, name: str, *grants: str) -> None:
        """Create a login with these grants and no others."""
        raise NotImplementedError

    def drop_users(self) -> None:
        """Remove every login that `user` created."""
        raise NotImplementedError


class Postgres(System):
    """PostgreSQL."""

    name = "postgres"
    url_variable = "POSTGRES_URL"
    source_class = PostgresSource
    quote = '"'
    wide_text, instant, naive, schema = "text", "timestamptz", "timestamp", "public."
    boundless: ClassVar[dict[str, tuple[str, ...]]] = dict.fromkeys(
        ("instant", "naive", "date"), ("'infinity'", "'-infinity'")
    )
    columns: ClassVar[dict[str, Column]] = {
        "small": Column("smallint", pa.int16(), (("-32768", -32768), ("32767", 32767))),
        "whole": Column("integer", pa.int32(), (("-2147483648", -(2**31)), ("2147483647", 2**31 - 1))),
        "big": Column("bigint", pa.int64(), (("-9223372036854775808", -(2**63)), ("0", 0))),
        "money_like": Column(
            "numeric(12,2)", pa.decimal128(12, 2), (("1234567890.10", "1234567890.10"), ("0", "0.00"))
        ),
        "wide": Column(
            "numeric(65,30)", pa.decimal256(65, 30), ((f"{'9' * 35}.{'1' * 30}", f"{'9' * 35}.{'1' * 30}"),)
        ),
        "rounded": Column("numeric(5,-2)", pa.decimal128(7, 0), (("12345", "12300"),)),
        "tiny": Column("numeric(3,5)", pa.decimal128(5, 5), (("0.00123", "0.00123"),)),
        "beyond": Column("numeric(90,10)", pa.string(), (("1234.5", "1234.5000000000"),)),
        "any_number": Column(
            "numeric",
            pa.decimal256(76, 38),
            (("'NaN'", "NaN"), (f"1{'0' * 50}.000100", f"1{'0' * 50}.000100"), ("'Infinity'", "Infinity")),
        ),
        "single": Column("real", pa.float32(), (("1.5", 1.5), ("'-Infinity'", float("-inf")))),
        "double": Column(
            "double precision", pa.float64(), (("0.1", 0.1), ("5e-324", 5e-324), ("'Infinity'", float("inf")))
        ),
        "flag": Column("boolean", pa.bool_(), (("true", True), ("false", False))),
        "words": Column(
            "text", pa.string(), (("'zażółć 🐘'", "zażółć 🐘"), ("''", ""), ("E'a\\nb\\t\"'", 'a\nb\t"'))
        ),
        "short": Column("varchar(10)", pa.string(), (("'x '", "x "),)),
        "padded": Column("char(4)", pa.string(), (("'ab'", "ab  "),)),
        "one_byte": Column('"char"', pa.string(), (("'z'", "z"),)),
        "bytes": Column("bytea", pa.binary(), (("'\\x00ff'", b"\x00\xff"), ("''", b""))),
        "day": Column(
            "date", pa.date32(), (("'0001-01-01'", date(1, 1, 1)), ("'9999-12-30'", date(9999, 12, 30)))
        ),
        "local": Column(
            "timestamp",
            pa.timestamp("us"),
            (
                ("'2024-03-31 02:30:00.123456'", datetime(2024, 3, 31, 2, 30, 0, 123456)),
                ("'0001-01-01'", datetime(1, 1, 1)),
            ),
        ),
        "moment": Column(
            "timestamptz",
            pa.timestamp("us", "UTC"),
            (("'2024-06-01 12:00:00.000001+02'", datetime(2024, 6, 1, 10, 0, 0, 1, UTC)),),
        ),
        "clock": Column(
            "time", pa.string(), (("'24:00'", "24:00:00"), ("'23:59:59.999999'", "23:59:59.999999"))
        ),
        "zoned_clock": Column("timetz", pa.string(), (("'10:00+02'", "10:00:00+02"),)),
        "span": Column("interval", pa.string(), (("'-1 mon 2 days 03:04:05.6'", "P-1M2DT3H4M5.6S"),)),
        "cash": Column("money", pa.string(), (("12.5", "$12.50"),)),
        "document": Column(
            "json",
            raw_json(),
            (('\'{"b": 1.10,  "a":12345678901234567890}\'', '{"b": 1.10,  "a":12345678901234567890}'),),
        ),
        "binary_document": Column(
            "jsonb", pa.json_(), (('\'{"b":1.10, "a":null}\'', '{"a": null, "b": 1.10}'), ("'null'", "null"))
        ),
        "key": Column(
            "uuid",
            pa.string(),
            (("'123E4567-e89b-12d3-a456-426655440000'", "123e4567-e89b-12d3-a456-426655440000"),),
        ),
        "host": Column("inet", pa.string(), (("'10.0.0.1'", "10.0.0.1"), ("'fe80::1/64'", "fe80::1/64"))),
        "network": Column("cidr", pa.string(), (("'10.0.0.0/8'", "10.0.0.0/8"),)),
        "mac": Column("macaddr", pa.string(), (("'08-00-2b-01-02-03'", "08:00:2b:01:02:03"),)),
        "bits": Column("bit(4)", pa.string(), (("B'0101'", "0101"),)),
        "more_bits": Column("varbit", pa.string(), (("B'1'", "1"),)),
        "period": Column("int4range", pa.string(), (("'[1,5]'", "[1,6)"), ("'empty'", "empty"))),
        "markup": Column("xml", pa.string(), (("'<a>ż</a>'", "<a>ż</a>"),)),
        "mood": Column("mood", pa.string(), (("'so so'", "so so"),)),
        "pair": Column("pair", pa.string(), (("ROW(1,'x y')", '(1,"x y")'), ("ROW(NULL,NULL)", "(,)"))),
        "bounded": Column("positive", pa.int32(), (("3", 3),)),
        "nested_domain": Column("price", pa.decimal128(8, 3), (("1.5", "1.500"),)),
        "lexemes": Column("tsvector", pa.string(), (("'a fat cat'", "'a' 'cat' 'fat'"),)),
        "place": Column("point", pa.string(), (("'(1.5,-2)'", "(1.5,-2)"),)),
        "object_id": Column("oid", pa.string(), (("4294967295", "4294967295"),)),
        "identifier": Column("name", pa.string(), (("'n'", "n"),)),
        "folded": Column("citext", pa.string(), (("'MiXed'", "MiXed"),)),
        "pairs": Column("hstore", pa.string(), (("'a=>1,b=>NULL'", '"a"=>"1", "b"=>NULL'),)),
        "numbers": Column("integer[]", pa.string(), (("'{1,NULL,3}'", "{1,NULL,3}"), ("'{}'", "{}"))),
        "matrix": Column("integer[][]", pa.string(), (("'{{1,2},{3,4}}'", "{{1,2},{3,4}}"),)),
        "labels": Column("text[]", pa.string(), (("ARRAY['a b','\"',NULL]", '{"a b","\\"",NULL}'),)),
        'Weird "Name"': Column("text", pa.string(), (("'w'", "w"),)),
        "select": Column("text", pa.string(), (("'reserved'", "reserved"),)),
    }
    odd_columns: ClassVar[dict[str, Column]] = {
        "day": Column(
            "date",
            pa.date32(),
            (
                ("'infinity'", "infinity"),
                ("'0044-03-15 BC'", "0044-03-15 BC"),
                ("'2024-02-29'", "2024-02-29"),
            ),
        ),
        "local": Column(
            "timestamp",
            pa.timestamp("us"),
            (("'-infinity'", "-infinity"), ("'20240-01-01'", "20240-01-01 00:00:00")),
        ),
        "moment": Column(
            "timestamptz",
            pa.timestamp("us", "UTC"),
            (("'infinity'", "infinity"), ("'2024-06-01 12:00:00.1+02'", "2024-06-01 10:00:00.1+00")),
        ),
    }
    query_declares: ClassVar[dict[str, pa.DataType]] = dict.fromkeys(
        ("money_like", "wide", "rounded", "tiny", "beyond", "nested_domain"), pa.decimal256(76, 38)
    )

    @contextmanager
    def session(self, connection: Connection | None = None) -> Iterator[Any]:
        """Open a psycopg2 cursor."""
        import psycopg2

        to = connection or self.connection
        opened = psycopg2.connect(
            host=to.host, port=to.port, user=to.login, password=to.password, dbname=to.database
        )
        opened.autocommit = True
        with closing(opened), opened.cursor() as cursor:
            yield cursor

    def set_up(self) -> None:
        """Create the database and the types that the columns use."""
        with self.session(self.admin) as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
            cursor.execute(f"CREATE DATABASE {DATABASE} TEMPLATE template0 ENCODING 'UTF8'")
        self.execute(
            "CREATE EXTENSION citext",
            "CREATE EXTENSION hstore",
            "CREATE TYPE mood AS ENUM ('fine', 'so so')",
            "CREATE TYPE pair AS (a int, b text)",
            "CREATE DOMAIN positive AS int CHECK (value > 0)",
            "CREATE DOMAIN amount AS numeric(8,3)",
            "CREATE DOMAIN price AS amount",
        )

    def tear_down(self) -> None:
        """Drop the database and the logins."""
        with self.session(self.admin) as cursor:
            cursor.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")
        self.drop_users()

    def printed(self, table: str) -> list[dict[str, str | None]]:
        """Return what COPY prints, with the settings under which a source reads."""
        import csv
        import io

        text = io.StringIO()
        with self.session() as cursor:
            cursor.execute("SET TimeZone = 'UTC'; SET IntervalStyle = 'iso_8601'")
            cursor.copy_expert(
                f"COPY (SELECT * FROM {table} ORDER BY id) TO STDOUT (FORMAT csv, HEADER, NULL '<null>')",
                text,
            )
        text.seek(0)
        rows = csv.DictReader(text)
        return [{name: None if value == "<null>" else value for name, value in row.items()} for row in rows]

    def user(self, name: str, *grants: str) -> None:
        """Create a role that may log in."""
        self.users.append(name)
        self.execute(
            f"DROP ROLE IF EXISTS {name}",
            f"CREATE ROLE {name} LOGIN PASSWORD 'limited'",
            *(f"GRANT {grant} TO {name}" for grant in grants),
        )

    def drop_users(self) -> None:
        """Drop the roles, whose grants went with the database."""
        with self.session(self.admin) as cursor:
            for role in self.users:
                cursor.execute(f"DROP ROLE IF EXISTS {role}")


class MySQL(System):
    """MySQL or MariaDB."""

    name = "mysql"
    url_variable = "MYSQL_URL"
    source_class = MySQLSource
    quote = "`"
    wide_text, instant, naive, schema = "longtext", "timestamp(6) NULL", "datetime(6)", ""
    boundless: ClassVar[dict[str, tuple[str, ...]]] = {
        "instant": ("0",),
        "naive": ("'0000-00-00'", "'0000-01-00'"),
        "date": ("'0000-00-00'", "'0000-00-01'"),
    }
    columns: ClassVar[dict[str, Column]] = {
        "flag": Column("tinyint(1)", pa.int64(), (("2", 2), ("-5", -5), ("1", 1))),
        "small": Column("smallint unsigned", pa.int64(), (("65535", 65535),)),
        "medium": Column("mediumint", pa.int64(), (("-8388608", -8388608),)),
        "whole": Column("int unsigned", pa.int64(), (("4294967295", 2**32 - 1),)),
        "filled": Column("int(6) unsigned zerofill", pa.int64(), (("42", 42), ("0", 0))),
        "big": Column("bigint", pa.int64(), (("-9223372036854775808", -(2**63)),)),
        "huge": Column(
            "bigint unsigned", pa.decimal128(20, 0), (("18446744073709551615", "18446744073709551615"),)
        ),
        "vintage": Column("year", pa.int64(), (("2155", 2155), ("1901", 1901))),
        "bit_flag": Column("bit(1)", pa.int64(), (("b'1'", 1), ("b'0'", 0))),
        "bits": Column("bit(64)", pa.decimal128(20, 0), (("18446744073709551615", "18446744073709551615"),)),
        "money_like": Column("decimal(12,2)", pa.decimal128(12, 2), (("-1234567890.10", "-1234567890.10"),)),
        "positive": Column("decimal(10,0) unsigned", pa.decimal128(10, 0), (("1234567890", "1234567890"),)),
        "wide": Column(
            "decimal(65,30)", pa.decimal256(65, 30), ((f"{'9' * 35}.{'1' * 30}", f"{'9' * 35}.{'1' * 30}"),)
        ),
        "single": Column("float", pa.float64(), (("16777217", 16777216.0), ("0.1", 0.10000000149011612))),
        "double": Column(
            "double", pa.float64(), (("0.1", 0.1), ("-1.7976931348623157e308", -1.7976931348623157e308))
        ),
        "day": Column("date", pa.date32(), (("'9999-12-31'", "9999-12-31"), ("'1000-01-01'", "1000-01-01"))),
        "local": Column(
            "datetime(6)",
            pa.timestamp("us"),
            (("'2024-03-31 02:30:00.123456'", "2024-03-31 02:30:00.123456"),),
        ),
        "seconds": Column(
            "datetime", pa.timestamp("us"), (("'2024-03-31 02:30:00'", "2024-03-31 02:30:00"),)
        ),
        "moment": Column(
            "timestamp(6) NULL",
            pa.timestamp("us", "UTC"),
            (("'2024-06-01 10:00:00.000001'", "2024-06-01 10:00:00.000001+00:00"),),
        ),
        "span": Column(
            "time(6)", pa.string(), (("'-838:59:59.5'", "-838:59:59.500000"), ("'25:00'", "25:00:00.000000"))
        ),
        "words": Column(
            "text", pa.string(), (("'zażółć 🐬'", "zażółć 🐬"), ("''", ""), ("'a\\nb\\\\'", "a\nb\\"))
        ),
        "short": Column("varchar(20) CHARACTER SET latin1", pa.string(), (("'caf\u00e9 '", "caf\u00e9 "),)),
        "exact_words": Column("varchar(20) COLLATE utf8mb4_bin", pa.string(), (("'Ab'", "Ab"),)),
        "padded": Column("char(4)", pa.string(), (("'ab'", "ab"),)),
        "fixed_bytes": Column("binary(4)", pa.binary(), (("x'00ff'", b"\x00\xff\x00\x00"),)),
        "bytes": Column("varbinary(8)", pa.binary(), (("x'ff00'", b"\xff\x00"), ("''", b""))),
        "long_bytes": Column("longblob", pa.binary(), (("x'00'", b"\x00"),)),
        "mood": Column("enum('fine','so so')", pa.string(), (("'so so'", "so so"),)),
        "labels": Column("set('a','b')", pa.string(), (("'b,a'", "a,b"), ("''", ""))),
        "document": Column("json", raw_json(), (("'{\"a\": 1.10}'", '{"a": 1.10}'),)),
        "place": Column("point", pa.string(), (("ST_GeomFromText('POINT(1.5 -2)')", "POINT(1.5 -2)"),)),
        "we`ird. name": Column("text", pa.string(), (("'w'", "w"),)),
        "select": Column("text", pa.string(), (("'reserved'", "reserved"),)),
    }
    odd_columns: ClassVar[dict[str, Column]] = {
        "day": Column(
            "date",
            pa.date32(),
            (("'0000-00-00'", "0000-00-00"), ("'2024-00-10'", "2024-00-10"), ("'2024-02-29'", "2024-02-29")),
        ),
        "local": Column(
            "datetime",
            pa.timestamp("us"),
            (("'0000-00-00'", "0000-00-00 00:00:00"), ("'2024-02-00'", "2024-02-00 00:00:00")),
        ),
        "moment": Column("timestamp NULL", pa.timestamp("us", "UTC"), (("0", "0000-00-00 00:00:00+00:00"),)),
    }
    # MariaDB keeps JSON as text with a check, which only the table's catalogue knows.
    query_declares: ClassVar[dict[str, pa.DataType]] = {"document": pa.string()}

    @contextmanager
    def session(self, connection: Connection | None = None) -> Iterator[Any]:
        """Open a MySQLdb cursor, in UTC, that accepts zero dates."""
        import MySQLdb

        to = connection or self.connection
        opened = MySQLdb.connect(
            host=to.host, port=to.port, user=to.login, password=to.password, database=to.database,
            charset="utf8mb4", autocommit=True, conv={},
            init_command="SET time_zone = '+00:00', sql_mode = ''",
        )  # fmt: skip
        with closing(opened), closing(opened.cursor()) as cursor:
            yield cursor

    def set_up(self) -> None:
        """Create the database."""
        with self.session(self.admin) as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
            cursor.execute(f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4")

    def tear_down(self) -> None:
        """Drop the database and the logins."""
        self.drop_users()
        with self.session(self.admin) as cursor:
            cursor.execute(f"DROP DATABASE {DATABASE}")

    def printed(self, table: str) -> list[dict[str, str | None]]:
        """Return what the text protocol carries."""
        with self.session() as cursor:
            cursor.execute(f"SELECT * FROM {table} ORDER BY id")
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, map(_text, row), strict=True)) for row in cursor.fetchall()]

    def user(self, name: str, *grants: str) -> None:
        """Create a login for any host."""
        self.users.append(name)
        self.execute(
            f"DROP USER IF EXISTS {name}",
            f"CREATE USER {name} IDENTIFIED BY 'limited'",
            *(f"GRANT {grant} TO {name}" for grant in grants),
        )

    def drop_users(self) -> None:
        """Drop the logins, with their grants."""
        with self.session() as cursor:
            for name in self.users:
                cursor.execute(f"DROP USER IF EXISTS {name}")


def _text(value: Any) -> str | None:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


SYSTEMS: tuple[type[System], ...] = (Postgres, MySQL)
