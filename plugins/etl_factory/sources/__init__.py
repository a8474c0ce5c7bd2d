"""The source types: this one tuple is what config, the command line and the tests derive from."""

from __future__ import annotations

from etl_factory.sources.azure_blob import AzureBlobSource
from etl_factory.sources.base import Source
from etl_factory.sources.bigquery import BigQuerySource
from etl_factory.sources.gcs import GCSSource
from etl_factory.sources.mysql import MySQLSource
from etl_factory.sources.postgres import PostgresSource
from etl_factory.sources.s3 import S3Source

SOURCES: tuple[type[Source], ...] = (
    PostgresSource,
    MySQLSource,
    BigQuerySource,
    GCSSource,
    S3Source,
    AzureBlobSource,
)


def source_class(type_: str) -> type[Source]:
    """Return the class of a source type; raises KeyError for one that is not registered."""
    return {source.type: source for source in SOURCES}[type_]
