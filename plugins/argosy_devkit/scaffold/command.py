"""``argosy plugin``: create a plugin package."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

#: The kinds with a template, as the command names them.
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
    help="Create the package's folder in this one; the current directory by default.",
)
@click.option(
    "--no-plugin", "excluded", multiple=True, metavar="NAME", help="Ignore a plugin; may be repeated."
)
def new(kind: str, name: str, directory: Path, excluded: tuple[str, ...]) -> None:
    """Create a package with a working plugin, its tests, and everything needed to publish it.

    KIND is source, auth, cookie-store, strategy, output or observer. NAME is its name in configurations:
    lower-case letters, digits and hyphens. Existing files are never overwritten.
    """
    from argosy.plugins import Kind, PluginManager
    from argosy_devkit.scaffold.package import new_plugin

    folder = new_plugin(Kind(kind.replace("-", "_")), name, directory, PluginManager(excluded))
    click.echo(f"{folder}: written. Next, in the environment that argosy is in:")
    click.echo(f"  cd {shlex.quote(str(folder))}")
    click.echo("  pip install -e '.[test]'")
    click.echo("  pytest")
    click.echo("  argosy plugins")
