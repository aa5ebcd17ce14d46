"""The plan of a run: every item of the source, read and checked before the first request.

It is a temporary SQLite database on disk, so a manifest of a million lines needs little memory, and the ledger does not
change if the manifest turns out to be invalid. `ReprocessPlan` plans further outputs of finished items.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from argosy.engine.outputs import Outputs
from argosy.engine.reuse import stand_there
from argosy.errors import ArgosyError, ConfigError, PluginError, Problem, SourceError
from argosy.interfaces.base import PluginContext
from argosy.interfaces.output import Output
from argosy.interfaces.source import Source
from argosy.models.items import DownloadRecord, Item, Job
from argosy.state.ledger import Ledger, Row
from argosy.storage.open import open_storage
from argosy.toolkit.failures import describe_exception
from argosy.toolkit.names import collision_key, problem_of
from argosy.toolkit.stop import Stop

if TYPE_CHECKING:
    from argosy.config.settings import Settings
    from argosy.plugins.manager import PluginManager

#: Problems to report before giving up on a source.
MOST_PROBLEMS = 20

#: Rows read or written at once; SQLite takes up to 999 parameters in a query.
BATCH = 500


@dataclass(frozen=True, slots=True)
class Planned:
    """How much a plan holds.

    Parameters
    ----------
    items
        All items that were chosen.
    to_do
        Those that are not done.
    done
        Those that were done already.
    bytes
        What the source promises for those that are to be done; 0 where it promises nothing.
    remade
        Those of `to_do` that are downloaded already: only other outputs are to be made of them.
    """

    items: int
    to_do: int
    done: int
    bytes: int
    remade: int = 0


#: What is to be done with an item: nothing; download it; make more of what is there; that was tried in this run.
NOTHING, DOWNLOAD, REMAKE, TRIED = range(4)


class Plan:
    """Reads a source into a plan, and hands out what is to be done.

    Attributes
    ----------
    fetch
        Whether what is not there may be fetched.

    Parameters
    ----------
    ledger
        The ledger of the target directory.
    tags
        Take only items that have one of these tags (compared without regard to case); all where empty.
    force
        Do everything again.
    outputs
        The outputs of the run.
    """

    fetch = True

    def __init__(
        self,
        ledger: Ledger,
        *,
        tags: tuple[str, ...] = (),
        force: bool = False,
        outputs: Outputs | None = None,
    ) -> None:
        self.ledger = ledger
        self.force = force
        self._outputs = outputs or Outputs()
        self._tags = frozenset(tag.casefold() for tag in tags)
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)  # a temporary file
        self._db.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
            "CREATE TABLE plan (n INTEGER PRIMARY KEY, id TEXT UNIQUE, origin TEXT, fingerprint TEXT, title TEXT,"
            " item TEXT, bytes INTEGER, todo INTEGER DEFAULT 0);"
            "CREATE TABLE names (key TEXT PRIMARY KEY, name TEXT, origin TEXT) WITHOUT ROWID;"
        )

    def close(self) -> None:
        """Forget the plan."""
        self._db.close()

    def read(self, items: Iterable[Item], source: str) -> None:
        """Read all items of a source.

        Parameters
        ----------
        items
            The items.
        source
            The name of the source's plugin, for messages.

        Raises
        ------
        SourceError
            If the source is not valid, or two items have one id or want one name. Nothing has happened yet.
        ConfigError
            If no item has one of the tags asked for.
        """
        problems: list[Problem] = []
        seen = 0
        self._db.execute("BEGIN")
        for item in items:
            if not isinstance(item, Item):
                raise PluginError(
                    f"The source {source!r} yielded {type(item).__name__} where an Item is expected."
                )
            seen += 1
            if self._tags and self._tags.isdisjoint(tag.casefold() for tag in item.tags):
                continue
            problems += self._add(item)
            if len(problems) >= MOST_PROBLEMS:
                break
        if problems:
            raise SourceError("Items get in each other's way, so nothing was started.", tuple(problems))
        self._db.execute("COMMIT")
        if seen and self._tags and not self._count("SELECT count(*) FROM plan"):
            raise ConfigError(
                f"None of the {seen} items has one of the tags asked for.",
                hint="Look at the tags in the manifest; they are compared without regard to case.",
            )

    def compare(self, *, dry: bool = False) -> Planned:
        """Compare with the ledger, put what is to be done in its queue, and return how much that is.

        Parameters
        ----------
        dry
            Leave the ledger as it is.
        """
        if not self.force and self.ledger.counts().get("done"):
            self.ledger.storage.survey()
        for batch in self._batches("SELECT n, id, origin, fingerprint, title, item FROM plan"):
            known = self.ledger.rows([row[1] for row in batch])
            kinds = {row[0]: self._kind(row, known.get(row[1])) for row in batch}
            wanted = [row for row in batch if kinds[row[0]] == DOWNLOAD]
            fresh = [row for row in wanted if not self._is_under_way(row, known.get(row[1]))]
            self._db.executemany(
                "UPDATE plan SET todo = ? WHERE n = ?", [(kind, n) for n, kind in kinds.items() if kind]
            )
            if not dry and fresh:
                self.ledger.requeue([(id_, print_, title, item) for _, id_, _, print_, title, item in fresh])
        total, download, remade, size = self._db.execute(
            "SELECT count(*), total(todo = 1), total(todo = 2), total(bytes * (todo = 1)) FROM plan"
        ).fetchone()
        to_do = int(download + remade)
        return Planned(total, to_do, total - to_do, int(size), int(remade))

    def jobs(self) -> Iterator[Job]:
        """Claim and yield what is to be done, one by one, in the order of the source."""
        for batch in self._batches("SELECT n, id, item, fingerprint FROM plan WHERE todo IN (1, 2)"):
            for n, id_, text, fingerprint in batch:
                claimed = self.ledger.claim(id_) if self.fetch else None
                if claimed is not None:
                    item, row, known = claimed
                    if row.fingerprint == fingerprint:  # the same, but its URLs may be newer than the queue's
                        item = Item.from_json(text)
                    yield self._job(item, row, known, None)
                elif (job := self._more_of_it(n, id_, text)) is not None:
                    yield job

    def _more_of_it(self, n: int, id_: str, text: str) -> Job | None:
        """Return the job to make what an item lacks that is done: by an earlier run, or another one meanwhile."""
        row = self.ledger.rows([id_]).get(id_)
        if row is None or row.state != "done":
            return None
        lacking = self._lacking(row)
        claimed = self.ledger.claim_done(id_) if lacking else None
        if claimed is None:
            return None
        self._db.execute("UPDATE plan SET todo = ? WHERE n = ?", (TRIED, n))
        row, known = claimed
        return self._job(Item.from_json(text), row, known, lacking)

    def _job(self, item: Item, row: Row, known: DownloadRecord | None, outputs: frozenset[str] | None) -> Job:
        replaces = frozenset(file.name for file in row.files)
        return Job(item, replaces, self.force, known, row.files, outputs, self.fetch)

    def preview(self) -> Iterator[tuple[Item, frozenset[str] | None]]:
        """Yield what is to be done without claiming it; with the outputs that are to be made of what is there."""
        for batch in self._batches("SELECT n, id, item, todo FROM plan WHERE todo > 0"):
            known = self.ledger.rows([row[1] for row in batch])
            for _, id_, text, kind in batch:
                lacking = self._lacking(known[id_]) if kind == REMAKE else None
                yield Item.from_json(text), lacking

    def rows(self) -> Iterator[tuple[Row, bool]]:
        """Yield what the ledger says of each item, and whether it was to be done, in the order of the source."""
        for batch in self._batches("SELECT n, id, todo FROM plan"):
            known = self.ledger.rows([id_ for _, id_, _ in batch])
            yield from ((known[id_], bool(todo)) for _, id_, todo in batch if id_ in known)

    def unfinished(self) -> dict[str, int]:
        """Return how many items that were to be done are pending, or active in some run."""
        states = {"pending": 0, "active": 0}
        for batch in self._batches("SELECT n, id, todo FROM plan WHERE todo > 0"):
            rows = self.ledger.rows([id_ for _, id_, _ in batch])
            for _, id_, kind in batch:
                row = rows[id_]
                if row.state == "active" or (row.state == "pending" and self.fetch):
                    states[row.state] += 1
                elif row.state == "done" and kind != TRIED and self._lacking(row):
                    states["pending"] += 1  # another run has done it, with other outputs
        return states

    def _lacking(self, row: Row) -> frozenset[str]:
        """Return the outputs that are to be made of a done item."""
        return self._outputs.missing(row, self.ledger.storage)

    def _add(self, item: Item) -> list[Problem]:
        where = item.origin or item.id
        text = item.to_json()
        if not self._insert(item, where, item.fingerprint(text), text):
            (other,) = self._db.execute("SELECT origin FROM plan WHERE id = ?", (item.id,)).fetchone()
            return [
                Problem(
                    where,
                    f"the id {item.id!r} was used before, at {other}",
                    "every item needs an id of its own",
                )
            ]
        named = [
            name for name, r in zip(item.names(), item.resources, strict=True) if not r.content_disposition
        ]
        unsafe = [problem for name in named if (problem := _unsafe(name, where))]
        if unsafe:
            return unsafe
        problems: list[Problem] = []
        asked: dict[str, Output] = {}  # by the outputs before
        for output, names in self._outputs.names(item):
            for name in names:
                other = asked.get(name)
                problem = (
                    self._add_name(name, where) if other is None else _conflict(name, where, other, output)
                )
                problems += [problem] if problem else []
            asked |= {name: output for name in names if name not in asked}
        return problems

    def _add_name(self, name: str, where: str) -> Problem | None:
        unsafe = _unsafe(name, where)
        if unsafe:
            return unsafe
        key = collision_key(name)
        added = self._db.execute("INSERT OR IGNORE INTO names VALUES (?, ?, ?)", (key, name, where))
        if added.rowcount:
            return None
        other, origin = self._db.execute("SELECT name, origin FROM names WHERE key = ?", (key,)).fetchone()
        return Problem(
            where,
            f"it wants the name {name!r}, but {origin} has {other!r}",
            'names that differ in more than case; give a "path", or set "paths": "full" for plain URLs',
        )

    def _kind(self, row: tuple[Any, ...], known: Row | None) -> int:
        """Return what is to be done with an item."""
        if self.force or known is None or known.state != "done" or known.fingerprint != row[3]:
            return DOWNLOAD
        if not self._lacking(known):
            return NOTHING
        remembered = self.ledger.remembered(known.id)
        if remembered is not None and stand_there(self.ledger.storage, remembered, known.files):
            return REMAKE
        return DOWNLOAD

    def _is_under_way(self, row: tuple[Any, ...], known: Row | None) -> bool:
        """Return whether the item is in the queue, or in work by a living run, just as it is."""
        return (
            known is not None
            and known.fingerprint == row[3]
            and (known.state == "active" or (known.state == "pending" and not self.force))
        )

    def _insert(self, item: Item, where: str, fingerprint: str, text: str) -> bool:
        """Add an item; return False where there is one of its id."""
        size = sum(resource.size or 0 for resource in item.resources)
        added = self._db.execute(
            "INSERT OR IGNORE INTO plan (id, origin, fingerprint, title, item, bytes) VALUES (?, ?, ?, ?, ?, ?)",
            (item.id, where, fingerprint, item.title, text, size),
        )
        return bool(added.rowcount)

    def _count(self, query: str) -> int:
        (count,) = self._db.execute(query).fetchone()
        return int(count)

    def _batches(self, query: str) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the rows of a query whose first column is `n`, in order, some at a time."""
        last = 0
        glue = "AND" if " WHERE " in query else "WHERE"
        while batch := self._db.execute(f"{query} {glue} n > ? ORDER BY n LIMIT {BATCH}", (last,)).fetchall():
            yield batch
            last = batch[-1][0]


