"""``argosy completion``: completes commands and options in a shell."""

from __future__ import annotations

import click


@click.command()
@click.argument("shell", type=click.Choice(["bash", "fish", "zsh"]))
def completion(shell: str) -> None:
    """Print a script with which a shell completes commands and options.

    \b
    bash: argosy completion bash > ~/.local/share/bash-completion/completions/argosy
    fish: argosy completion fish > ~/.config/fish/completions/argosy.fish
    zsh:  argosy completion zsh > _argosy, in a folder of $fpath
    """  # noqa: D301 - click reads the backspace
    from click.shell_completion import get_completion_class

    from argosy.cli.program import cli

    found = get_completion_class(shell)
    assert found is not None  # noqa: S101 - click has all of them
    click.echo(found(cli, {}, "argosy", "_ARGOSY_COMPLETE").source())
