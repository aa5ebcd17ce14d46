"""Options that several commands share, and how commands reach the user."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from argosy.toolkit.redaction import Redactor

if TYPE_CHECKING:
    from argosy.interfaces.base import PluginContext

F = TypeVar("F", bound=Callable[..., Any])


def plugin_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--plugin`` and ``--no-plugin``; the command gets a `PluginManager` as ``plugins``."""

    @click.option(
        "--plugin",
        "files",
        multiple=True,
        metavar="FILE.py",
        type=click.Path(path_type=Path),
        help="Also use the plugins in this Python file, which runs with your permissions. Repeatable.",
    )
    @click.option(
        "--no-plugin", "excluded", multiple=True, metavar="NAME", help="Ignore this plugin or distribution. Repeatable."
    )
    @functools.wraps(command)
    def with_plugins(*args: Any, files: tuple[Path, ...], excluded: tuple[str, ...], **options: Any) -> Any:
        from argosy.plugins.manager import PluginManager

        return command(*args, plugins=PluginManager(excluded, files), **options)

    return with_plugins


def run_options(command: F) -> F:
    """Add the options of commands that start a run: `download` and `output`."""
    for option in (
        click.option("-q", "--quiet", is_flag=True, help="Print errors only."),
        click.option("--events", metavar="FILE|-", help="Write all events as JSON lines; - for standard output."),
        click.option(
            "--report",
            metavar="FILE|-",
            type=click.Path(dir_okay=False, path_type=Path, allow_dash=True),
            callback=_report,
            help="Write a report: a page if FILE ends in .html, else JSON; - for standard output.",
        ),
        click.option("--skills", hidden=True, expose_value=False, callback=_skills),
        click.option(
            "--shard",
            metavar="I/N|auto[/N]",
            callback=_shard,
            help="Take part I of N of the items; auto is that of the task of a Slurm array or an indexed Kubernetes job.",
        ),
        click.option("--tags", metavar='"A, B"', callback=_tags, help="Only items with one of these tags."),
        click.option("-j", "--max-workers", type=int, metavar="N", help="The most items to work on at once."),
        click.option("--strategy", metavar="NAME", help="How the work runs: serial, threads or multiprocess."),
    ):
        command = option(command)
    return command


def _skills(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    """Keep the value of ``--skills``, another name of ``--tags``."""
    context.meta["argosy.skills"] = value


def _tags(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    return context.meta.get("argosy.skills") if value is None else value


def _shard(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is None or not value.startswith("auto"):
        return value
    from argosy.cli.shards import task

    return task(value)


def _report(context: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    return Path("/dev/stdout") if value == Path("-") else value


def _log(context: click.Context, parameter: click.Parameter, value: int | Path | None) -> None:
    """Start logging as soon as the options are parsed."""
    if not value:
        return
    from argosy.cli import logs

    given: dict[str, Any] = context.meta.setdefault("argosy.logs", {})
    given[str(parameter.name)] = value.absolute() if isinstance(value, Path) else value
    logs.start(logs.LogSettings(**given), redactor())


def log_in_workers() -> Callable[[Redactor], None] | None:
    """Return what starts the same log in a worker process; None without a log."""
    given = click.get_current_context().meta.get("argosy.logs")
    if not given:
        return None
    from argosy.cli import logs

    return functools.partial(logs.start, logs.LogSettings(**given))


def log_options(command: F) -> F:
    """Add ``-v`` and ``--log-file``."""
    verbose = click.option(
        "-v",
        "--verbose",
        "verbosity",
        count=True,
        expose_value=False,
        callback=_log,
        help="Log to standard error; -vv logs more.",
    )
    log_file = click.option(
        "--log-file",
        "file",
        metavar="FILE",
        type=click.Path(dir_okay=False, path_type=Path),
        expose_value=False,
        callback=_log,
        help="Append the log to this file.",
    )
    return verbose(log_file(command))


def redactor() -> Redactor:
    """Return the redactor of the current command."""
    context = click.get_current_context(silent=True)
    return (context and context.find_object(Redactor)) or Redactor()


def notify(message: str) -> None:
    """Print a message to standard error, without secrets."""
    click.echo(redactor().scrub(message), err=True)


def ask() -> Callable[[str], str] | None:
    """Return a function that asks the user for a secret; None without a terminal."""
    if not sys.stdin.isatty():
        return None
    return lambda text: str(click.prompt(text, hide_input=True, err=True))


def plugin_context(base: Path, directory: Path) -> PluginContext:
    """Return the context for plugins that a command makes."""
    from argosy.interfaces.base import PluginContext

    return PluginContext(base, directory, ask(), redactor().add, notify)
