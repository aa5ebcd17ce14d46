"""``argosy download``, and what it shares with ``argosy output``: overrides, observers, the preview and signals."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from argosy.cli.options import ask, log_in_workers, log_options, notify, plugin_options, redactor, run_options
from argosy.cli.selection import Selection, read_conditions, selection
from argosy.cli.words import sort_words
from argosy.interfaces.observer import Observer

if TYPE_CHECKING:
    from argosy.config.settings import Settings
    from argosy.engine.run import Run
    from argosy.models.items import Item
    from argosy.plugins.manager import PluginManager
    from argosy.toolkit.stop import Stop

#: Header fields that another option or key sets.
_ELSEWHERE = {
    "user-agent": "use -A.",
    "referer": 'set "referer" in a configuration.',
    "cookie": 'use the auth "cookies" in a configuration: the service may replace them.',
    "authorization": 'use the auth "bearer" or "basic" in a configuration, which keeps the secret out of the command line.',
}


def _headers(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """Return the header fields by name."""
    from argosy.models.header_fields import problem_of

    fields: dict[str, str] = {}
    for text in given:
        name, colon, value = (part.strip() for part in text.partition(":"))
        if not name or not colon:
            raise click.BadParameter("write it as 'Name: value'.", context, parameter)  # it may be a secret
        redactor().add(value)
        if name.lower() in _ELSEWHERE:
            raise click.BadParameter(f"{name}: {_ELSEWHERE[name.lower()]}", context, parameter)
        if (problem := problem_of({name: value})) is not None:
            raise click.BadParameter(f"{problem}.", context, parameter)
        fields[name] = value
    return fields


@click.command()
@click.argument("what", nargs=-1, metavar="[CONFIG|LIST] [URL]...")
@click.option("-i", "--input", "lists", multiple=True, metavar="FILE", help="The same as the argument LIST.")
@click.option("-o", "--name", metavar="NAME", help="The name of the file, for one URL.")
@click.option("--paths", type=click.Choice(["name", "full"]), help="Name the files of URLs by host and full path.")
@click.option("--directory", metavar="DIR|URL", help="The target directory.")
@click.option(
    "--output",
    multiple=True,
    metavar="NAME",
    help="What to make of the items: files, zip, cbz, epub, index or warc. Repeatable.",
)
@click.option(
    "-H",
    "--header",
    "headers",
    multiple=True,
    metavar='"NAME: VALUE"',
    callback=_headers,
    help="Send this header field. Repeatable. Other users of this machine can read it; secrets belong in CONFIG.",
)
@click.option("-A", "--user-agent", metavar="TEXT", help="Send this User-Agent.")
@click.option("--env-proxy", is_flag=True, help="Use the proxies and certificate authorities of the environment.")
@run_options
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Download the first N items that are not done.")
@click.option(
    "--match",
    multiple=True,
    metavar="FIELD=TEXT|FIELD~REGEX",
    callback=read_conditions,
    help="Only items whose id, title, url, path, tag or metadata matches. Repeatable: all must match.",
)
@click.option("--content-disposition", is_flag=True, help="Use the file names that servers suggest.")
@click.option(
    "--dry-run", is_flag=True, help="Show what would be downloaded, and stop; only some sources need a login."
)
@click.option("--force", is_flag=True, help="Download finished items again and overwrite existing files.")
@click.option("--strict", is_flag=True, help="Fail instead of falling back to a serial run or to fewer sessions.")
@log_options
@plugin_options
def download(
    what: tuple[str, ...],
    report: Path | None,
    events: str | None,
    dry_run: bool,
    quiet: bool,
    plugins: PluginManager,
    **options: Any,
) -> int:
    """Download the items of a configuration, of a list, or of URLs.

    CONFIG ends in .toml or .json. LIST is a manifest (.jsonl), or any other file with one URL per line; - is standard
    input.

    Exit codes: 0 success; 1 some items failed; 2 usage or configuration; 3 session lost; 4 manifest; 5 local disk or
    store; 7 plugin; 129, 130 or 143 interrupted.
    """
    from argosy.engine.run import Run, RunOptions

    settings = _settings(what, options, plugins)
    if not quiet and (text := unused_environment(settings)):
        notify(text)
    if settings.shard is not None:
        from argosy.cli.shards import check_session

        check_session(settings, plugins)
    chosen = selection(options, settings.shard)
    if dry_run:
        return show_preview(settings, plugins, chosen)
    given = RunOptions(
        observers=observers_of(plugins, settings, events, quiet, report),
        ask=ask(),
        on_report=report_to(report),
        redactor=redactor(),
        in_workers=log_in_workers(),
        select=chosen.items,
        limit=chosen.limit,
    )
    return execute_shown(Run(settings, plugins, given), quiet, chosen)


def _settings(what: Sequence[str], options: Mapping[str, Any], plugins: PluginManager) -> Settings:
    from argosy.config.load import load, load_file

    given = sort_words(what, options["lists"])
    document = load_file(Path(given.config)) if given.config else {}
    changed = overrides(document, options)
    if options["directory"] is not None:
        changed["directory"] = options["directory"]
    if (source := given.source()) is not None:
        changed["source"] = source
    if options["name"] is not None or options["paths"] is not None:
        source = changed.get("source")
        if source is None or source["use"] != "urls":
            raise click.UsageError("--name and --paths are for URLs.")
        if options["name"] is not None and (len(given.urls) != 1 or given.list):
            raise click.UsageError("--name is for one URL. For several, list them in a manifest with a path for each.")
        names = {key: options[key] for key in ("name", "paths") if options[key] is not None}
        changed["source"] = {**source, **names}
    if options["content_disposition"]:
        source = changed.get("source") or document.get("source")
        source = {"use": source} if isinstance(source, str) else source
        if isinstance(source, dict):  # anything else is an error that is reported later
            changed["source"] = {**source, "content_disposition": True}
    if options["headers"]:
        configured = document.get("headers")
        changed["headers"] = {**(configured if isinstance(configured, dict) else {}), **options["headers"]}
    if options["user_agent"] is not None:
        changed["user_agent"] = options["user_agent"]
    if options["env_proxy"]:
        changed["trust_environment"] = True
    if options["strict"]:
        changed["strict"] = True
    return load(given.config, plugins, changed)


def unused_environment(settings: Settings) -> str:
    """Return what to tell about variables of the environment that other programs use; empty if there are none."""
    from argosy.config.settings import CA_VARIABLES

    if settings.trust_environment:
        return ""
    found = []
    if settings.proxy is None:
        names = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
        found = [name for upper in names for name in (upper, upper.lower()) if os.environ.get(name)]
    if settings.ca_bundle is None:
        import ssl

        usual = ssl.get_default_verify_paths().openssl_cafile, "/etc/ssl/certs/ca-certificates.crt"  # Debian's
        found += [name for name in CA_VARIABLES if os.environ.get(name, usual[0]) not in ("", *usual)]
    if not found:
        return ""
    text = f"{' and '.join(found)} {'is' if len(found) == 1 else 'are'} set but not used."
    return f'{text} To use the environment: --env-proxy, or "trust_environment" in a configuration.'


def overrides(document: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of a configuration that options of `download` and `output` replace."""

    def configured(slot: str, name: str) -> Any:
        """Return a plugin with the options that the configuration has for it."""
        value = document.get(slot)
        for entry in value if isinstance(value, list) else [value]:
            if isinstance(entry, dict) and entry.get("use") == name:
                return entry
        return {"use": name}

    changed: dict[str, Any] = {
        key: options[key] for key in ("max_workers", "tags", "shard") if options[key] is not None
    }
    if options["strategy"] is not None:
        changed["strategy"] = configured("strategy", options["strategy"])
    if options["output"]:
        changed["output"] = [configured("output", name) for name in options["output"]]
    if options["force"]:
        changed["force_redownload"] = True
    return changed


