"""``argosy verify``: read every finished file again."""

from __future__ import annotations

from collections import deque
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from argosy.cli.options import log_options, plugin_context, plugin_options, redactor
from argosy.cli.target import Target, target
from argosy.toolkit.text import size_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from concurrent.futures import Future

    from argosy.cli.ledgers import Homes
    from argosy.interfaces.storage import Storage
    from argosy.models.items import PublishedFile
    from argosy.plugins.manager import PluginManager

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
    from argosy.state.shards import need_ledger

    scrub = redactor().scrub  # an id may be a URL with a token
    found = target(what, plugins)
    homes = need_ledger(found.directory, found.where)
    context = plugin_context(found.settings.base if found.settings else Path.cwd(), found.directory)
    storage = open_storage(found.remote, plugins, context)
    files = size = 0
    damaged: dict[Path, dict[str | None, dict[str, str]]] = {}
    outputs: set[str] = set()
    rows: list[tuple[str, str, str]] = []
    try:
        storage.prepare()
        for (home, id_), file, problem in problems(storage, _files(homes), LOCAL if found.remote is None else REMOTE):
            files, size = files + 1, size + file.size
            if problem and (id_ is not None or _is_aggregate(home, file)):  # otherwise a run has just replaced it
                damaged.setdefault(home, {}).setdefault(id_, {})[file.name] = problem
                outputs.add(file.output)
                rows.append((f"({file.output})" if id_ is None else scrub(id_), file.name, problem))
        if requeue:
            _mark(damaged, storage)
    finally:
        storage.close()
    items = sum(id_ is not None for of in damaged.values() for id_ in of)
    aggregates = sum(len(of.get(None, ())) for of in damaged.values())
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    for id_, name, problem in rows:
        click.echo(f"{id_:<{widths[0]}}  {name:<{widths[1]}}  {problem}")
    click.echo(f"{files} files read ({size_text(size)}), {items} items damaged.", err=True)
    if aggregates:
        click.echo(f"{aggregates} files over all items damaged.", err=True)
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


def _files(homes: Homes) -> Iterator[tuple[tuple[Path, str | None], PublishedFile]]:
    """Yield the files of finished items, then those that outputs made of all items (None), with their ledger's folder."""
    from argosy.cli.ledgers import current_rows, read

    for home, row in current_rows(homes):
        if row.state == "done":
            yield from (((home, row.id), file) for file in row.files)
    for shard, ledger in read(homes):
        yield from (((homes[shard], None), file) for file, _, _ in ledger.aggregated().values() if file is not None)


def _is_aggregate(home: Path, file: PublishedFile) -> bool:
    """Return whether an output over all items still has a file."""
    from argosy.state.ledger import Ledger

    with closing(Ledger(home, read_only=True)) as ledger:
        return any(file == current for current, _, _ in ledger.aggregated().values())


def _mark(damaged: Mapping[Path, Mapping[str | None, Mapping[str, str]]], storage: Storage) -> None:
    """Let the next run remake damaged files."""
    from argosy.state.ledger import Ledger

    for home, items in damaged.items():
        with closing(Ledger(home)) as ledger:
            ledger.storage = storage
            for id_, wrong in items.items():
                if id_ is None:
                    ledger.mark_aggregated_damaged([*wrong])
                else:
                    ledger.mark_damaged(id_, wrong)


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
