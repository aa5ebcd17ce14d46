"""The plan of a run: every item of the source, read and checked before the first request.

It is a temporary SQLite database on disk, so a manifest of a million lines needs little memory, and the ledger does not
change if the manifest turns out to be invalid.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import BaseAdapter

from argosy.config.location import open_storage
from argosy.engine.context import RunContext
from argosy.engine.outputs import Outputs, plugin_errors
from argosy.errors import ConfigError, PluginError, Problem, SourceError, StorageError, TransferError
from argosy.events import Emit, EventKind
from argosy.interfaces.base import PluginContext
from argosy.interfaces.output import Output
from argosy.interfaces.source import Source
from argosy.models.items import DownloadRecord, Item, Job
from argosy.plugins.kinds import Kind
from argosy.state.ledger import CACHE, Ledger, Row
from argosy.state.shards import adopt
from argosy.toolkit.names import collision_key, problem_of
from argosy.toolkit.redaction import Redactor
from argosy.toolkit.stop import Stop

if TYPE_CHECKING:
    from argosy.config.settings import Settings
    from argosy.engine.sessions.provider import SessionProvider
    from argosy.plugins.manager import PluginManager

#: Problems to report before giving up on a source.
MOST_PROBLEMS = 20

#: Rows to read or write together; SQLite takes up to 999 parameters in a query.
BATCH = 500

#: Items to claim together; another run gets none of them.
MOST_CLAIMS = 32

#: Seconds between two reports of how many items a source has found.
LISTING_SECONDS = 0.5

#: What to do with an item: nothing; nothing more, as it was tried; make outputs of published files; download it.
NOTHING, TRIED, REPROCESS, DOWNLOAD = range(4)


@dataclass(frozen=True, slots=True)
class Planned:
    """How many items a run has."""

    items: int
    to_do: int
    done: int
    bytes: int  # the size that the source promises for those to download
    remade: int  # those to do that only lack outputs
    beyond: int = 0  # others to do, which the limit leaves out


#: Shows an item of a job, whether it only lacks outputs, and the final names that each output already knows.
Show = Callable[[Item, bool, Mapping[str, Sequence[str]]], None]
#: Yields those items of a source that a run takes.
Select = Callable[[Iterator[Item]], Iterator[Item]]


class Plan:
    """Reads the items of a source, or without one the finished items, and yields jobs for those with work to do."""

    def __init__(self, settings: Settings, source: Source | None, ledger: Ledger, outputs: Outputs) -> None:
        self._source = source
        self._ledger = ledger
        self._force = settings.force_redownload
        self._claims = min(settings.max_workers, MOST_CLAIMS)
        self._fetch = source is not None
        self._shard = settings.shard
        self._outputs = outputs
        self._tags = frozenset(tag.casefold() for tag in settings.tags)
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)  # a temporary file
        self._db.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; "
            f"PRAGMA cache_size = -{CACHE};"
            "CREATE TABLE plan (n INTEGER PRIMARY KEY, id TEXT UNIQUE, origin TEXT, fingerprint TEXT, title TEXT,"
            " item TEXT, bytes INTEGER, todo INTEGER DEFAULT 0);"
            "CREATE TABLE names (key TEXT PRIMARY KEY, name TEXT, origin TEXT) WITHOUT ROWID;"
        )

    def close(self) -> None:
        """Delete the plan."""
        self._db.close()

    def read(self, stop: Stop, pool: SessionProvider | None, emit: Emit, select: Select = iter) -> None:
        """Read the selected items that have one of the tags; raise SourceError if two of them conflict."""
        problems: list[Problem] = []
        seen = taken = 0
        try:
            self._db.execute("BEGIN")
            finished = (finished.item for finished in self._ledger.finished())
            for item in finished if self._source is None else select(items_of(self._source, pool, stop, emit)):
                seen += 1
                if self._tags and self._tags.isdisjoint(tag.casefold() for tag in item.tags):
                    continue
                taken += 1
                problems += self._add(item)
                if len(problems) >= MOST_PROBLEMS:
                    break
            if self._shard is not None:  # only now, so that each shard finds the same problems
                self._db.create_function("has", 1, self._shard.has)
                self._db.execute("DELETE FROM plan WHERE NOT has(id)")
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            hint = "Free some space in the temporary directory."
            raise StorageError(f"The plan of the run cannot be written: {error}.", hint=hint) from None
        if problems:
            raise SourceError("Some items conflict; nothing was downloaded.", tuple(problems))
        if seen and not taken:
            hint = "Check the tags in the manifest; upper and lower case are the same."
            raise ConfigError(f"None of the {seen} items has one of the given tags.", hint=hint)

    def _add(self, item: Item) -> Iterator[Problem]:
        """Add an item and the names that it will have; yield its conflicts."""
        where, text = item.origin or item.id, item.to_json()
        size = sum(resource.size or 0 for resource in item.resources)
        added = self._db.execute(
            "INSERT OR IGNORE INTO plan (id, origin, fingerprint, title, item, bytes) VALUES (?, ?, ?, ?, ?, ?)",
            (item.id, where, item.fingerprint(text), item.title, text, size),
        )
        if not added.rowcount:
            (other,) = self._db.execute("SELECT origin FROM plan WHERE id = ?", (item.id,)).fetchone()
            yield Problem(where, f"the id {item.id!r} was used before, at {other}", "a unique id for every item")
            return
        named = zip(item.names(), item.resources, strict=True)
        unsafe = [_unsafe(name, where) for name, resource in named if not resource.content_disposition]
        if any(unsafe):
            yield from filter(None, unsafe)
            return
        first: dict[str, Output] = {}  # the first output that wants a name
        for output, names in self._outputs.names(item):
            for name in names:
                other_output = first.get(name)
                if other_output is None:
                    yield from filter(None, (_unsafe(name, where) or self._claim(name, where, item),))
                # outputs of one plugin may publish the same resource, but not if they pack resources
                elif other_output.name != output.name or type(output).restore is not Output.restore:
                    found = f"the outputs {other_output.name!r} and {output.name!r} want the name {name!r}"
                    yield Problem(where, found, "another layout for one of them, in the configuration")
            first |= {name: output for name in names if name not in first}

    def _claim(self, name: str, where: str, item: Item) -> Problem | None:
        key = collision_key(name)
        added = self._db.execute("INSERT OR IGNORE INTO names VALUES (?, ?, ?)", (key, name, where))
        if added.rowcount:
            return None
        other, origin = self._db.execute("SELECT name, origin FROM names WHERE key = ?", (key,)).fetchone()
        cure = 'names that differ in more than case: a "path" for each in the manifest'
        if name not in item.names():
            cure = 'a "layout" of the output that differs for each file, such as "{id}/{path}"'
        elif self._source is not None and self._source.name == "urls":
            cure = 'names with the host and path: --paths full, or paths = "full" of the source in a configuration'
        return Problem(where, f"it wants the name {name!r}, but {origin} has {other!r}", cure)

    def compare(self, *, dry_run: bool = False, limit: int | None = None) -> Planned:
        """Compare with the ledger, drop items beyond `limit` with work to do, and queue downloads unless this is a dry run."""
        if not self._force and self._ledger.counts().get("done"):
            self._ledger.storage.survey()
        for batch in self._batches("fingerprint", "title", "item"):
            queue, kinds, beyond = [], [], []
            for row, n, id_, _, fingerprint, *rest in batch:
                kind = self._kind(row, fingerprint)
                if kind != NOTHING:
                    if limit is not None and (limit := limit - 1) < 0:
                        beyond.append((n,))
                        continue
                    kinds.append((kind, n))
                # it may be in the queue, or a living run works on it
                states = ("active",) if self._force else ("active", "pending")
                under_way = row is not None and row.fingerprint == fingerprint and row.state in states
                if kind == DOWNLOAD and not under_way:
                    queue.append((id_, fingerprint, *rest))
            self._db.executemany("UPDATE plan SET todo = ? WHERE n = ?", kinds)
            self._db.executemany("DELETE FROM plan WHERE n = ?", beyond)
            if queue and not dry_run:
                self._ledger.requeue(queue)
        items, download, remade, size = self._db.execute(
            "SELECT count(*), total(todo = ?), total(todo = ?), total(bytes * (todo = ?)) FROM plan",
            (DOWNLOAD, REPROCESS, DOWNLOAD),
        ).fetchone()
        to_do = int(download + remade)
        return Planned(items, to_do, items - to_do, int(size), int(remade), max(-(limit or 0), 0))

    def _kind(self, row: Row | None, fingerprint: str) -> int:
        if not self._fetch:
            return REPROCESS if row is not None and self._lacking(row) else NOTHING
        if self._force or row is None or row.state != "done" or row.fingerprint != fingerprint:
            return DOWNLOAD
        if not self._lacking(row):
            return NOTHING
        record, storage = self._ledger.remembered(row.id), self._ledger.storage
        there = {(file.size, file.sha256) for file in row.files if storage.size(file.name) == file.size}
        if record is not None and all((size, digest) in there for size, digest, _, _ in record.files):
            return REPROCESS  # all resources seem to be published; the worker verifies them
        return DOWNLOAD

    def _lacking(self, row: Row) -> frozenset[str]:
        """Return the outputs to make of a done item."""
        if self._force and not self._fetch:
            return self._outputs.labels
        return self._outputs.missing(row, self._ledger.storage)

    def jobs(self, stop: Stop) -> Iterator[Job]:
        """Claim a few items at a time, and yield their jobs in the order of the source, until the run is stopped."""
        for batch in self._selected("item", "fingerprint", least=REPROCESS, size=self._claims):
            if stop.draining:
                return
            claimed = self._ledger.claim([id_ for _, id_, *_ in batch]) if self._fetch else {}
            for n, id_, _, text, fingerprint in batch:
                if stop.draining:
                    return
                if id_ in claimed:
                    row, record, queued = claimed[id_]
                    # the source's URLs may be newer than the queue's
                    item = Item.from_json(text if row.fingerprint == fingerprint else queued)
                    yield self._job(item, row, record, None)
                elif (job := self._reprocess_job(n, id_, text)) is not None:
                    yield job

    def _reprocess_job(self, n: int, id_: str, text: str) -> Job | None:
        """Return the job to make the missing outputs of an item that is done, possibly by another run meanwhile."""
        row = self._ledger.rows([id_]).get(id_)
        lacking = self._lacking(row) if row is not None and row.state == "done" else None
        claimed = self._ledger.claim([id_], "done") if lacking else {}
        if id_ not in claimed:
            return None
        self._db.execute("UPDATE plan SET todo = ? WHERE n = ?", (TRIED, n))
        row, record, _ = claimed[id_]
        return self._job(Item.from_json(text), row, record, lacking)

    def _job(self, item: Item, row: Row, record: DownloadRecord | None, outputs: frozenset[str] | None) -> Job:
        replaces = frozenset(file.name for file in row.files)
        return Job(item, replaces, self._force, record, row.files, outputs, self._fetch)

    def unfinished(self) -> tuple[int, int]:
        """Return how many planned items are still pending, and active in some run."""
        pending = active = 0
        for batch in self._selected(least=TRIED):
            states = self._ledger.states([id_ for _, id_, _ in batch])
            found = [state for state, _ in states.values()]
            active += found.count("active")
            pending += found.count("pending") if self._fetch else 0
            # another run may have done an item with other outputs
            others = [id_ for _, id_, kind in batch if kind != TRIED and states[id_] == ("done", False)]
            pending += sum(bool(self._lacking(row)) for row in self._ledger.rows(others).values())
        return pending, active

    def preview(self, show: Show) -> None:
        """Show what the jobs will do."""
        for batch in self._batches("item", least=REPROCESS):
            for row, _, _, kind, text in batch:
                item = Item.from_json(text)
                labels = self._lacking(row) if kind == REPROCESS else None
                names = {output.name: names for output, names in self._outputs.names(item, labels)}
                show(item, labels is not None, names)

    def rows(self) -> Iterator[tuple[Row, bool]]:
        """Yield the ledger's row of each item, and whether it had a job, in the order of the source."""
        for batch in self._batches():
            yield from ((row, kind != NOTHING) for row, _, _, kind in batch if row is not None)

    def _batches(self, *columns: str, least: int = NOTHING) -> Iterator[list[tuple[Any, ...]]]:
        """Yield in batches, in the order of the source: the row in the ledger or None, n, id, todo, and more columns."""
        for batch in self._selected(*columns, least=least):
            rows = self._ledger.rows([id_ for _, id_, *_ in batch])
            yield [(rows.get(id_), n, id_, *rest) for n, id_, *rest in batch]

    def _selected(self, *columns: str, least: int, size: int = BATCH) -> Iterator[list[tuple[Any, ...]]]:
        """Yield in batches, in the order of the source: n, id, todo, and more columns."""
        selected = ", ".join(("n", "id", "todo", *columns))
        query = f"SELECT {selected} FROM plan WHERE todo >= ? AND n > ? ORDER BY n LIMIT ?"  # noqa: S608 - names
        last = 0
        while batch := self._db.execute(query, (least, last, size)).fetchall():
            yield batch
            last = batch[-1][0]


