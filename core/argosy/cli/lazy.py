"""A command group whose commands are imported when they are used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import click

from argosy.toolkit.text import did_you_mean


@dataclass(frozen=True, slots=True)
class Lazy:
    """A command that is not imported yet.

    Parameters
    ----------
    target
        Where it is: ``module:attribute``.
    help
        One line for the group's help.
    """

    target: str
    help: str

    def load(self) -> click.Command:
        """Import the command."""
        module, _, attribute = self.target.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command


class ClosedPipe(Exception):
    """Whoever read the output has gone; for a BrokenPipeError click would end the process itself."""


class LazyGroup(click.Group):
    """A group of lazily imported commands.

    Parameters
    ----------
    table
        The commands by name, in the order of the help.
    """

    def __init__(self, *args: Any, table: Mapping[str, Lazy], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lazy = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of the table."""
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        lazy = self._lazy.get(cmd_name)
        return lazy.load() if lazy else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, with a suggestion where there is none of that name."""
        if args and args[0] not in self._lazy and not args[0].startswith("-"):
            near = did_you_mean(args[0], self._lazy)
            ctx.fail(f"There is no command {args[0]!r}{f'; {near}' if near else '.'}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands into the help without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.help) for name, lazy in self._lazy.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise ClosedPipe from error
