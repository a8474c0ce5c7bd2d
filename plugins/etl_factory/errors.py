"""Every error the package raises, arranged by what the reader of the message should do.

EtlFactoryError
├── ConfigError        fix the YAML: it carries file, line and path
├── SchemaError        change the contract, a rename or a type in the YAML
├── NothingToLoad      nothing: the run had no work, and says why; its task is skipped, not failed
├── TransientError     wait: Airflow retries it
└── TerminalError      a retry will not help: the message says what does
    ├── AccessDeniedError    grant the permission that it names
    ├── NotFoundError        create what it names, or correct its name
    ├── AccountingError      rows do not add up: nothing was published
    ├── QuarantineError      more bad rows than `max_bad_rows` allows
    ├── StaleError           clear the run from `extract`
    └── RefusedError         ask Airflow's API for something else: the message holds its answer
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class EtlFactoryError(Exception):
    """Root of the tree; never raised itself."""


class ConfigError(EtlFactoryError):
    """A config file says something that cannot be: fix the YAML at `file:line`."""

    def __init__(self, message: str, *, file: str = "", line: int = 0, path: str = "") -> None:
        self.message, self.file, self.line, self.path = message, file, line, path
        super().__init__(str(self))

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: " if self.file else ""
        return f"{where}{self.path + ': ' if self.path else ''}{self.message}"


class SchemaError(EtlFactoryError):
    """The data's schema breaks the contract or the naming rules: both names are in the message."""


class NothingToLoad(EtlFactoryError):
    """There is nothing to load: nothing was published and the ledger is as it was."""


class TransientError(EtlFactoryError):
    """A retry will help."""


class TerminalError(EtlFactoryError):
    """A retry will not help."""


class AccessDeniedError(TerminalError):
    """A permission is missing."""


class NotFoundError(TerminalError):
    """A table, column, bucket, object, secret or connection does not exist."""


class AccountingError(TerminalError):
    """Rows read, staged, published and quarantined do not add up."""


class QuarantineError(TerminalError):
    """More rows are bad than `max_bad_rows` allows."""


class StaleError(TerminalError):
    """What an earlier task left is gone or was made from another configuration."""


class RefusedError(TerminalError):
    """Airflow's API refused a call; `code` is its HTTP status, the message holds the call and the answer."""

    def __init__(self, message: str, code: int = 0) -> None:
        self.code = code
        super().__init__(message)


@contextmanager
def about(uri: str) -> Iterator[None]:
    """Put an object's address before the message of an error about its content."""
    try:
        yield
    except (SchemaError, TerminalError) as error:
        if type(error) not in (SchemaError, TerminalError):
            raise
        raise type(error)(f"{uri}: {error}") from error
