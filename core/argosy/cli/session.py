"""``argosy session``: move sessions to another cookie store, and make keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from argosy.cli.options import log_options, notify, plugin_context, plugin_options
from argosy.errors import ConfigError

if TYPE_CHECKING:
    from argosy.plugins.manager import PluginManager


@click.group()
def session() -> None:
    """Move sessions to another cookie store, and make encryption keys."""


@session.command("copy")
@click.option("--from", "source", required=True, metavar="STORE", help="The store that has the sessions.")
@click.option("--to", "target", required=True, metavar="STORE", help="The store to move them to.")
@click.option("--session", "names", multiple=True, metavar="NAME", help="Move only this session. Repeatable.")
@click.option("--keep", is_flag=True, help="Also keep it in the old store; only for tokens that never change.")
@click.option("--force", is_flag=True, help="Replace a session of the same name in the new store.")
@log_options
@plugin_options
def copy(source: str, target: str, names: tuple[str, ...], keep: bool, force: bool, plugins: PluginManager) -> None:
    """Move sessions from one cookie store to another, for example to encrypt them or to change their key.

    A STORE is a configuration file (for its cookie_store), the name of a store, NAME:PATH, or a JSON object like
    '{"use": "sqlite", "path": "cookies.sqlite"}'.

    The old store loses a session once it is on stable storage in the new one, as two copies of a changing token would
    invalidate each other. After an interruption, run the command again.
    """
    from argosy.cli.move import move

    context = plugin_context(Path.cwd(), Path.cwd())
    for name in move(_store(source), _store(target), names, plugins, context, keep=keep, force=force):
        click.echo(f"{'Copied' if keep else 'Moved'} the session {name!r} from {source} to {target}.")
    if keep:
        notify("Both stores have it now. If the service replaces tokens, using one invalidates the other: remove one.")


def _store(text: str) -> str | Mapping[str, Any]:
    """Return what `move` takes: a mapping for a JSON object, any other text as it is."""
    if not text.lstrip().startswith("{"):
        return text
    try:
        return dict(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"The options of a cookie store are not valid JSON: {error}.") from None


@session.command("key")
def key() -> None:
    """Print a new random key for the option "encrypt" of a cookie store; store it where only you can read it."""
    from argosy.toolkit.secrets import new_key

    click.echo(new_key())
