"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from argosy.toolkit.redaction import RedactingStreams

if TYPE_CHECKING:
    from argosy.toolkit.redaction import Redactor

F = TypeVar("F", bound=Callable[..., Any])

no_plugin = click.option(
    "--no-plugin",
    "excluded",
    multiple=True,
    metavar="NAME",
    help="Ignore the plugin or distribution of this name; may be repeated.",
)

plugin_file = click.option(
    "--plugin",
    "plugin_files",
    multiple=True,
    metavar="FILE.py",
    type=click.Path(path_type=Path),
    help="Also use the plugins in a Python file, which runs with all your rights; may be repeated.",
)


def _log(context: click.Context, parameter: click.Parameter, value: int | Path | None) -> None:
    """Start to log as soon as the options are parsed."""
    if not value:
        return
    from argosy.engine import logs

    given: dict[str, Any] = context.meta.setdefault("argosy.logs", {})
    given[str(parameter.name)] = value.absolute() if isinstance(value, Path) else value
    logs.start(logs.LogSettings(**given), redactor())


_verbose = click.option(
    "-v",
    "--verbose",
    "verbosity",
    count=True,
    expose_value=False,
    callback=_log,
    help="Log to standard error; -vv logs more.",
)
_log_file = click.option(
    "--log-file",
    "file",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    expose_value=False,
    callback=_log,
    help="Append the log to a file.",
)


def log_options(command: F) -> F:
    """Add ``-v`` and ``--log-file`` to a command."""
    return _verbose(_log_file(command))


def redactor() -> Redactor:
    """Return the redactor of the command that runs."""
    context = click.get_current_context(silent=True)
    streams = context.find_object(RedactingStreams) if context is not None else None
    return (streams or RedactingStreams()).redactor


def tell(message: str) -> None:
    """Tell the person something, without its secrets."""
    click.echo(redactor().scrub(message), err=True)
