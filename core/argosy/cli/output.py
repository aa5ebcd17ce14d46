"""``argosy output``: make other outputs of what is downloaded already."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from argosy.cli.options import log_options, no_plugin, plugin_file, redactor

if TYPE_CHECKING:
    from argosy.config.settings import Settings
    from argosy.plugins.manager import PluginManager


@click.command()
@click.argument("what", metavar="CONFIG|DIR|URL")
@click.option("--output", multiple=True, metavar="NAME", help="What is to be made; may be repeated.")
@click.option("--strategy", metavar="NAME", help="Where the work runs: serial, threads, ...")
@click.option("--max-workers", type=int, metavar="N", help="Items at once, at most.")
@click.option("--tags", "--skills", metavar='"A, B"', help="Only items that have one of these tags.")
@click.option("--dry-run", is_flag=True, help="Show what would be made, and do nothing.")
@click.option(
    "--force", is_flag=True, help="Make again what was made before, and replace files that are in the way."
)
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Write a report as JSON.")
@click.option(
    "--events", metavar="FILE|-", help="Write every event as a line of JSON; - for standard output."
)
@click.option("--quiet", is_flag=True, help="Show nothing but errors.")
@log_options
@plugin_file
@no_plugin
def output(what: str, report: Path | None, dry_run: bool, quiet: bool, **options: Any) -> int:
    """Make outputs of what is downloaded already, without a request, a login or a secret.

    The options of an output are those that the configuration has for it; a directory has none. Without
    --output, what the configuration asks for and is not there yet is made.

    Every file is read and compared with what was downloaded first. Items whose files are not all there any
    more are listed, and skipped; exit code 1.
    """
    from argosy.cli.download import execute_shown, observers_of, show_preview
    from argosy.engine.run import Run, RunOptions
    from argosy.plugins.manager import PluginManager
    from argosy.state.ledger import need_ledger

    registry = PluginManager(options["excluded"], options["plugin_files"])
    settings = _settings(what, options, registry)
    need_ledger(settings.directory, settings.where)
    if dry_run:
        return show_preview(settings, registry, reprocess=True)
    observers = observers_of(registry, settings, options["events"], quiet)
    given = RunOptions(
        observers=observers,
        report_file=report and report.absolute(),
        redactor=redactor(),
        reprocess=True,
    )
    return execute_shown(Run(settings, registry, given), quiet)


def _settings(what: str, options: dict[str, Any], registry: PluginManager) -> Settings:
    from argosy.cli.download import configured
    from argosy.config.load import load, load_file
    from argosy.engine.run import offline
    from argosy.storage.location import is_url, recalled

    path = Path(what)
    is_directory = is_url(what) or path.is_dir()
    if is_directory and not options["output"]:
        raise click.UsageError("A directory does not say what to make of it: give --output NAME.")
    document: Any = {} if is_directory else load_file(path)
    overrides: dict[str, Any] = {
        key: options[key] for key in ("max_workers", "tags") if options[key] is not None
    }
    if is_directory:
        overrides["directory"] = what if not is_url(what) else asdict(recalled(what))
    if options["strategy"] is not None:
        overrides["strategy"] = configured(document.get("strategy"), options["strategy"])
    if options["output"]:
        overrides["output"] = [configured(document.get("output"), name) for name in options["output"]]
    if options["force"]:
        overrides["force_redownload"] = True
    return offline(load(None if is_directory else what, registry, overrides))
