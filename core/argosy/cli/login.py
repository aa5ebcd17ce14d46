"""``argosy login``: start a new session."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from argosy.cli.options import ask, log_options, notify, plugin_options, redactor
from argosy.errors import Interrupted

if TYPE_CHECKING:
    from argosy.plugins.manager import PluginManager


@click.command()
@click.argument("config")
@click.option("--forget", is_flag=True, help='Also discard what lease "auto" has learned about the service.')
@click.option("--env-proxy", is_flag=True, help="Use the proxies and certificate authorities of the environment.")
@log_options
@plugin_options
def login(config: str, forget: bool, env_proxy: bool, plugins: PluginManager) -> None:
    """Log in (or import cookies again) and store the session in the cookie store of CONFIG.

    If CONFIG asks for several sessions, this logs in all of them. If its source asks the service for the items, this
    reads them and shows how many there are.
    """
    from argosy.api import log_in, open_context
    from argosy.cli.download import unused_environment
    from argosy.config.load import load

    settings = load(config, plugins, {"trust_environment": True} if env_proxy else {})
    if text := unused_environment(settings):
        notify(text)
    asking = {"ask": ask(), "ask_now": _ask_now(), "attended": True}
    with open_context(settings, plugins, notify, redactor(), **asking) as context:
        problems = []
        for name, problem in log_in(context, forget=forget):
            if problem is None:
                click.echo(f"Logged in the session {name!r} ({context.store.name}).")
            else:
                problems.append(problem)
                if context.pool.asked > 1:
                    click.echo(f"The session {name!r} is not logged in: {problem}", err=True)
        if problems and (settings.strict or len(problems) == context.pool.asked):
            raise problems[0]
        if context.source is not None and context.source.asks:
            from argosy.engine.plan import items_of

            items = items_of(context.source, context.pool, context.stop, lambda *_: None)
            count = sum(1 for _ in items)
            click.echo(f"Found {count} item{'s'[: count != 1]}.")


def _ask_now() -> Callable[[str], str] | None:
    """Return a function that asks for a code during a login; None without a terminal."""
    if not sys.stdin.isatty():
        return None

    def ask_now(text: str) -> str:
        try:
            answer: str = click.prompt(text, err=True)  # shown, as it is valid for this login only
        except click.Abort:
            raise Interrupted("The login was cancelled; the session did not change.") from None
        return answer

    return ask_now