def _conflict(name: str, where: str, one: Output, other: Output) -> Problem | None:
    """Return the problem of two outputs that want one name in one item.

    Several of one plugin may name the same resource, but not if they pack resources: each makes an archive of its own.
    """
    if one.name == other.name and type(one).restore is Output.restore:
        return None
    who = (
        f"the outputs {one.name!r} and {other.name!r}"
        if one.name != other.name
        else f"two outputs {one.name!r}"
    )
    return Problem(
        where, f"{who} want the name {name!r}", "another layout for one of them, in the configuration"
    )


def _unsafe(name: str, where: str) -> Problem | None:
    wrong = problem_of(name)
    if wrong is None:
        return None
    return Problem(where, f"the name {name!r} {wrong}", "a relative name that every system can store")


class ReprocessPlan(Plan):
    """A plan over all that the ledger says is done; its jobs fetch nothing."""

    fetch = False

    @classmethod
    def of(cls, settings: Settings, ledger: Ledger, outputs: Outputs) -> Self:
        """Return the plan of every done item that has one of the tags asked for.

        Raises
        ------
        ConfigError
            If no item has one of the tags asked for.
        SourceError
            If the outputs ask for one name for two items.
        PluginError
            If an output fails while it names its files.
        """
        plan = cls(ledger, tags=settings.tags, force=settings.force_redownload, outputs=outputs)
        try:
            plan.read((finished.item for finished in ledger.finished()), "ledger")
        except BaseException:
            plan.close()
            raise
        return plan

    def _kind(self, row: tuple[Any, ...], known: Row | None) -> int:
        return REMAKE if known is not None and self._lacking(known) else NOTHING

    def _lacking(self, row: Row) -> frozenset[str]:
        return self._outputs.labels if self.force else super()._lacking(row)


