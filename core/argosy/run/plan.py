"""The plan of a run: every item of the source, read and checked before the first request.

It lies in a temporary SQLite database on disk, so a manifest of a million lines needs no memory, and nothing
in the ledger changes where the manifest turns out to be wrong.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from argosy.errors import ConfigError, PluginError, Problem, SourceError
from argosy.model import Item, Job
from argosy.names import collision_key, problem_of
from argosy.run.ledger import Ledger, Row

#: Problems that are named before the run gives up on a source.
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
    """

    items: int
    to_do: int
    done: int
    bytes: int


class Plan:
    """Reads a source into a plan, and hands out what is to be done.

    Parameters
    ----------
    ledger
        The ledger of the target directory.
    tags
        Take only items that have one of these tags (compared without regard to case); all where empty.
    force
        Do everything again.
    """

    def __init__(self, ledger: Ledger, *, tags: tuple[str, ...] = (), force: bool = False) -> None:
        self.ledger = ledger
        self.force = force
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
        directory = self.ledger.private.parent
        for batch in self._batches("SELECT n, id, origin, fingerprint, title, item FROM plan"):
            known = self.ledger.rows([row[1] for row in batch])
            wanted = [row for row in batch if self._is_to_do(row, known.get(row[1]), directory)]
            fresh = [row for row in wanted if not self._is_under_way(row, known.get(row[1]))]
            self._db.executemany("UPDATE plan SET todo = 1 WHERE n = ?", [(row[0],) for row in wanted])
            if not dry and fresh:
                self.ledger.requeue([(id_, print_, title, item) for _, id_, _, print_, title, item in fresh])
        total, to_do, size = self._db.execute(
            "SELECT count(*), total(todo), total(bytes * todo) FROM plan"
        ).fetchone()
        return Planned(total, int(to_do), total - int(to_do), int(size))

    def jobs(self) -> Iterator[Job]:
        """Claim and yield what is to be done, one by one, in the order of the source."""
        for batch in self._batches("SELECT n, id FROM plan WHERE todo = 1"):
            for _, id_ in batch:
                claimed = self.ledger.claim(id_)
                if claimed is not None:
                    item, row = claimed
                    yield Job(item, frozenset(file.name for file in row.files), self.force)

    def preview(self) -> Iterator[Item]:
        """Yield what is to be done without claiming it."""
        for batch in self._batches("SELECT n, item FROM plan WHERE todo = 1"):
            for _, item in batch:
                yield Item.from_json(item)

    def rows(self) -> Iterator[tuple[Row, bool]]:
        """Yield what the ledger says of each item, and whether it was to be done, in the order of the source."""
        for batch in self._batches("SELECT n, id, todo FROM plan"):
            known = self.ledger.rows([id_ for _, id_, _ in batch])
            yield from ((known[id_], bool(todo)) for _, id_, todo in batch if id_ in known)

    def unfinished(self) -> dict[str, int]:
        """Return how many items that were to be done are pending, or active in some run."""
        states = {"pending": 0, "active": 0}
        for batch in self._batches("SELECT n, id FROM plan WHERE todo = 1"):
            for row in self.ledger.rows([id_ for _, id_ in batch]).values():
                if row.state in states:
                    states[row.state] += 1
        return states

    def _add(self, item: Item) -> list[Problem]:
        where = item.origin or item.id
        text = item.to_json()
        added = self._db.execute(
            "INSERT OR IGNORE INTO plan (id, origin, fingerprint, title, item, bytes) VALUES (?, ?, ?, ?, ?, ?)",
            (
                item.id,
                where,
                item.fingerprint(text),
                item.title,
                text,
                sum(r.size or 0 for r in item.resources),
            ),
        )
        if not added.rowcount:
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
        return [problem for name in named if (problem := self._add_name(name, where))]

    def _add_name(self, name: str, where: str) -> Problem | None:
        wrong = problem_of(name)
        if wrong:
            return Problem(where, f"the name {name!r} {wrong}", "a relative name that every system can store")
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

    def _is_to_do(self, row: tuple[Any, ...], known: Row | None, directory: Path) -> bool:
        if self.force or known is None or known.state != "done" or known.fingerprint != row[3]:
            return True
        return not all((directory / file.name).is_file() for file in known.files)

    def _is_under_way(self, row: tuple[Any, ...], known: Row | None) -> bool:
        """Return whether the item is in the queue, or in work by a living run, just as it is."""
        return (
            known is not None
            and known.fingerprint == row[3]
            and (known.state == "active" or (known.state == "pending" and not self.force))
        )

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
