"""``argosy login``: a new session, now."""

from __future__ import annotations

import click

from argosy.cli.download import ask
from argosy.cli.options import no_plugin, redactor
from argosy.errors import ConfigError


@click.command()
@click.argument("config")
@click.option(
    "--forget", is_flag=True, help="Forget what was learned about the service, too (for lease auto)."
)
@no_plugin
def login(config: str, forget: bool, excluded: tuple[str, ...]) -> None:
    """Log in as CONFIG says (or import its cookies again), and keep the session in its cookie store.

    Where it asks for several sessions, each of them is logged in.
    """
    from argosy.config import load
    from argosy.contracts import Scope
    from argosy.registry import Registry
    from argosy.run.environment import Environment
    from argosy.run.stop import Stop

    registry = Registry.load(excluded)
    settings = load(config, registry)
    environment = Environment(settings, registry, lambda *_: None, Stop(), redactor(), ask())
    try:
        if environment.auth.anonymous:
            raise ConfigError(
                f"{config} logs nobody in: its auth is {environment.auth.name!r}.",
                hint='Set "auth", for example to {"use": "form-login", ...}.',
            )
        if environment.store.scope is Scope.PROCESS:
            raise ConfigError(
                f"The cookie store {environment.store.name!r} forgets the session when this command ends.",
                hint='Set "cookie_store" to "json-file".',
            )
        problems = []
        for name, problem in environment.pool.log_in_again(forget=forget):
            if problem is None:
                click.echo(f"The session {name!r} is logged in and kept ({environment.store.name}).")
            else:
                problems.append(problem)
                click.echo(f"The session {name!r} is not logged in: {problem}", err=True)
        for notice in getattr(environment.auth, "notices", ()):
            click.echo(notice, err=True)
        if problems and (settings.strict or len(problems) == environment.pool.asked):
            raise problems[0]
    finally:
        environment.close()
