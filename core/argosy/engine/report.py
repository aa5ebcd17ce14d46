"""The report of a run."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from argosy._version import __version__
from argosy.errors import ArgosyError
from argosy.models.items import Failure

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

    def __repr__(self) -> str:
        counts = self.counts
        return f"<Report: {counts.done} done, {counts.skipped} done before, {counts.failed} failed, {counts.left} left>"

    @property
    def ok(self) -> bool:
        """Whether all items are done."""
        return self.exit_code == 0 and not self.counts.left

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