def is_page(report: Path) -> bool:
    """Return whether a report is to be a page for people, instead of JSON."""
    return report.suffix.lower() in (".html", ".htm")


def observers_of(
    plugins: PluginManager, settings: Settings, events: str | None, quiet: bool, report: Path | None
) -> list[Observer]:
    """Return the observers that the options ask for."""
    from argosy.interfaces.base import PluginContext

    context = PluginContext(Path.cwd(), settings.directory)
    chosen: list[dict[str, Any]] = []
    if events is not None:
        chosen.append({"use": "json-lines", "path": events})
    if report is not None and is_page(report):
        chosen.append({"use": "html-report", "path": str(report)})
    if not quiet:
        is_dumb = os.environ.get("TERM") in ("dumb", "unknown")
        chosen.append({"use": "progress" if sys.stderr.isatty() and not is_dumb else "log"})
    observers = [plugins.make(Observer, options, context) for options in chosen]
    for observer in observers:
        observer.check()
    return observers


def report_to(path: Path | None) -> Callable[..., None] | None:
    """Return what writes the report of a run as JSON to a file, if there is one."""
    if path is None or is_page(path):
        return None
    from argosy.cli.report import write_report

    return functools.partial(write_report, path.absolute(), redactor().json)


def show_preview(
    settings: Settings, plugins: PluginManager, chosen: Selection | None = None, *, reprocess: bool = False
) -> int:
    """Print what a run would do, and return the exit code."""
    from argosy.engine.plan import preview
    from argosy.events import EventKind
    from argosy.toolkit.text import one_line, size_text

    scrub = redactor().scrub

    def show(item: Item, remade: bool, outputs: Mapping[str, Sequence[str]]) -> None:
        sizes = [resource.size for resource in item.resources if resource.size is not None]
        count = len(item.resources)
        facts = [f"{count} file{'s'[: count != 1]}"]
        if sizes and len(sizes) == count:
            facts.append(size_text(sum(sizes)))
        if remade:
            facts.append("already downloaded")
        click.echo(f"{one_line(scrub(item.id))}  {one_line(scrub(item.title))}  ({', '.join(facts)})")
        for output, names in outputs.items():
            first = names[0] if names else "names known only after the run"
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            click.echo(f"    {output}: {one_line(scrub(f'{first}{more}'))}")

    def emit(kind: EventKind, item: str | None, data: Mapping[str, Any]) -> None:
        if kind is EventKind.RUN_NOTICE:
            notify(str(data["message"]))

    chosen = chosen or Selection()
    planned = preview(
        settings,
        plugins,
        show,
        emit,
        redactor(),
        reprocess=reprocess,
        select=chosen.items,
        limit=chosen.limit,
        ask=ask(),
    )
    parts = [] if reprocess else [f"{planned.to_do - planned.remade} of {planned.items} items to download"]
    if planned.remade or reprocess:
        parts.append(f"outputs to make of {planned.remade} downloaded items")
    parts.append(f"{planned.done} already done")
    if left_out := chosen.left_out(planned.items):
        parts.append(f"left out: {left_out}")
    click.echo(f"{', '.join(parts)}.", err=True)
    return 0


