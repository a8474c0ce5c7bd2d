"""The tables that are read: the same columns on PostgreSQL and MariaDB, made by the server from row numbers alone."""

from __future__ import annotations

from dataclasses import dataclass

TENTH = 10
# name, PostgreSQL type, PostgreSQL expression, MariaDB type, MariaDB expression; `i` is the row's number
_MIXED = (
    ("id", "bigint", "i", "bigint", "i"),
    ("customer_id", "integer", "(i % 50000)::int", "int", "i % 50000"),
    ("amount", "numeric(14,2)", "(i % 1000000) * 0.37", "decimal(14,2)", "(i % 1000000) * 0.37"),
    ("rate", "numeric(20,10)", "1.0 / (i % 977 + 3)", "decimal(20,10)", "1.0 / (i % 977 + 3)"),
    ("weight", "double precision", "i / 7.0", "double", "i / 7e0"),
    ("discount", "double precision", "CASE WHEN i % 9 > 0 THEN i % 100 / 3.0 END", "double",
     "IF(i % 9 > 0, i % 100 / 3e0, NULL)"),
    ("is_gift", "boolean", "i % 17 = 0", "tinyint(1)", "i % 17 = 0"),
    ("status", "text", "(array['new','paid','sent','returned'])[i % 4 + 1]", "varchar(16)",
     "ELT(i % 4 + 1, 'new', 'paid', 'sent', 'returned')"),
    ("note", "text", "CASE WHEN i % 3 > 0 THEN 'zażółć ' || md5(i::text) END", "text",
     "IF(i % 3 > 0, CONCAT('zażółć ', MD5(i)), NULL)"),
    ("email", "varchar(120)", "'client' || i % 50000 || '@shop.example'", "varchar(120)",
     "CONCAT('client', i % 50000, '@shop.example')"),
    ("token", "uuid", "md5(i::text)::uuid", "char(36)", "INSERT(MD5(i), 9, 0, '-')"),
    ("payload", "jsonb", "jsonb_build_object('items', i % 7, 'sum', i * 0.1, 'tag', 'a' || i % 13)", "json",
     "JSON_OBJECT('items', i % 7, 'sum', i * 0.1, 'tag', CONCAT('a', i % 13))"),
    ("ordered_on", "date", "date '2020-01-01' + (i % 2000)::int", "date",
     "DATE'2020-01-01' + INTERVAL i % 2000 DAY"),
    ("local_at", "timestamp", "timestamp '2025-01-01' + (i % 86400) * interval '1.000123 seconds'", "datetime(6)",
     "TIMESTAMP'2025-01-01 00:00:00' + INTERVAL i % 86400 * 1000123 MICROSECOND"),
    ("placed_at", "timestamptz", "timestamptz '2025-01-01 00:00+00' + i * interval '1 second'", "datetime",
     "TIMESTAMP'2025-01-01 00:00:00' + INTERVAL i SECOND"),
    ("updated_at", "timestamptz", "timestamptz '2025-01-01 00:00+00' + i / 3 * interval '3 seconds'",
     "datetime(6)", "TIMESTAMP'2025-01-01 00:00:00' + INTERVAL (i DIV 3) * 3 SECOND"),
)  # fmt: skip
_NARROW = (
    ("id", "integer", "i", "int", "i"),
    ("parent", "integer", "i / 3", "int", "i DIV 3"),
    ("value", "integer", "i % 1000", "int", "i % 1000"),
)
_KINDS = (
    ("integer", "(i + {n}) % 100000", "int", "(i + {n}) % 100000"),
    ("numeric(12,2)", "(i + {n}) % 10000 * 0.25", "decimal(12,2)", "(i + {n}) % 10000 * 0.25"),
    ("text", "'v' || (i + {n}) % 5000", "varchar(16)", "CONCAT('v', (i + {n}) % 5000)"),
    ("double precision", "(i + {n}) / 3.0", "double", "(i + {n}) / 3e0"),
    ("timestamptz", "timestamptz '2025-01-01 00:00+00' + (i + {n}) * interval '1 second'", "datetime",
     "TIMESTAMP'2025-01-01 00:00:00' + INTERVAL i + {n} SECOND"),
)  # fmt: skip
_WIDE = tuple((f"c{n:03d}", *(part.format(n=n) for part in _KINDS[n % len(_KINDS)])) for n in range(200))
SHAPES = {"mixed": _MIXED, "wide": _WIDE, "narrow": _NARROW}


@dataclass(frozen=True)
class Table:
    """One table: a shape, and how many rows."""

    name: str
    shape: str
    rows: int

    def postgres(self) -> list[str]:
        """Return the statements that make it in PostgreSQL."""
        columns = ", ".join(f"{column} {type_}" for column, type_, *_ in SHAPES[self.shape])
        values = ", ".join(f"({expression})::{type_}" for _, type_, expression, *_ in SHAPES[self.shape])
        return [
            f"DROP TABLE IF EXISTS {self.name}",
            f"CREATE TABLE {self.name} ({columns})",
            f"INSERT INTO {self.name} SELECT {values} FROM generate_series(1, {self.rows}) AS i",
            f"ANALYZE {self.name}",
        ]

    def mysql(self) -> list[str]:
        """Return the statements that make it in MariaDB, whose sequence engine counts the rows."""
        columns = ", ".join(f"{column} {type_}" for column, _, _, type_, _ in SHAPES[self.shape])
        values = ", ".join(expression for *_, expression in SHAPES[self.shape])
        return [
            f"DROP TABLE IF EXISTS {self.name}",
            f"CREATE TABLE {self.name} ({columns}) CHARACTER SET utf8mb4",
            f"INSERT INTO {self.name} SELECT {values} FROM (SELECT seq AS i FROM seq_1_to_{self.rows}) AS s",
            f"ANALYZE TABLE {self.name}",
        ]


def tables(rows: int) -> tuple[Table, ...]:
    """Return all tables for a scale: `rows` of the mixed and the narrow one, a twentieth of the wide one.

    Each has a sister of a tenth of its rows, for the peers that would take minutes, and to see memory grow.
    """
    sizes = {"mixed": rows, "wide": max(rows // 20, TENTH), "narrow": rows}
    whole = tuple(Table(f"bench_{shape}", shape, size) for shape, size in sizes.items())
    return (*whole, *(Table(f"{t.name}_tenth", t.shape, max(t.rows // TENTH, 1)) for t in whole))
