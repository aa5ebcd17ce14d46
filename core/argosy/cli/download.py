"""``argosy download``: the main job."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from argosy.cli.options import log_options, no_plugin, plugin_file, redactor
from argosy.interfaces.observer import Observer

if TYPE_CHECKING:
    from argosy.config.settings import Settings
    from argosy.engine.run import Run
    from argosy.plugins.manager import PluginManager
    from argosy.toolkit.stop import Stop


@click.command()
@click.argument("what", nargs=-1, metavar="[CONFIG] [URL]...")
@click.option("--strategy", metavar="NAME", help="Where the work runs: serial, threads, ...")
@click.option("--max-workers", type=int, metavar="N", help="Items at once, at most.")
@click.option("--tags", "--skills", metavar='"A, B"', help="Only items that have one of these tags.")
@click.option("--output", multiple=True, metavar="NAME", help="What is made of the items; may be repeated.")
@click.option("--directory", metavar="DIR|URL", help="Where it goes.")
@click.option(
    "--content-disposition", is_flag=True, help="Call a file what its server calls it, where it says so."
)
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@click.option(
    "--force", is_flag=True, help="Download again what is done, and replace files that are in the way."
)
@click.option(
    "--strict",
    is_flag=True,
    help="Fail if the run would fall back to the serial strategy or to fewer sessions.",
)
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Write a report as JSON.")
@click.option(
    "--events", metavar="FILE|-", help="Write every event as a line of JSON; - for standard output."
)
@click.option("--quiet", is_flag=True, help="Show nothing but errors.")
@log_options
@plugin_file
@no_plugin
def download(what: tuple[str, ...], report: Path | None, dry_run: bool, quiet: bool, **options: Any) -> int:
    """Download the items of a configuration, of URLs, or of URLs from standard input (-).

    Exit codes: 0 all done; 1 some items failed; 2 usage or configuration; 3 the session is lost; 4 the
    manifest; 5 local disk or store; 7 a plugin; 129, 130 or 143 interrupted.
    """
    from argosy.engine.run import Run, RunOptions
    from argosy.plugins.manager import PluginManager

    registry = PluginManager(options["excluded"], options["plugin_files"])
    settings = _settings(what, options, registry)
    if dry_run:
        return show_preview(settings, registry)
    observers = observers_of(registry, settings, options["events"], quiet)
    given = RunOptions(
        observers=observers,
        ask=ask(),
        report_file=report and report.absolute(),
        redactor=redactor(),
    )
    return execute_shown(Run(settings, registry, given), quiet)


def ask() -> Any:
    """Return what asks the person for a secret; None where nobody is there."""
    if not sys.stdin.isatty():
        return None
    return lambda text: click.prompt(text, hide_input=True, err=True)


def _settings(what: Sequence[str], options: Mapping[str, Any], registry: PluginManager) -> Settings:
    from argosy.config.load import load, load_file

    urls = [word for word in what if "://" in word or word == "-"]
    files = [word for word in what if word not in urls]
    if len(files) > 1:
        raise click.UsageError(
            f"There can be one configuration, and {files[0]!r} and {files[1]!r} were given. URLs begin with https://."
        )
    document = load_file(Path(files[0])) if files else {}
    overrides: dict[str, Any] = {
        key: options[key] for key in ("max_workers", "tags", "directory") if options[key] is not None
    }
    if options["strategy"] is not None:
        overrides["strategy"] = configured(document.get("strategy"), options["strategy"])
    if options["output"]:
        overrides["output"] = [configured(document.get("output"), name) for name in options["output"]]
    if urls:
        given = {"file": "-"} if urls == ["-"] else {"urls": urls}
        overrides["source"] = {"use": "urls", **given}
    if options["content_disposition"]:
        source = overrides.get("source") or document.get("source")
        source = {"use": source} if isinstance(source, str) else source
        if isinstance(source, dict):  # else there is none, or it is wrong: that is said elsewhere
            overrides["source"] = {**source, "content_disposition": True}
    for flag, key in (("force", "force_redownload"), ("strict", "strict")):
        if options[flag]:
            overrides[key] = True
    return load(files[0] if files else None, registry, overrides)


def configured(slot: Any, name: str) -> Any:
    """Return a plugin with the options that the configuration has for it, if it has any."""
    for entry in slot if isinstance(slot, list) else [slot]:
        if isinstance(entry, dict) and entry.get("use") == name:
            return entry
    return {"use": name}


def observers_of(
    registry: PluginManager, settings: Settings, events: str | None, quiet: bool
) -> list[Observer]:
    """Return the observers that the command line asks for."""
    from argosy.interfaces.base import PluginContext

    context = PluginContext(Path.cwd(), settings.directory)
    chosen: list[dict[str, Any]] = []
    if events is not None:
        chosen.append({"use": "json-lines", "path": events})
    if not quiet:
        chosen.append({"use": "progress" if sys.stderr.isatty() else "log"})
    return [registry.make(Observer, options, context) for options in chosen]


def show_preview(settings: Settings, registry: PluginManager, *, reprocess: bool = False) -> int:
    """Show what a run would do, and return the exit code."""
    from argosy.engine.plan import Preview, preview
    from argosy.toolkit.text import one_line, size_text

    scrub = redactor().scrub

    def show(planned: Preview) -> None:
        item = planned.item
        known = [r.size for r in item.resources if r.size is not None]
        size = f", {size_text(sum(known))}" if known and len(known) == len(item.resources) else ""
        count = len(item.resources)
        there = ", there already" if planned.remade else ""
        click.echo(
            f"{one_line(scrub(item.id))}  {one_line(scrub(item.title))}  ({count} file{'s'[: count != 1]}{size}{there})"
        )
        for output, names in planned.names.items():
            click.echo(f"    {output}: {one_line(scrub(_named(names)))}")

    planned = preview(settings, registry, show, reprocess=reprocess)
    download = planned.to_do - planned.remade
    parts = [] if reprocess else [f"{download} of {planned.items} items would be downloaded"]
    if planned.remade or reprocess:
        parts.append(f"outputs would be made of {planned.remade} that are there already")
    parts.append(f"{planned.done} are done already")
    click.echo(f"{', '.join(parts)}.", err=True)
    return 0


def _named(names: Sequence[str]) -> str:
    """Return a line of names: the first, and how many more there are."""
    if not names:
        return "its names are known when it is made"
    return f"{names[0]} and {len(names) - 1} more" if len(names) > 1 else names[0]


def execute_shown(run: Run, quiet: bool) -> int:
    """Execute a run until it ends or is interrupted, show what came of it, and return the exit code."""
    from argosy.api import execute
    from argosy.cli.program import print_error
    from argosy.cli.summary import print_summary
    from argosy.errors import Interrupted

    ended_by = _end_on_signals(run.stop)
    try:
        report = execute(run)
    except KeyboardInterrupt:
        # threads still wait for the network, and the interpreter would wait for them
        click.echo("\nargosy: interrupted; the session and everything done so far are saved.", err=True)
        sys.stderr.flush()
        sys.stdout.flush()
        os._exit(128 + ended_by[0] if ended_by else 130)
    except Interrupted as error:  # while the source was read
        print_error(error)
        return 128 + ended_by[0] if ended_by else error.exit_code
    if not quiet:
        print_summary(report)
    if report.error is not None:
        print_error(report.error)
    return 128 + ended_by[0] if ended_by and report.error is not None else report.exit_code


def _end_on_signals(stop: Stop) -> list[int]:
    """End the run cleanly on SIGTERM and SIGHUP; return the list their numbers are put into."""
    seen: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        stop.abort()

    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), handle)
    return seen