#: Items of a source after which the person is told how far it was read.
TELL_EVERY = 100_000


def read_plan(
    settings: Settings,
    source: Source | None,
    ledger: Ledger,
    *,
    outputs: Outputs | None = None,
    notice: Callable[[str], None],
    stop: Stop,
) -> Plan:
    """Return the plan of all items of a source; the ledger is as it was.

    Parameters
    ----------
    settings
        The run's settings.
    source
        Its source; None where the configuration has none.
    ledger
        The ledger of the target directory.
    outputs
        The outputs of the run.
    notice
        Told how far a source that takes long was read.
    stop
        Interrupts the reading.

    Raises
    ------
    ConfigError
        If there is no source, or nothing in it has the tags asked for.
    SourceError
        If the source is not valid.
    PluginError
        If its plugin fails.
    """
    if source is None:
        raise no_source()
    plan = Plan(ledger, tags=settings.tags, force=settings.force_redownload, outputs=outputs)
    try:
        plan.read(_until_stopped(source.items(), notice, stop), source.name)
    except BaseException as error:
        plan.close()
        if isinstance(error, ArgosyError | KeyboardInterrupt):
            raise
        what = describe_exception(error, source)
        raise PluginError(
            f"The source {source.name!r} failed while it was read: {what}. Nothing was started.",
            hint="Report it to the plugin's author.",
        ) from None
    return plan