class _NoSession(requests.Session):
    def get_adapter(self, url: str | bytes) -> BaseAdapter:
        raise RuntimeError("it sends a request, but its class does not set asks = True")


def items_of(source: Source, pool: SessionProvider | None, stop: Stop, emit: Emit) -> Iterator[Item]:
    """Yield the items of a source; if it asks, log in first, and tell now and then how many items there are so far."""
    asked, due = pool if source.asks else None, 0.0
    if asked is not None:
        asked.log_in()
    try:
        with plugin_errors("source", source):
            for number, item in enumerate(source.items(_NoSession() if asked is None else asked.http), 1):
                stop.check(between=True)
                if not isinstance(item, Item):
                    raise PluginError(f"The source {source.name!r} yielded {item!r:.100} instead of an Item.")
                if asked is not None and time.monotonic() >= due:
                    due = time.monotonic() + LISTING_SECONDS
                    emit(EventKind.RUN_LISTING, None, {"items": number})
                yield item
    except TransferError as error:
        text = error.message if repr(source.name) in error.message else f"The source {source.name!r} failed: {error}"
        raise SourceError(text, hint=error.hint) from None
    finally:
        if asked is not None:
            asked.sync()


def _unsafe(name: str, where: str) -> Problem | None:
    wrong = problem_of(name)
    if wrong is None:
        return None
    return Problem(where, f"the name {name!r} {wrong}", "a relative name that every system can store")


