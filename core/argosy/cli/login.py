"""``argosy login``: a new session, now."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click

from argosy.cli.download import ask
from argosy.cli.options import log_options, no_plugin, plugin_file, redactor, tell
from argosy.errors import Interrupted


@click.command()
@click.argument("config")
@click.option(
    "--forget", is_flag=True, help="Forget what was learned about the service, too (for lease auto)."
)
@log_options
@plugin_file
@no_plugin
def login(config: str, forget: bool, plugin_files: tuple[Path, ...], excluded: tuple[str, ...]) -> None:
    """Log in as CONFIG says (or import its cookies again), and keep the session in its cookie store.

    Where it asks for several sessions, each of them is logged in.
    """
    from argosy.api import log_in, opened
    from argosy.config.load import load
    from argosy.plugins.manager import PluginManager

    registry = PluginManager(excluded, plugin_files)
    settings = load(config, registry)
    with opened(settings, registry, tell, redactor(), ask(), _ask_now(), attended=True) as environment:
        problems = []
        for name, problem in log_in(environment, forget=forget):
            if problem is None:
                click.echo(f"The session {name!r} is logged in and kept ({environment.store.name}).")
            else:
                problems.append(problem)
                if environment.pool.asked > 1:
                    click.echo(f"The session {name!r} is not logged in: {problem}", err=True)
        if problems and (settings.strict or len(problems) == environment.pool.asked):
            raise problems[0]


def _ask_now() -> Callable[[str], str] | None:
    """Return what asks for a code in the middle of a login; None where nobody is there."""
    if not sys.stdin.isatty():
        return None

    def ask_now(text: str) -> str:
        try:
            answer: str = click.prompt(text, err=True)  # good for this login alone, so it may be seen
        except click.Abort:
            raise Interrupted("The login was given up; the session is as it was.") from None
        return answer

    return ask_now
