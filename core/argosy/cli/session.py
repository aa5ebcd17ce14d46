"""``argosy session``: move a session to another cookie store, or make a key for one."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import click

from argosy.cli.download import ask
from argosy.cli.options import log_options, no_plugin, plugin_file, redactor, tell


@click.group()
def session() -> None:
    """Move sessions to another cookie store, and make keys."""


@session.command("copy")
@click.option("--from", "source", required=True, metavar="STORE", help="Where the sessions are.")
@click.option("--to", "target", required=True, metavar="STORE", help="Where they are to be.")
@click.option(
    "--session", "names", multiple=True, metavar="NAME", help="One session of several; may be repeated."
)
@click.option(
    "--keep", is_flag=True, help="Leave it in the old store as well: for tokens that are never replaced."
)
@click.option("--force", is_flag=True, help="Replace a session of the same name in the new store.")
@log_options
@plugin_file
@no_plugin
def copy(
    source: str,
    target: str,
    names: tuple[str, ...],
    keep: bool,
    force: bool,
    plugin_files: tuple[Path, ...],
    excluded: tuple[str, ...],
) -> None:
    """Move sessions from one cookie store to another, to encrypt them, say, or to change their key.

    A STORE is a configuration file (its cookie_store is meant), the name of a store, NAME:PATH, or a JSON object like
    '{"use": "sqlite", "path": "cookies.sqlite"}'.

    The old store has a session no more once the new one has it on stable storage: where tokens are replaced, two
    copies end each other. Whoever interrupts it starts it again, and it goes on.
    """
    from argosy.config.stores import store_options
    from argosy.interfaces.base import PluginContext
    from argosy.interfaces.cookie_store import CookieStore
    from argosy.leasing.copy import move_sessions, place_of
    from argosy.plugins.manager import PluginManager

    registry = PluginManager(excluded, plugin_files)
    with ExitStack() as opened:

        def open_store(given: str) -> CookieStore:
            options, base = store_options(given, registry)
            store = registry.make(
                CookieStore, options, PluginContext(base, base, ask(), redactor().add, tell)
            )
            opened.callback(store.close)
            return store

        stores = open_store(source), open_store(target)
        moved = move_sessions(*stores, names, keep=keep, force=force)
    places = [place_of(store) for store in stores]
    for name in moved:
        click.echo(
            f"The session {name!r} was {'copied' if keep else 'moved'} from {places[0]} to {places[1]}."
        )
    if keep:
        tell(
            "Both stores have it now. If the service replaces tokens, whoever uses one of them ends the other: "
            "then remove one."
        )


@session.command("key")
def key() -> None:
    """Print a new random key for the option "encrypt" of a cookie store; keep it where only you can read it."""
    from argosy.toolkit.secrets import new_key

    click.echo(new_key())