def need_source(settings: Settings) -> None:
    """Raise `ConfigError` if a configuration has no source."""
    if settings.source is None:
        hint = 'Give URLs on the command line, or set "source" in the configuration.'
        raise ConfigError("There is nothing to download: the configuration has no source.", hint=hint)


def preview(
    settings: Settings,
    plugins: PluginManager,
    show: Show,
    emit: Emit = lambda *_: None,
    redactor: Redactor | None = None,
    *,
    reprocess: bool = False,
    select: Select = iter,
    limit: int | None = None,
    **asking: Any,
) -> Planned:
    """Show each item that a run would do; change no more than the session of a source that asks, and otherwise send nothing."""
    context, stop, pool = PluginContext(settings.base, settings.directory), Stop(), None
    with ExitStack() as stack:
        source = None
        if not reprocess:
            need_source(settings)
            cls = plugins.find(Kind.SOURCE, (settings.source or {})["use"]).cls
            if issubclass(cls, Source) and cls.asks:
                given = replace(settings, source=None, output=())
                run = RunContext(given, plugins, emit, stop, redactor or Redactor(), **asking)
                stack.callback(run.close)
                context, pool = run.plugin_context, run.pool
            source = plugins.make(Source, settings.source or {}, context)
            stack.callback(source.close)
        outputs = Outputs(settings.output, plugins, context)
        for output in outputs.all.values():
            stack.callback(output.close)
        ledger = stack.enter_context(closing(Ledger(settings.home, read_only=True)))
        adopt(ledger, settings.directory, settings.shard, dry_run=True)
        ledger.storage = open_storage(settings.remote, plugins, context)
        plan = stack.enter_context(closing(Plan(settings, source, ledger, outputs)))
        plan.read(stop, pool, emit, select)
        planned = plan.compare(dry_run=True, limit=limit)
        plan.preview(show)
        return planned
