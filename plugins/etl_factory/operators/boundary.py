"""The one place where our errors become Airflow's: the class of an error says whether a retry will help."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSkipException

from etl_factory.errors import ConfigError, NothingToLoad, SchemaError, TerminalError, TransientError

log = logging.getLogger(__name__)
Operator = TypeVar("Operator")
Execute = Callable[[Operator, Mapping[str, Any]], Any]


def airflow_errors(execute: Execute[Operator]) -> Execute[Operator]:
    """Wrap an operator's `execute`: terminal errors fail its task, transient ones are retried, no work skips it."""

    @wraps(execute)
    def guarded(self: Operator, context: Mapping[str, Any]) -> Any:
        try:
            return execute(self, context)
        except (TerminalError, ConfigError, SchemaError) as error:
            raise AirflowFailException(f"{type(error).__name__}: {error}") from error
        except NothingToLoad as reason:
            log.info("%s", reason)
            raise AirflowSkipException(str(reason)) from reason
        except TransientError as error:
            raise AirflowException(f"{type(error).__name__}: {error}") from error

    return guarded
