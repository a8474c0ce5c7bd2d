"""Our extract of a table: its own function, from the plan to the manifest, on the product's own source."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from benchmarks.subjects import places


def to_nowhere(options: dict[str, Any]) -> Iterator[Any]:
    """Extract into finished Parquet bytes that nobody keeps."""
    return _extract(options, places.NullLanding)


def to_gcs(options: dict[str, Any]) -> Iterator[Any]:
    """Extract into the stack's bucket."""
    from etl_factory.landing.objects import Landing

    return _extract(options, lambda: Landing(places.storage_client()))


def _extract(options: dict[str, Any], landing: Any) -> Iterator[Any]:
    system = options["system"]
    import_module(f"etl_factory.transfers.{system}_to_gcs")  # the interpreter with the providers loaded
    from etl_factory.sources import source_class
    from etl_factory.transfers.base import extract_table

    resource = places.resource(system, places.TABLE_STEP.format(table=options["table"]))
    source = source_class(system)(places.connection(system))
    here = landing()
    places.stand_in(here)
    _load_drivers(system)
    yield
    left = extract_table(places.context(), resource, source)  # type: ignore[arg-type]  # one with tables
    yield {"rows": left["rows"], "bytes": left["bytes"]}
    if hasattr(here, "client"):
        prefix = resource.target.landing_prefix("").rstrip("=/")
        for uri in list(here.list(prefix.rpartition("/")[0])):
            here.delete(uri)


def _load_drivers(system: str) -> None:
    for name in {"postgres": ("adbc_driver_postgresql.dbapi",), "mysql": ("MySQLdb",)}[system]:
        import_module(name)
    import_module("pyarrow.parquet")
    import_module("etl_factory.transfers.masking")
