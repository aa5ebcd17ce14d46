"""The report of a run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from argosy._version import __version__
from argosy.errors import ArgosyError
from argosy.models.items import Failure
from argosy.state.ledger import Row
from argosy.toolkit.failures import disk_error
from argosy.toolkit.files import atomic_write, open_special

#: Failures that a report names; its items and the ledger have them all.
MOST_FAILURES = 100


@dataclass(frozen=True, slots=True)
class Counts:
    """The number of items, of which `done` and `failed` are of this run; `skipped` were done before or by another run."""

    items: int
    done: int
    skipped: int
    failed: int
    left: int


@dataclass(frozen=True, slots=True)
class Report:
    """What one run did; as JSON it is valid by ``report.v1.json``."""

    run: str  # its id
    started: float  # seconds since the epoch
    seconds: float  # how long it took
    directory: Path  # the local folder of a remote target directory
    where: str  # the target directory as it is shown: its path or URL
    strategy_asked: str | None  # as configured
    strategy_used: str
    strategy_reason: str | None  # why it differs
    max_workers: int
    lease_asked: str
    lease_used: str  # in force at the end
    lease_reason: str | None
    sessions: int  # how many were used
    counts: Counts
    bytes: int  # of bodies that arrived
    requests: int
    retries: int
    logins: int
    refreshes: int  # renewals without a login
    refusals: int  # responses that rejected the token
    notices: tuple[str, ...]
    failures: tuple[tuple[str, str, Failure], ...]  # id, title and failure of the first failed items
    error: ArgosyError | None = field(compare=False)  # what ended the run early

    @property
    def exit_code(self) -> int:
        """The exit code of the command."""
        if self.error is not None:
            return self.error.exit_code
        return 1 if self.counts.failed else 0

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        same = ("max_workers", "sessions", "bytes", "requests", "retries", "logins", "refreshes", "refusals")
        started = datetime.fromtimestamp(self.started, UTC)
        return {
            "schema_version": 1,
            "argosy": __version__,
            "run": self.run,
            "started": started.isoformat(),
            "finished": (started + timedelta(seconds=self.seconds)).isoformat(),
            "seconds": round(self.seconds, 3),
            "exit_code": self.exit_code,
            "directory": self.where,
            "strategy": {"asked": self.strategy_asked, "used": self.strategy_used, "reason": self.strategy_reason},
            "lease": {"asked": self.lease_asked, "used": self.lease_used, "reason": self.lease_reason},
            "counts": asdict(self.counts),
            **{name: getattr(self, name) for name in same},
            "notices": list(self.notices),
            "failures": [{"id": i, "title": t, **asdict(failure)} for i, t, failure in self.failures],
            "failures_total": self.counts.failed,
        }


def write_report(report: Report, path: Path, items: Iterable[tuple[Row, bool]], as_json: Callable[..., str]) -> None:
    """Write a report with all items, each with whether it had a job, to a complete file, a pipe or a device.

    `as_json` returns a value as JSON without secrets. An existing file keeps its mode, and a link is followed.
    """
    try:
        special = open_special(path)
        with (
            atomic_write(Path(os.path.realpath(path)))
            if special is None
            else os.fdopen(special, "w", encoding="utf-8", errors="backslashreplace")
        ) as file:
            head = as_json(report.to_dict(), indent=2).removesuffix("\n}")
            file.write(f'{head},\n  "items": [')
            comma = ""
            for row, had_job in items:  # one by one: there may be a million
                file.write(f"{comma}\n    {as_json(_item(row, had_job=had_job))}")
                comma = ","
            file.write("\n  ]\n}\n")
    except OSError as error:
        raise disk_error(path, error) from None


def _item(row: Row, *, had_job: bool) -> dict[str, Any]:
    done = row.state == "done"
    state = {"done": "done" if had_job else "skipped", "failed": "failed"}.get(row.state, "left")
    if done and had_job and row.failure is not None:
        state = "failed"  # an additional output of an item that was done before
    return {
        "id": row.id,
        "title": row.title,
        "state": state,
        "files": [asdict(file) for file in row.files] if done else [],
        "bytes": row.bytes,
        "error": row.failure.message if row.failure else None,
    }