def execute_shown(run: Run, quiet: bool, chosen: Selection | None = None) -> int:
    """Execute a run until it ends or is interrupted, print the result, and return the exit code."""
    from argosy.api import execute
    from argosy.cli.program import print_error
    from argosy.errors import Interrupted

    signals = _end_on_signals(run.stop)
    try:
        report = execute(run)
    except KeyboardInterrupt:
        click.echo("\nargosy: interrupted; the session and all finished work are saved.", err=True)
        sys.stderr.flush()
        sys.stdout.flush()
        # not sys.exit: the interpreter would wait for threads that wait for the network
        os._exit(128 + signals[0] if signals else 130)
    except Interrupted as error:  # while reading the source
        print_error(error)
        return 128 + signals[0] if signals else error.exit_code
    if not quiet:
        from argosy.cli.summary import print_summary

        left_out = chosen.left_out(report.counts.items) if chosen else ""
        print_summary(report, left_out, _written(run.settings))
    if report.error is not None:
        print_error(report.error)
    return 128 + signals[0] if signals and report.error is not None else report.exit_code


def _written(settings: Settings) -> list[str]:
    """Return the names of the files that outputs have made of all items."""
    from argosy.errors import StorageError
    from argosy.state.ledger import Ledger

    found: dict[str, Any] = {}
    if any(output["use"] != "files" for output in settings.output):
        with (
            contextlib.suppress(StorageError),
            contextlib.closing(Ledger(settings.home, read_only=True)) as ledger,
        ):
            found = ledger.aggregated()
    return [name for name, (file, _, _) in found.items() if file is not None]


def _end_on_signals(stop: Stop) -> list[int]:
    """Abort the run on SIGTERM and SIGHUP; return the list that collects their numbers."""
    seen: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        stop.abort()

    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), handle)
    return seen
