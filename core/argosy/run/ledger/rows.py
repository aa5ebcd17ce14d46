"""What the ledger knows of an item, and of a run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from argosy.model import Failure, KeptFile, Verification

#: The columns of a `Row`, in its order.
COLUMNS = "id, title, state, fingerprint, files, bytes, failure, owner, outputs"


@dataclass(frozen=True, slots=True)
class Row:
    """What the ledger knows of an item.

    Parameters
    ----------
    files
        What stands under final names.
    outputs
        The outputs that were made of it.
    """

    id: str
    title: str
    state: str
    fingerprint: str
    files: tuple[KeptFile, ...]
    bytes: int
    failure: Failure | None
    owner: str | None
    outputs: tuple[str, ...] = ()

    @property
    def is_old(self) -> bool:
        """Whether an older argosy made its files, whose ledger did not know the outputs."""
        return any(not file.output for file in self.files)

    @classmethod
    def of(cls, columns: tuple[Any, ...]) -> Row:
        """Return the row of a query for the usual columns."""
        id_, title, state, fingerprint, files, size, failure, owner, outputs = columns
        kept = parse_files(files)
        return cls(
            id_,
            title,
            state,
            fingerprint,
            kept,
            size,
            Failure(**json.loads(failure)) if failure else None,
            owner,
            tuple(json.loads(outputs)),
        )


@dataclass(frozen=True, slots=True)
class Owner:
    """A run that has items of the ledger in work.

    Parameters
    ----------
    run
        Its id.
    alive
        Whether it lives; what a dead one left is taken over by the next.
    items
        The ids of what it works on.
    pid, host, since
        Its process, and when it began (seconds since the epoch); 0 and empty where unknown.
    """

    run: str
    alive: bool
    items: tuple[str, ...]
    pid: int = 0
    host: str = ""
    since: float = 0.0


def parse_files(text: str) -> tuple[KeptFile, ...]:
    """Return the files that `files_text` wrote, or an older ledger, which did not know the outputs."""
    return tuple(KeptFile(n, s, d, Verification(v), *output) for n, s, d, v, *output in json.loads(text))


def files_text(files: tuple[KeptFile, ...]) -> str:
    """Return files as the ledger keeps them."""
    return json.dumps([[f.name, f.size, f.sha256, f.verification.value, f.output] for f in files])
