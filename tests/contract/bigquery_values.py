"""Every type of BigQuery that the local one has, and a value of each as SQL."""

from __future__ import annotations

BIGQUERY = {
    "whole": "INT64", "real": "FLOAT64", "exact": "NUMERIC", "wider": "BIGNUMERIC", "truth": "BOOL", "words": "STRING",
    "bytes": "BYTES", "day": "DATE", "local": "DATETIME", "clock": "TIME", "moment": "TIMESTAMP", "document": "JSON",
    "list": "ARRAY<INT64>", "record": "STRUCT<a INT64, b ARRAY<STRING>, c STRUCT<d DATE>>",
    "records": "ARRAY<STRUCT<sku STRING, price NUMERIC>>",
}  # fmt: skip
BIGQUERY_ROWS = [
    "9223372036854775807", "5e-324", "NUMERIC '-99999999999999999999999999999.999999999'",
    "BIGNUMERIC '12345678901234567890.123456789012345678'", "TRUE", "'zażółć 🐘\\n'", "b'\\x00\\xff'",
    "DATE '0001-01-01'", "DATETIME '9999-12-31 23:59:59.999999'", "TIME '23:59:59.999999'",
    "TIMESTAMP '2024-06-01 12:00:00.000001+02'",
    """JSON '{"a": [1, null, "ż"]}'""", "[1, 2]",
    "STRUCT(1 AS a, ['x', ''] AS b, STRUCT(DATE '2024-02-29' AS d) AS c)",
    "[STRUCT('a' AS sku, NUMERIC '1.50' AS price), STRUCT(NULL AS sku, NULL AS price)]",
]  # fmt: skip
