"""What BigQuery demands of Parquet files, columns and DDL, as data; each rule with the page that says so."""

from __future__ import annotations

import re
from typing import NamedTuple

DOCS = "https://cloud.google.com/bigquery/docs/"


class Leaf(NamedTuple):
    """A Parquet column: its physical type, and a pattern of its logical type's JSON."""

    physical: str
    logical: str


class Rule(NamedTuple):
    """What is demanded, and where that is written."""

    value: object
    page: str


# Parquet. "Other combinations of Parquet types and converted types are not supported."
PARQUET_PAGE = DOCS + "loading-data-cloud-storage-parquet#parquet_conversions"
PARQUET = {
    "BOOL": Leaf("BOOLEAN", r"None"),
    "INT64": Leaf("INT64", r"None|.*Int.*bitWidth.*64.*isSigned.*true.*"),
    "FLOAT64": Leaf("DOUBLE", r"None"),
    "BYTES": Leaf("BYTE_ARRAY", r"None"),
    "STRING": Leaf("BYTE_ARRAY", r".*String.*"),
    "DATE": Leaf("INT32", r".*Date.*"),
    "TIME": Leaf("INT64", r".*Time.*microseconds.*"),
    "DATETIME": Leaf("INT64", r".*Timestamp.*isAdjustedToUTC.*false.*microseconds.*"),
    "TIMESTAMP": Leaf("INT64", r".*Timestamp.*isAdjustedToUTC.*true.*microseconds.*"),
    "NUMERIC": Leaf("FIXED_LEN_BYTE_ARRAY", r".*Decimal.*precision.*38.*scale.*9.*"),
}
COMPRESSIONS = Rule(
    {"SNAPPY", "GZIP", "LZO", "LZ4_RAW", "ZSTD", "UNCOMPRESSED"},
    DOCS + "loading-data-cloud-storage-parquet#compression_types",
)
# An array is a LIST of `element`, loaded as such only where a load asks for it; a RECORD is a group.
LISTS = Rule(("list", "element"), DOCS + "loading-data-cloud-storage-parquet#list_logical_type")
RECORD_LEVELS = Rule(15, DOCS + "nested-repeated#limitations")
JSON_FROM_PARQUET = Rule(False, DOCS + "json-data#limitations")
COLUMNS_PER_TABLE = Rule(10_000, "https://cloud.google.com/bigquery/quotas#standard_tables")

# Names
NAME = Rule(re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,299}"), DOCS + "schemas#column_names")
RESERVED = Rule(
    (
        "_TABLE_", "_FILE_", "_PARTITION", "_ROW_TIMESTAMP", "__ROOT__", "_COLIDENTIFIER",
        "_CHANGE_SEQUENCE_NUMBER", "_CHANGE_TYPE", "_CHANGE_TIMESTAMP",
    ),
    DOCS + "schemas#column_names",
)  # fmt: skip

# Types
TYPES = Rule(
    {
        "STRING", "BYTES", "INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC", "BOOL", "DATE", "DATETIME", "TIME", "TIMESTAMP",
        "GEOGRAPHY", "INTERVAL", "JSON",
    },
    DOCS + "reference/standard-sql/data-types",
)  # fmt: skip
# All of 38 digits, and part of a 39th that does not count: at most 29 whole and 9 fractional, or 38 and 38.
DECIMALS = Rule({"NUMERIC": (29, 9), "BIGNUMERIC": (38, 38)}, TYPES.page + "#decimal_types")
FIRST_DAY, LAST_DAY = Rule(-719162, TYPES.page + "#date_type"), Rule(2932896, TYPES.page + "#date_type")
GROUPABLE = Rule(TYPES.value - {"GEOGRAPHY", "JSON"}, TYPES.page + "#groupable_data_types")

# Tables
PARTITION = Rule(
    {"TIMESTAMP_TRUNC({}, DAY)": "TIMESTAMP", "DATETIME_TRUNC({}, DAY)": "DATETIME", "{}": "DATE"},
    DOCS + "reference/standard-sql/data-definition-language#partition_expression",
)
CLUSTER = Rule(
    {"BIGNUMERIC", "BOOL", "DATE", "DATETIME", "GEOGRAPHY", "INT64", "NUMERIC", "STRING", "TIMESTAMP"},
    DOCS + "creating-clustered-tables#limitations",
)
CLUSTER_COLUMNS = Rule(4, DOCS + "creating-clustered-tables#limitations")
# A column of an existing table is added NULLABLE or REPEATED, and REQUIRED only ever ends.
ADDED = Rule(re.compile(r"(?!.*NOT NULL).*"), DOCS + "managing-table-schemas#add_column")
ALTERED = Rule(
    {("INT64", "NUMERIC"), ("INT64", "BIGNUMERIC"), ("INT64", "FLOAT64"), ("NUMERIC", "BIGNUMERIC"),
     ("NUMERIC", "FLOAT64"), ("BIGNUMERIC", "FLOAT64")},
    DOCS + "reference/standard-sql/data-definition-language#alter_column_set_data_type_statement",
)  # fmt: skip
