"""``argosy plugin``: start a plugin of one's own."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from argosy.cli.options import no_plugin

#: The kinds by the names that the command takes.
KINDS = ("source", "auth", "cookie-store", "strategy", "output", "observer")


@click.group()
def plugin() -> None:
    """Start a plugin of your own; `argosy plugins` lists those that are installed."""


@plugin.command("new")
@click.argument("kind", type=click.Choice(KINDS), metavar="KIND")
@click.argument("name")
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    metavar="DIR",
    help="The folder in which the package's own folder is made; here where it is not given.",
)
@no_plugin
def new(kind: str, name: str, directory: Path, excluded: tuple[str, ...]) -> None:
    """Make a package with a plugin that works, its tests, and all that it needs to be installed and published.

    KIND is source, auth, cookie-store, strategy, output or observer. NAME is what configurations will call it:
    lower-case letters, digits and hyphens. Nothing that exists is written over.
    """
    from argosy.plugins.kinds import Kind
    from argosy.plugins.manager import PluginManager
    from argosy_devkit.scaffold import new_plugin

    folder = new_plugin(Kind(kind.replace("-", "_")), name, directory, PluginManager(excluded))
    click.echo(f"{folder}: written. Next, in the environment that argosy is in:")
    click.echo(f"  cd {shlex.quote(str(folder))}")
    click.echo("  pip install -e '.[test]'")
    click.echo("  pytest")
    click.echo("  argosy plugins")
