"""What commands of `daos_server` say: JSON documents, and errors."""

import json

import click

from daos_control.faults import DaosError, Fault, Status


def print_json(response: object, error: Exception | None = None) -> None:
    """The envelope that all of DAOS's commands print."""
    status = 0
    if error is not None:
        status = error.status if isinstance(error, DaosError) else Status.MISC
    text = None if error is None else describe(error)
    envelope = {"response": response, "error": text, "status": int(status)}
    click.echo(escape_html(json.dumps(envelope, indent=2, ensure_ascii=False)))


def escape_html(text: str) -> str:
    """JSON text with `<`, `>` and `&` written as DAOS's encoder does."""
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def describe(error: Exception) -> str:
    """An error in one line."""
    from daos_control.config.problems import ConfigError

    return error.description if isinstance(error, ConfigError) else str(error)


def print_error(error: Exception) -> None:
    """Write an error, and what to do about it, to the standard error output."""
    click.echo(f"ERROR: daos_server: {describe(error)}", err=True)
    if isinstance(error, Fault) and error.resolution:
        place = f"{error.domain}: code = {error.code}"
        click.echo(f'ERROR: daos_server: {place} resolution = "{error.resolution}"', err=True)
