"""``argosy verify``: read every finished file again."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from argosy.cli.options import log_options, plugin_context, plugin_options, redactor
from argosy.cli.target import Target, target
from argosy.toolkit.text import size_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future

    from argosy.interfaces.storage import Storage
    from argosy.models.items import PublishedFile
    from argosy.plugins.manager import PluginManager
    from argosy.state.ledger import Ledger

Owner = TypeVar("Owner")

#: Files of a remote storage to read in parallel, as latency dominates; a disk is fastest with one.
REMOTE, LOCAL = 8, 1


@click.command()
@click.argument("what", metavar="CONFIG|DIR|URL")
@click.option("--requeue", is_flag=True, help="Let the next run that makes damaged files repair them.")
@log_options
@plugin_options
def verify(what: str, requeue: bool, plugins: PluginManager) -> int:
    """Compare every finished file with what was downloaded.

    The exit code is 1 if files are damaged or missing. Files of other outputs are repaired from the downloaded files if
    those are intact: run "argosy output" with the configuration that has these outputs.
    """
    from argosy.config.location import open_storage
    from argosy.state.ledger import Ledger, need_ledger

    scrub = redactor().scrub  # an id may be a URL with a token
    found = target(what, plugins)
    need_ledger(found.directory, found.where)
    context = plugin_context(found.settings.base if found.settings else Path.cwd(), found.directory)
    storage = open_storage(found.remote, plugins, context)
    storage.prepare()
    ledger = Ledger(found.directory, read_only=not requeue)
    ledger.storage = storage
    at_once = LOCAL if found.remote is None else REMOTE
    files = size = 0
    damaged: dict[str, dict[str, str]] = {}
    damaged_aggregates: list[str] = []
    outputs: set[str] = set()
    rows: list[tuple[str, str, str]] = []
    try:
        finished = ((row, file) for row in ledger.all_rows() if row.state == "done" for file in row.files)
        for row, file, problem in problems(storage, finished, at_once):
            files, size = files + 1, size + file.size
            if problem:
                damaged.setdefault(row.id, {})[file.name] = problem
                outputs.add(file.output)
                rows.append((scrub(row.id), file.name, problem))
        for _, file, problem in problems(storage, ((None, file) for file in _aggregates(ledger)), at_once):
            files, size = files + 1, size + file.size
            if problem and file in _aggregates(ledger):  # otherwise a run has just replaced it
                damaged_aggregates.append(file.name)
                outputs.add(file.output)
                rows.append((f"({file.output})", file.name, problem))
        if requeue:
            for item, wrong in damaged.items():
                ledger.mark_damaged(item, wrong)
            ledger.mark_aggregated_damaged(damaged_aggregates)
    finally:
        ledger.close()
        storage.close()
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    for id_, name, problem in rows:
        click.echo(f"{id_:<{widths[0]}}  {name:<{widths[1]}}  {problem}")
    click.echo(f"{files} files read ({size_text(size)}), {len(damaged)} items damaged.", err=True)
    if damaged_aggregates:
        click.echo(f"{len(damaged_aggregates)} files over all items damaged.", err=True)
    if rows:
        for line in _advice(outputs, found, plugins, requeued=requeue):
            click.echo(line, err=True)
    return 1 if rows else 0


def _advice(outputs: set[str], found: Target, plugins: PluginManager, *, requeued: bool) -> Iterator[str]:
    """Yield how to repair the files of some outputs."""
    from argosy.engine.outputs import label_of
    from argosy.plugins.kinds import Kind

    if not requeued:
        yield "With --requeue, the next run that makes them repairs them."
        return
    if found.settings is None:
        named = ", ".join(sorted(filter(None, outputs))) or "files"
        yield f"The next run with a configuration that makes them repairs them. Outputs: {named}."
        return
    configured = {
        label_of(given, plugins.find(Kind.OUTPUT, given["use"]).options_schema) for given in found.settings.output
    }
    if outputs & {*configured, ""}:
        yield "The next run repairs them."
    if others := sorted(outputs - {*configured, ""}):
        yield (
            f"This configuration does not make the outputs {', '.join(others)}. To repair their files, run "
            "`argosy output` with the configuration that does. Files you deleted are no longer reported."
        )


def _aggregates(ledger: Ledger) -> list[PublishedFile]:
    """Return the finished files that outputs made of all items."""
    return [file for file, _, _ in ledger.aggregated().values() if file is not None]


def problems(
    storage: Storage, files: Iterable[tuple[Owner, PublishedFile]], at_once: int
) -> Iterator[tuple[Owner, PublishedFile, str | None]]:
    """Read whole files, several in parallel, and yield them in their order, each with its problem or None."""
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
