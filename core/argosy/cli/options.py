"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from argosy.toolkit.redaction import RedactingStreams

if TYPE_CHECKING:
    from argosy.toolkit.redaction import Redactor

no_plugin = click.option(
    "--no-plugin",
    "excluded",
    multiple=True,
    metavar="NAME",
    help="Go on without a plugin, entry point or distribution of this name; may be repeated.",
)

plugin_file = click.option(
    "--plugin",
    "plugin_files",
    multiple=True,
    metavar="FILE.py",
    type=click.Path(path_type=Path),
    help="Use the plugins in a Python file, too, which runs with all your rights; may be repeated.",
)


def redactor() -> Redactor:
    """Return the redactor of the command that runs."""
    context = click.get_current_context(silent=True)
    streams = context.find_object(RedactingStreams) if context is not None else None
    return (streams or RedactingStreams()).redactor


def tell(message: str) -> None:
    """Tell the person something, without its secrets."""
    click.echo(redactor().scrub(message), err=True)
