"""Parses the DAG file as Airflow's DAG processor does, without a network, and prints what it makes."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path


def refuse(*_: object) -> None:
    """Stand for every way to reach a network."""
    raise RuntimeError("parsing must not reach for the network")


def parse(file: Path) -> dict[str, object]:
    """Return the serialized DAGs by id, the import errors, and the warnings of one DAG file."""
    import structlog
    from airflow.dag_processing.processor import DagFileParseRequest, _parse_file

    request = DagFileParseRequest(file=str(file), bundle_path=file.parent, bundle_name="test")
    result = _parse_file(request, structlog.get_logger())
    assert result is not None
    return {
        "dags": {dag.dag_id: dag.data for dag in result.serialized_dags},
        "errors": result.import_errors,
        "warnings": [str(warning) for warning in result.warnings or ()],
    }


if __name__ == "__main__":
    socket.socket.connect = refuse  # type: ignore[method-assign,assignment]  # on purpose
    socket.getaddrinfo = refuse  # type: ignore[assignment]  # on purpose
    print("RESULT" + json.dumps(parse(Path(sys.argv[1])), sort_keys=False))
