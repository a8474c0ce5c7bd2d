"""Hands the package's plugin to Airflow, which reads only the modules that lie directly in this folder."""

from etl_factory.plugin import EtlFactoryPlugin

__all__ = ["EtlFactoryPlugin"]
