"""The one task of a DAG that stands for a broken config file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import BaseOperator


class ConfigErrorOperator(BaseOperator):
    """Fail, without retries, with a config file's exact errors.

    :param message: the errors, one per line.
    """

    template_fields = ()
    ui_color = "#fce8e6"

    def __init__(self, *, message: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.message = message

    def execute(self, context: Mapping[str, Any]) -> NoReturn:
        """Raise the errors."""
        raise AirflowFailException(self.message)
