"""The report of a run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from argosy._version import __version__
from argosy.errors import ArgosyError
from argosy.models.items import Failure
from argosy.state.ledger import Row
from argosy.toolkit.failures import disk_error
from argosy.toolkit.files import atomic_write, open_special

#: Failures that a report names; the ledger, and the report's items, have them all.
MOST_FAILURES = 100


@dataclass(frozen=True, slots=True)
class Counts:
    """How many items there are of each kind; `items` is the sum of the others.

    Parameters
    ----------
    done
        Done in this run.
    skipped
        Done before it, or by another run meanwhile.
    failed
        Failed in this run.
    left
        Neither, as the run ended early.
    """

    items: int = 0
    done: int = 0
    skipped: int = 0
    failed: int = 0
    left: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """What one run did; as JSON it is valid by ``report.v1.json``.

    Parameters
    ----------
    run
        The run's id.
    started, finished
        Seconds since the epoch.
    seconds
        How long it took, on the monotonic clock.
    directory
        The target directory; the local folder of a remote one.
    strategy_asked, strategy_used, strategy_reason
        What was asked for (None: nothing), what ran, and why another one ran.
    max_workers
        Items at once, at most.
    lease_asked, lease_used, lease_reason
        The lease that was asked for, the one in force at the end, and why (None: as asked).
    sessions
        How many sessions were used.
    counts
        The items.
    bytes, requests, retries, logins, refreshes, refusals
        Body bytes received; requests; further attempts; logins; renewals of a session without a login; responses
        that were refusals.
    notices
        What the person was told.
    failures
        (id, title, failure) of the first items that failed.
    error
        What ended the run early, or None.
    url
        The URL of a remote target directory; None for a local one.
    """

    run: str
    started: float
    finished: float
    seconds: float
    directory: Path
    strategy_asked: str | None
    strategy_used: str
    strategy_reason: str | None
    max_workers: int
    lease_asked: str
    lease_used: str
    lease_reason: str | None
    sessions: int
    counts: Counts
    bytes: int = 0
    requests: int = 0
    retries: int = 0
    logins: int = 0
    refreshes: int = 0
    refusals: int = 0
    notices: tuple[str, ...] = ()
    failures: tuple[tuple[str, str, Failure], ...] = ()
    error: ArgosyError | None = field(default=None, compare=False)
    url: str | None = None

    @property
    def where(self) -> str:
        """The target directory, as it is shown."""
        return self.url or str(self.directory)

    @property
    def exit_code(self) -> int:
        """The exit code that tells how the run went."""
        if self.error is not None:
            return self.error.exit_code
        return 1 if self.counts.failed else 0

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "schema_version": 1,
            "argosy": __version__,
            "run": self.run,
            "started": datetime.fromtimestamp(self.started, UTC).isoformat(),
            "finished": datetime.fromtimestamp(self.finished, UTC).isoformat(),
            "seconds": round(self.seconds, 3),
            "exit_code": self.exit_code,
            "directory": self.where,
            "strategy": {
                "asked": self.strategy_asked,
                "used": self.strategy_used,
                "reason": self.strategy_reason,
            },
            "max_workers": self.max_workers,
            "lease": {"asked": self.lease_asked, "used": self.lease_used, "reason": self.lease_reason},
            "sessions": self.sessions,
            "counts": asdict(self.counts),
            "bytes": self.bytes,
            "requests": self.requests,
            "retries": self.retries,
            "logins": self.logins,
            "refreshes": self.refreshes,
            "refusals": self.refusals,
            "notices": list(self.notices),
            "failures": [{"id": i, "title": t, **asdict(failure)} for i, t, failure in self.failures],
            "failures_total": self.counts.failed,
        }

    def write(self, path: Path, items: Iterable[tuple[Row, bool]], as_json: Callable[..., str]) -> None:
        """Write it with all its items; they are written one by one, and a file appears only whole.

        Parameters
        ----------
        path
            The file. One that exists is replaced and keeps its mode; a link is followed, and a pipe or a device is
            written to.
        items
            What the ledger says of each item of the plan, and whether it was to be done.
        as_json
            Returns a value as JSON without secrets (`argosy.toolkit.redaction.Redactor.json`): an id may be a URL, and a title
            or a name what a server says.

        Raises
        ------
        StorageError
            If it cannot be written.
        """
        try:
            special = open_special(path)
            if special is None:
                with atomic_write(Path(os.path.realpath(path))) as file:
                    self._write_to(file, items, as_json)
                return
            with os.fdopen(special, "w", encoding="utf-8", errors="backslashreplace") as file:
                self._write_to(file, items, as_json)
        except OSError as error:
            raise disk_error(path, error) from None

    def _write_to(self, file: TextIO, items: Iterable[tuple[Row, bool]], as_json: Callable[..., str]) -> None:
        head = as_json(self.to_dict(), indent=2).removesuffix("\n}")
        file.write(f'{head},\n  "items": [')
        file.writelines(_lines(items, as_json))
        file.write("\n  ]\n}\n")


def _lines(items: Iterable[tuple[Row, bool]], as_json: Callable[..., str]) -> Iterator[str]:
    comma = ""
    for row, was_to_do in items:
        done = "done" if was_to_do else "skipped"
        if was_to_do and row.failure is not None:  # more was to be made of what is done before
            done = "failed"
        value = {
            "id": row.id,
            "title": row.title,
            "state": {"done": done, "failed": "failed"}.get(row.state, "left"),
            "files": [asdict(file) for file in row.files] if row.state == "done" else [],
            "bytes": row.bytes,
            "error": row.failure.message if row.failure else None,
        }
        yield f"{comma}\n    {as_json(value)}"
        comma = ","
