"""The `etl-factory` command: one module per command, each importing what is heavy only when it runs."""

from __future__ import annotations

import sys

import typer

from etl_factory.cli.backfill import backfill
from etl_factory.cli.check import check
from etl_factory.cli.discover import discover
from etl_factory.cli.replay import replay
from etl_factory.cli.run import run
from etl_factory.cli.schema import schema
from etl_factory.cli.secret import secret
from etl_factory.cli.validate import validate
from etl_factory.errors import ConfigError, EtlFactoryError

__all__ = ["app", "main"]

app = typer.Typer(
    help="Tenants' sources as YAML, every row loaded, quarantined or reported. Exits 0 (fine), 1 (findings) or"
    " 2 (usage).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(validate)
app.command()(schema)
app.command()(check)
app.command()(discover)
app.command()(run)
app.command()(backfill)
app.command()(replay)
app.add_typer(secret, name="secret")


def main() -> None:
    """Run the command line; an error that names its own remedy ends it in one line, without a traceback."""
    try:
        app()
    except ConfigError as error:
        typer.echo(str(error), err=True)
        sys.exit(2)
    except EtlFactoryError as error:
        typer.echo(str(error), err=True)
        sys.exit(1)
