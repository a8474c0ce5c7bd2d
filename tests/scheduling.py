"""Which tests run in one process, where several share the servers: those of a file, and all that need Airflow."""

from __future__ import annotations

from xdist.scheduler import LoadFileScheduling


class ByFileAndAirflow(LoadFileScheduling):
    """Files go from process to process as a whole; there is one Airflow, so that its files go together."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "airflow" if "/e2e/" in file or file.endswith("_in_dag_runs.py") else file
