"""``argosy plugin``: create a plugin package."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from argosy_devkit.scaffold.package import KINDS, new_plugin


@click.group()
def plugin() -> None:
    """Create a plugin of your own; `argosy plugins` lists the installed ones."""


@plugin.command("new")
@click.argument("kind", type=click.Choice(KINDS), metavar="KIND")
@click.argument("name")
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    metavar="DIR",
    help="Create the package's folder here; by default in the current directory.",
)
def new(kind: str, name: str, directory: Path) -> None:
    """Create a package with a working plugin, its tests, and everything needed to publish it.

    KIND is source, auth, cookie-store, strategy, output, observer or transport. NAME is its name in configurations:
    lower-case letters, digits and hyphens. Existing files are never overwritten.
    """
    folder = new_plugin(kind, name, directory)
    click.echo(f"Created {folder}. Next, in the environment of argosy:")
    click.echo(f"  cd {shlex.quote(str(folder))}")
    click.echo("  pip install -e '.[test]'")
    click.echo("  pytest")
    click.echo("  argosy plugins")
