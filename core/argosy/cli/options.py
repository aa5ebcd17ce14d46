"""Options that several commands share."""

from __future__ import annotations

import click

no_plugin = click.option(
    "--no-plugin",
    "excluded",
    multiple=True,
    metavar="NAME",
    help="Go on without a plugin, entry point or distribution of this name; may be repeated.",
)
