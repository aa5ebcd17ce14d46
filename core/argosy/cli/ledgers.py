"""The ledgers of a target directory together: that of runs without shards, and those of shards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

from argosy.models.shard import Shard
from argosy.state.ledger import Ledger, Row

#: The folders of the ledgers, from `argosy.state.shards.homes`. One ledger is open at a time, as there may be thousands.
Homes = Mapping[Shard | None, Path]

#: The most numbers of shards to list.
_LISTED = 20


def read(homes: Homes) -> Iterator[tuple[Shard | None, Ledger]]:
    """Open one ledger after the other to read it."""
    for shard, home in homes.items():
        with closing(Ledger(home, read_only=True)) as ledger:
            yield shard, ledger


def current_rows(homes: Homes) -> Iterator[tuple[Path, Row]]:
    """Yield each item once, with the folder of its ledger; of several, the ledger that was changed last."""
    several = len({shard and shard.count for shard in homes}) > 1  # otherwise, all have different items
    if several:
        changed = {shard: _changed(ledger) for shard, ledger in read(homes)}
        homes = dict(sorted(homes.items(), key=lambda entry: changed[entry[0]], reverse=True))
    seen: set[str] = set()
    for shard, ledger in read(homes):
        for row in ledger.all_rows():
            if several and row.id in seen:
                continue
            if several:
                seen.add(row.id)
            yield homes[shard], row


def shards_text(shards: Iterable[Shard | None]) -> str:
    """Say how many shards have run, and which have not; empty without shards."""
    numbers: dict[int, set[int]] = {}
    for shard in filter(None, shards):
        numbers.setdefault(shard.count, set()).add(shard.number)
    return "; ".join(f"{len(run)} of {count}{_missing(run, count)}" for count, run in numbers.items())


def _missing(run: set[int], count: int) -> str:
    missing = [str(number) for number in range(1, count + 1) if number not in run]
    more = ", ..." if len(missing) > _LISTED else ""
    return f" (not started: {', '.join(missing[:_LISTED])}{more})" if missing else ""


def _changed(ledger: Ledger) -> float:
    with ledger.guard():
        (found,) = ledger.db.execute("SELECT max(updated) FROM items").fetchone()
        return float(found or 0.0)
