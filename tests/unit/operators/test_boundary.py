"""The class of an error says what Airflow does: fail at once, retry, or skip."""

from __future__ import annotations

import logging

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from etl_factory.errors import (
    AccessDeniedError,
    AccountingError,
    ConfigError,
    EtlFactoryError,
    NotFoundError,
    NothingToLoad,
    QuarantineError,
    RefusedError,
    SchemaError,
    StaleError,
    TerminalError,
    TransientError,
)
from etl_factory.operators.boundary import airflow_errors


class Operator:
    def __init__(self, error: Exception | None) -> None:
        self.error = error

    @airflow_errors
    def execute(self, context: dict[str, str]) -> str:
        """Do what a test says."""
        if self.error:
            raise self.error
        return context["left"]


TERMINAL = (
    TerminalError, AccessDeniedError, NotFoundError, AccountingError, QuarantineError, StaleError, SchemaError,
    ConfigError, RefusedError,
)  # fmt: skip


@pytest.mark.parametrize("kind", TERMINAL)
def test_what_a_retry_cannot_help_fails_at_once(kind: type[EtlFactoryError]) -> None:
    with pytest.raises(AirflowFailException, match=rf"^{kind.__name__}: grant it$") as failed:
        Operator(kind("grant it")).execute({})
    assert isinstance(failed.value.__cause__, kind)


def test_what_a_retry_helps_is_retried() -> None:
    with pytest.raises(AirflowException, match=r"^TransientError: no answer$") as failed:
        Operator(TransientError("no answer")).execute({})
    assert not isinstance(failed.value, AirflowFailException | AirflowSkipException)


def test_no_work_is_skipped_and_says_why(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.INFO, "etl_factory"),
        pytest.raises(AirflowSkipException, match=r"^no new object$"),
    ):
        Operator(NothingToLoad("no new object")).execute({})
    assert caplog.messages == ["no new object"]


def test_every_class_of_error_is_mapped() -> None:
    """A class added to the tree is decided on here, and never left to Airflow's default, a retry."""

    def leaves(kind: type[Exception]) -> set[type[Exception]]:
        return {kind}.union(*map(leaves, kind.__subclasses__()))

    assert leaves(EtlFactoryError) == {*TERMINAL, TransientError, NothingToLoad, EtlFactoryError}


def test_a_bug_stays_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        Operator(ZeroDivisionError()).execute({})


def test_what_execute_returns_is_returned_under_its_own_name() -> None:
    assert Operator(None).execute({"left": "gs://b/manifest.json"}) == "gs://b/manifest.json"
    assert (Operator.execute.__name__, Operator.execute.__doc__) == ("execute", "Do what a test says.")
