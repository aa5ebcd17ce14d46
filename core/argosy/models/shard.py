"""A shard: one of several runs, on any machines, that divide the items of a source by their ids."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import PurePosixPath

from argosy.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Shard:
    """Shard `number` of `count`, from 1."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @property
    def name(self) -> str:
        """Its name in the names of files and folders."""
        return f"{self.number}-of-{self.count}"

    def mark(self, path: str) -> str:
        """Return the path of a file over all items for this shard: ``index-1-of-3.jsonl``."""
        return str(PurePosixPath(path).with_stem(f"{PurePosixPath(path).stem}-{self.name}"))

    def has(self, id_: str) -> bool:
        """Return whether an item is in this shard, which does not depend on other items."""
        digest = hashlib.blake2b(id_.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.count == self.number - 1


def shard_of(text: str) -> Shard:
    """Return the shard for ``I/N``; raise a ConfigError if there is no such shard."""
    shard = Shard(*map(int, text.split("/")))
    if shard.number > shard.count:
        raise ConfigError(f"There is no shard {shard}.", hint="Shards are numbered from 1: 1/3, 2/3, 3/3.")
    return shard
