"""``argosy output``: make other outputs of downloaded items."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from argosy.cli.options import log_in_workers, log_options, plugin_options, redactor, run_options

if TYPE_CHECKING:
    from argosy.config.settings import Settings
    from argosy.plugins.manager import PluginManager


@click.command()
@click.argument("what", metavar="CONFIG|DIR|URL")
@click.option("--output", multiple=True, metavar="NAME", help="What to make. Repeatable.")
@run_options
@click.option("--dry-run", is_flag=True, help="Show what would be made, and stop.")
@click.option("--force", is_flag=True, help="Make finished outputs again and overwrite existing files.")
@log_options
@plugin_options
def output(
    what: str,
    report: Path | None,
    events: str | None,
    dry_run: bool,
    quiet: bool,
    plugins: PluginManager,
    **options: Any,
) -> int:
    """Make outputs of downloaded items, without requests, logins or secrets.

    An output uses the options that the configuration has for it. Without --output, this makes the configured outputs
    that are missing. A directory has no configured outputs.

    Every file is first compared with what was downloaded. Items with missing or changed files are listed and skipped;
    the exit code is then 1.
    """
    from argosy.cli.download import execute_shown, observers_of, report_to, show_preview
    from argosy.engine.run import Run, RunOptions
    from argosy.state.shards import need_ledger

    settings = _settings(what, options, plugins)
    need_ledger(settings.directory, settings.where)
    if dry_run:
        return show_preview(settings, plugins, reprocess=True)
    given = RunOptions(
        observers=observers_of(plugins, settings, events, quiet, report),
        on_report=report_to(report),
        redactor=redactor(),
        in_workers=log_in_workers(),
        reprocess=True,
    )
    return execute_shown(Run(settings, plugins, given), quiet)


def _settings(what: str, options: dict[str, Any], plugins: PluginManager) -> Settings:
    from argosy.cli.download import overrides
    from argosy.cli.target import recalled
    from argosy.config.load import load, load_file
    from argosy.config.location import is_url

    if not is_url(what) and not Path(what).is_dir():
        return load(what, plugins, overrides(load_file(Path(what)), options))
    if not options["output"]:
        raise click.UsageError("A directory has no configured outputs: add --output NAME.")
    directory = asdict(recalled(what)) if is_url(what) else what
    return load(None, plugins, {**overrides({}, options), "directory": directory})
