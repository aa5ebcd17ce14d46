"""The commands: argosy's own, and those of installed packages.

A package adds a command with an entry point in the group ``argosy.commands``: its name is the command's name, its value a
`click.Command`. ``argosy --help`` imports its module for the help line, so the module should import little.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import click

from argosy.errors import PluginError
from argosy.toolkit.text import did_you_mean

GROUP = "argosy.commands"

#: argosy's own commands: module and attribute, and the help line, so that ``argosy --help`` imports none of them.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "download": ("argosy.cli.download:download", "Download the items of a configuration, or URLs."),
    "init": ("argosy.cli.init:init", "Ask a few questions and write a configuration."),
    "doctor": ("argosy.cli.doctor:doctor", "Check this machine, a configuration and its service."),
    "login": ("argosy.cli.login:login", "Log in and store the session."),
    "logout": ("argosy.cli.logout:logout", "End the session and delete it."),
    "token": ("argosy.cli.token:token", "Print a token for another program."),
    "output": ("argosy.cli.output:output", "Make other outputs of downloaded items."),
    "status": ("argosy.cli.status:status", "Show finished, active and failed items, and the sessions."),
    "session": ("argosy.cli.session:session", "Move sessions to another store, and make encryption keys."),
    "verify": ("argosy.cli.verify:verify", "Compare every finished file with what was downloaded."),
    "config": ("argosy.cli.config:config", "Check, explain or start a configuration."),
    "plugins": ("argosy.cli.plugins:plugins", "List the installed plugins and their options."),
    "completion": ("argosy.cli.completion:completion", "Print a script that completes commands in a shell."),
}


class ClosedPipe(Exception):
    """The reader closed the pipe; click would end the process on a BrokenPipeError."""


@functools.cache
def added() -> Mapping[str, EntryPoint]:
    """Return the commands of installed packages by name; they cannot replace argosy's own."""
    found = {entry_point.name: entry_point for entry_point in entry_points(group=GROUP)}
    return {name: found[name] for name in sorted(found) if name not in COMMANDS}


def load(name: str) -> click.Command | None:
    """Import a command; return None if it does not exist."""
    if name in COMMANDS:
        module, _, attribute = COMMANDS[name][0].partition(":")
        own: click.Command = getattr(import_module(module), attribute)
        return own
    entry_point = added().get(name)
    if entry_point is None:
        return None
    package = entry_point.dist.name if entry_point.dist is not None else entry_point.module
    try:
        command: object = entry_point.load()
    except (Exception, SystemExit) as error:
        fault = f"cannot be imported: {type(error).__name__}: {error}"
    else:
        if isinstance(command, click.Command):
            return command
        fault = f"is an object of type {type(command).__name__}, not a click.Command"
    raise PluginError(
        f"The command {name!r} of {package} {fault}.",
        hint=f"Repair or reinstall {package}.",
        plugin=name,
        distribution=package,
    )


class LazyGroup(click.Group):
    """A group that imports a command when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, argosy's own first."""
        return [*COMMANDS, *added()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        return load(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or suggest one with a similar name."""
        names = self.list_commands(ctx)
        if args and not args[0].startswith("-") and args[0] not in names:
            near = did_you_mean(args[0], names)
            ctx.fail(f"There is no command {args[0]!r}{f'; {near}' if near else '.'}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands; import only those of other packages."""
        rows = [(name, text) for name, (_, text) in COMMANDS.items()]
        for name in added():
            try:
                command = load(name)
            except PluginError as error:
                rows.append((name, f"({error.message})"))
            else:
                rows.append((name, command.get_short_help_str(limit=100) if command else ""))
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise ClosedPipe from error