def no_source() -> ConfigError:
    """Return the error of a run that has no source."""
    return ConfigError(
        "There is nothing to download: the configuration has no source.",
        hint='Give URLs on the command line, or set "source" in the configuration.',
    )


def _until_stopped(items: Iterator[Item], notice: Callable[[str], None], stop: Stop) -> Iterator[Item]:
    for number, item in enumerate(items):
        stop.check(between=True)
        if number and number % TELL_EVERY == 0:
            notice(f"{number:,} items read so far.")
        yield item


@dataclass(frozen=True, slots=True)
class Preview:
    """What would be done with one item.

    Parameters
    ----------
    item
        The item.
    remade
        Whether it is downloaded already, and only other outputs are to be made of it.
    names
        The final names that each output would make, as far as it knows them beforehand.
    """

    item: Item
    remade: bool
    names: Mapping[str, Sequence[str]]


def preview(
    settings: Settings, registry: PluginManager, show: Callable[[Preview], None], *, remake: bool = False
) -> Planned:
    """Show what a run would do, and do nothing: no request, no login, no change on the disk.

    Parameters
    ----------
    settings
        The run's settings.
    registry
        The installed plugins.
    show
        Called with each item that would be done.
    remake
        Whether only other outputs are to be made of what is done.
    """
    context = PluginContext(settings.base, settings.directory)
    source = registry.make(Source, settings.source, context) if settings.source else None
    outputs = Outputs.make(settings.output, registry, context)
    ledger = Ledger(settings.directory, read_only=True)
    try:
        ledger.storage = open_storage(settings.directory, settings.remote, registry, context)
        if remake:
            plan: Plan = ReprocessPlan.of(settings, ledger, outputs)
        else:
            plan = read_plan(
                settings,
                source,
                ledger,
                outputs=outputs,
                notice=lambda message: None,
                stop=Stop(),
            )
        try:
            planned = plan.compare(dry=True)
            for item, lacking in plan.preview():
                names = {output.name: names for output, names in outputs.names(item, lacking)}
                show(Preview(item, lacking is not None, names))
            return planned
        finally:
            plan.close()
    finally:
        ledger.close()
        for plugin in (*filter(None, (source,)), *(output for _, output in outputs.all)):
            plugin.close()
