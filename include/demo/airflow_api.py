"""The demo's and the tests' Airflow: the command line's own client, which also unpauses what it starts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from etl_factory.cli import airflow_api
from etl_factory.cli.airflow_login import password_login
from etl_factory.errors import RefusedError, TransientError

ASK_SECONDS = 15


class Airflow(airflow_api.Airflow):
    """One logged-in user of one Airflow, whose address and login a stack's environment holds."""

    def __init__(self, env: Mapping[str, str]) -> None:
        url = env["AIRFLOW_URL"]
        super().__init__(url, password_login(url, env["AIRFLOW_USERNAME"], env["AIRFLOW_PASSWORD"]))

    def start(self, dag_id: str, **conf: Any) -> str:
        """Unpause and trigger a DAG, with the run's own parameters; return the run's id."""
        self.call("PATCH", f"/dags/{dag_id}", {"is_paused": False})
        return self.trigger(dag_id, conf)

    def parse_until(self, is_done: Callable[[], bool], seconds: float) -> bool:
        """Have the DAG processor read the config files now, rather than at its next turn; say whether that was in time.

        It is asked again every few seconds: it forgets what it is asked while it reads that very file.
        """
        begin = asked = time.monotonic()
        while True:
            now = time.monotonic()
            with suppress(TransientError):  # an Airflow that is slow to answer
                if is_done():
                    return True
                if now >= asked:
                    asked = now + ASK_SECONDS
                    self._parse()
            if now > begin + seconds:
                return False
            time.sleep(0.5)

    def _parse(self) -> None:
        for dag in self.call("GET", "/dags?limit=1")["dags"]:
            try:
                self.call("PUT", f"/parseDagFile/{dag['file_token']}")
            except RefusedError as error:
                if error.code != 409:  # it is asked for already
                    raise
