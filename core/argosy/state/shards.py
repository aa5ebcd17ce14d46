"""The ledgers of one target directory: one for runs without shards, and one for each shard.

Only the runs of one shard write to its ledger, so the machines of a cluster need no common database. A run that divides
the items in another way first learns from the other ledgers what is done.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from argosy.errors import BusyError, ConfigError
from argosy.models.shard import Shard
from argosy.state.ledger import COUNT_CHANGE, FILE, PRIVATE, SHARDS, Ledger

#: The finished items of another ledger that a run adopts: of two rows with files, the newer one is right.
_ADOPTED = """
CREATE TEMP TABLE adopted AS SELECT id FROM other.items AS others WHERE is_ours(id)
AND (state = 'done' OR (state = 'active' AND item IS NULL)) AND NOT EXISTS (
    SELECT * FROM main.items WHERE id = others.id
    AND (state = 'active' OR (files != '[]' AND updated >= others.updated))
)
"""
_ADOPT = """
INSERT OR REPLACE INTO main.items (id, fingerprint, title, state, files, bytes, failure, updated, outputs)
SELECT id, fingerprint, title, 'done', files, bytes, failure, updated, outputs FROM other.items WHERE id IN adopted
"""
_REMEMBER = "INSERT OR REPLACE INTO remembered SELECT * FROM other.remembered WHERE id IN adopted"
_DISTRUST = "INSERT OR REPLACE INTO unsynced SELECT * FROM other.unsynced WHERE id IN adopted"


def home_of(directory: Path, shard: Shard | None) -> Path:
    """Return the folder of the ledger and staging of a shard; None is that of runs without shards."""
    return directory if shard is None else directory / PRIVATE / SHARDS / shard.name


def homes(directory: Path) -> dict[Shard | None, Path]:
    """Return the folders of the ledgers of a target directory, by shard."""
    ledgers = (directory / PRIVATE / SHARDS).glob(f"*/{PRIVATE}/{FILE}")
    names = " ".join(path.parts[-3] for path in ledgers if path.stat().st_size)  # an empty one has just been made
    shards = [Shard(int(number), int(count)) for number, count in re.findall(r"\b(\d+)-of-(\d+)\b", names)]
    shards.sort(key=lambda shard: (shard.count, shard.number))
    found = (None, *shards) if (directory / PRIVATE / FILE).exists() else shards
    return {shard: home_of(directory, shard) for shard in found}


def need_ledger(directory: Path, where: str | None = None) -> dict[Shard | None, Path]:
    """Return the `homes` of a target directory, whose name for the user is `where`; raise `ConfigError` if there are none."""
    if not (found := homes(directory)):
        hint = "Give the directory of a download, or its configuration."
        raise ConfigError(f"Nothing was downloaded into {where or directory} yet: it has no ledger.", hint=hint)
    return found


def open_ledger(directory: Path, shard: Shard | None) -> Ledger:
    """Open the ledger for a run of some shard; raise `BusyError` if a run that divides the items otherwise is alive."""
    home = home_of(directory, shard)
    for folder in (directory, home):  # for this user only: URLs may contain secrets
        (folder / PRIVATE).mkdir(mode=0o700, parents=True, exist_ok=True)
    ledger = Ledger(home)
    try:
        adopt(ledger, directory, shard)
    except BaseException:
        ledger.close()
        raise
    return ledger


def adopt(ledger: Ledger, directory: Path, shard: Shard | None, *, dry_run: bool = False) -> None:
    """Record what other ledgers of a directory have finished of this shard's items; raise `BusyError` if their runs are alive."""
    for other, home in homes(directory).items():
        if other == shard or (other is not None and shard is not None and other.count == shard.count):
            continue
        with closing(Ledger(home, read_only=True)) as found:
            if not dry_run and any(map(found.is_alive, found.runs())):
                raise BusyError(
                    f"{'A run of all items' if other is None else f'Shard {other}'} is at work in {directory}.",
                    hint="Wait until it ends, or divide the items in the same way.",
                )
        if dry_run:  # so it is read-only
            ledger.copy()
        take(ledger, home, shard.has if shard is not None else lambda id_: True)


def take(ledger: Ledger, home: Path, is_ours: Callable[[str], bool]) -> None:
    """Record what another ledger knows of our finished items, if that is newer."""
    other = f"{(home / PRIVATE / FILE).absolute().as_uri()}?mode=ro"
    with ledger.guard():
        ledger.db.create_function("is_ours", 1, is_ours)
        ledger.db.execute("ATTACH ? AS other", (other,))
        try:
            with ledger.transaction():
                ledger.db.execute(_ADOPTED)
                if ledger.db.execute(_ADOPT).rowcount:
                    ledger.db.execute(COUNT_CHANGE)
                for query in (_REMEMBER, _DISTRUST, "DROP TABLE adopted"):
                    ledger.db.execute(query)
        finally:
            ledger.db.execute("DETACH other")
