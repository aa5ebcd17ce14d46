"""``argosy logout``: end a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from argosy.cli.options import ask, log_options, notify, plugin_options, redactor

if TYPE_CHECKING:
    from argosy.plugins.manager import PluginManager


@click.command()
@click.argument("config")
@click.option("--local", is_flag=True, help="Delete the session without contacting the service.")
@log_options
@plugin_options
def logout(config: str, local: bool, plugins: PluginManager) -> None:
    """End the session of CONFIG at the service, if it offers that, and delete it from the cookie store.

    If the service cannot be reached, the session is kept; --local deletes it anyway.
    """
    from argosy.api import log_out, open_context
    from argosy.config.load import load

    settings = load(config, plugins)
    with open_context(settings, plugins, notify, redactor(), ask=ask()) as context:
        found = False
        for name, ended in log_out(context, local=local):
            found = True
            click.echo(
                f"The session {name!r} was {'ended and deleted' if ended else 'deleted'} ({context.store.name})."
            )
            if not ended and not local:
                click.echo("The service did not end it: no logout is configured, or it was in doubt.", err=True)
        if not found:
            click.echo("There is no session.")
