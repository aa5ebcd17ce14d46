"""``argosy logout``: no session any more."""

from __future__ import annotations

from pathlib import Path

import click

from argosy.cli.download import ask
from argosy.cli.options import log_options, no_plugin, plugin_file, redactor, tell


@click.command()
@click.argument("config")
@click.option("--local", is_flag=True, help="Forget the session here, and ask nothing of the service.")
@log_options
@plugin_file
@no_plugin
def logout(config: str, local: bool, plugin_files: tuple[Path, ...], excluded: tuple[str, ...]) -> None:
    """End the session of CONFIG at the service, where it offers that, and forget it here.

    Where the service cannot be asked, the session is kept; --local forgets it all the same.
    """
    from argosy.api import log_out, opened
    from argosy.config.load import load
    from argosy.plugins.manager import PluginManager

    registry = PluginManager(excluded, plugin_files)
    settings = load(config, registry)
    with opened(settings, registry, tell, redactor(), ask()) as environment:
        found = False
        for name, ended in log_out(environment, local=local):
            found = True
            there = "ended at the service, and forgotten here" if ended else "forgotten here"
            click.echo(f"The session {name!r} is {there} ({environment.store.name}).")
            if not ended and not local:
                click.echo(
                    "It was not ended at the service: no way to do that is configured, or it was in doubt.",
                    err=True,
                )
        if not found:
            click.echo("There is no session.")
