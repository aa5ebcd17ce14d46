"""``argosy verify``: read every finished file again."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from argosy.cli.options import log_options, no_plugin, plugin_file, redactor
from argosy.cli.target import Target, target
from argosy.toolkit.text import size_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future

    from argosy.interfaces.storage import Storage
    from argosy.models.items import PublishedFile
    from argosy.state.ledger import Ledger

Owner = TypeVar("Owner")

#: Files of a remote storage to read at once, as latency dominates; a disk is fastest with one.
REMOTE, LOCAL = 8, 1


@click.command()
@click.argument("what", metavar="CONFIG|DIR|URL")
@click.option("--requeue", is_flag=True, help="Let the next run that makes them repair damaged files.")
@log_options
@plugin_file
@no_plugin
def verify(what: str, requeue: bool, plugin_files: tuple[Path, ...], excluded: tuple[str, ...]) -> int:
    """Read every finished file again and compare it with what was downloaded.

    Exit code 1 if something is damaged or missing. Files that other outputs made are repaired from the downloaded
    files, if those are intact: run "argosy output" with the configuration that has these outputs.
    """
    from argosy.cli.download import ask
    from argosy.engine.storage import open_storage
    from argosy.interfaces.base import PluginContext
    from argosy.plugins.manager import PluginManager
    from argosy.state.ledger import Ledger, need_ledger

    scrub = redactor().scrub  # an id may be a URL, with a token in it
    found = target(what, excluded, plugin_files)
    need_ledger(found.directory, found.where)
    base = Path.cwd() if found.settings is None else found.settings.base
    context = PluginContext(
        base, found.directory, ask(), redactor().add, lambda message: click.echo(scrub(message), err=True)
    )
    plugins = found.registry or PluginManager(excluded, plugin_files)
    storage = open_storage(found.directory, found.remote, plugins, context)
    storage.prepare()
    ledger = Ledger(found.directory, read_only=not requeue)
    ledger.storage = storage
    at_once = LOCAL if found.remote is None else REMOTE
    files = size = 0
    over_all: list[str] = []
    damaged: dict[str, dict[str, str]] = {}
    outputs: set[str] = set()
    lines: list[tuple[str, str, str]] = []
    try:
        kept = ((row, file) for row in ledger.all_rows() if row.state == "done" for file in row.files)
        for row, file, problem in problems(storage, kept, at_once):
            files, size = files + 1, size + file.size
            if problem:
                damaged.setdefault(row.id, {})[file.name] = problem
                outputs.add(file.output)
                lines.append((scrub(row.id), file.name, problem))
        for _, file, problem in problems(storage, ((None, file) for file in _collected(ledger)), at_once):
            files, size = files + 1, size + file.size
            if problem and file in _collected(ledger):  # else a run has just made it anew
                lines.append((f"({file.output})", file.name, problem))
                over_all.append(file.name)
                outputs.add(file.output)
        if requeue:
            for item, wrong in damaged.items():
                ledger.mark_damaged(item, wrong)
            ledger.mark_aggregated_damaged(over_all)
    finally:
        ledger.close()
        storage.close()
    for line in _table(lines):
        click.echo(line)
    click.echo(f"{files} files read ({size_text(size)}), {len(damaged)} items damaged.", err=True)
    if over_all:
        click.echo(f"{len(over_all)} files over all items damaged.", err=True)
    if lines:
        for line in _advice(outputs, found, requeued=requeue):
            click.echo(line, err=True)
    return 1 if lines else 0


def _advice(outputs: set[str], found: Target, *, requeued: bool) -> Iterator[str]:
    """Yield what repairs the files of some outputs."""
    if not requeued:
        yield "With --requeue, the next run that makes them repairs them."
        return
    own = _outputs_of(found)
    if own is None:
        named = ", ".join(sorted(filter(None, outputs))) or "files"
        yield f"The next run with a configuration that makes them repairs them. Outputs: {named}."
        return
    if outputs & {*own, ""}:
        yield "The next run repairs them."
    if others := sorted(outputs - {*own, ""}):
        yield (
            f"This configuration does not make the outputs {', '.join(others)}. To repair their files, run "
            "`argosy output` with the configuration that does. Files you removed are no longer missed."
        )


def _outputs_of(found: Target) -> set[str] | None:
    """Return the outputs of a configuration, as the ledger calls them; None for a directory."""
    from argosy.engine.outputs import label_of
    from argosy.plugins.kinds import Kind

    if found.settings is None or found.registry is None:
        return None
    registry = found.registry
    return {
        label_of(given, registry.find(Kind.OUTPUT, given["use"]).options_schema)
        for given in found.settings.output
    }


def _collected(ledger: Ledger) -> list[PublishedFile]:
    """Return the files over all items that were put into place."""
    return [file for file, _, _ in ledger.aggregated().values() if file is not None]


def _table(rows: list[tuple[str, str, str]]) -> Iterator[str]:
    """Yield the lines of a table: item, file, problem."""
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    for item, name, problem in rows:
        yield f"{item:<{widths[0]}}  {name:<{widths[1]}}  {problem}"


def problems(
    storage: Storage, files: Iterable[tuple[Owner, PublishedFile]], at_once: int
) -> Iterator[tuple[Owner, PublishedFile, str | None]]:
    """Read whole files, several at once, and yield them in their order with what is wrong with each, or None."""
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(at_once, thread_name_prefix="argosy-verify")
    begun: deque[tuple[Owner, PublishedFile, Future[str | None]]] = deque()
    try:
        for owner, file in files:
            begun.append((owner, file, pool.submit(storage.problem, file)))
            if len(begun) > at_once:
                first, kept, future = begun.popleft()
                yield first, kept, future.result()
        for first, kept, future in begun:
            yield first, kept, future.result()
    finally:
        pool.shutdown(cancel_futures=True)
