"""The commands ``argosy gateway`` and ``argosy run``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


def _options(command: Any) -> Any:
    """Add the options of both commands."""
    for option in (
        click.option(
            "--plugin",
            "plugins",
            multiple=True,
            metavar="FILE.py",
            type=click.Path(path_type=Path),
            help="Also use the plugins in this Python file, which runs with your permissions. Repeatable.",
        ),
        click.option(
            "-v", "--verbose", "verbosity", count=True, help="Log each request to standard error; -vv logs more."
        ),
        click.option(
            "--origin",
            "origins",
            multiple=True,
            metavar="URL",
            help="The service: scheme and host. Repeat it for several; then paths at the gateway begin with the host."
            "  [default: that of the login page or the items]",
        ),
        click.option(
            "--socket",
            "path",
            metavar="PATH",
            type=click.Path(dir_okay=False, path_type=Path),
            help="Listen on a Unix socket that only you can use, instead.",
        ),
        click.option(
            "--listen",
            "address",
            default="127.0.0.1:0",
            show_default=True,
            metavar="HOST:PORT",
            help="Listen on this address of this machine; port 0 is any free one.",
        ),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("config")
@_options
def gateway(config: str, **options: Any) -> int:
    """Let any program use the session of CONFIG: curl, aria2, a browser, ...

    The first line of standard output is the URL of the gateway. A request to a path below it goes to the service, with the
    session's newest token, and the program gets the response without the token. Only your own programs can use the
    gateway. It logs in if necessary, and runs until Ctrl-C or SIGTERM; then it finishes the transfers. A second signal
    ends it immediately.
    """
    from argosy_gateway.serving import serve

    return serve(config, **options)


@click.command(context_settings={"allow_interspersed_args": False})
@click.argument("config")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--env", "names", multiple=True, metavar="NAME", help="Also set this variable to the URL. Repeatable.")
@_options
def run(config: str, command: tuple[str, ...], names: tuple[str, ...], **options: Any) -> int:
    """Run COMMAND with a gateway to the service of CONFIG; return its exit code.

    The environment variable ARGOSY_GATEWAY is the URL of the gateway, which ends with the command. Options come before
    CONFIG. For example: argosy run argosy.toml -- sh -c 'curl -sSf "$ARGOSY_GATEWAY/books/1.pdf" -o 1.pdf'
    """
    from argosy_gateway.serving import serve

    words = command[1:] if command[0] == "--" else command
    if not words:
        raise click.UsageError("Missing argument 'COMMAND...'.")
    return serve(config, words, names, **options)
