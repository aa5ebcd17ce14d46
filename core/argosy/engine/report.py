"""The report of a run."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from argosy._version import __version__
from argosy.errors import ArgosyError
from argosy.models.items import Failure, PublishedFile

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
class ItemReport:
    """What became of one item."""

    id: str
    title: str
    state: str  # "done" in this run, "skipped" (done before), "failed" or "left"
    paths: tuple[Path, ...]  # its files; none if the target directory is remote
    files: tuple[PublishedFile, ...]
    bytes: int  # received for it
    failure: Failure | None


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
    failures: tuple[Failure, ...]  # of the first failed items
    error: ArgosyError | None = field(compare=False)  # what ended the run early
    items: tuple[ItemReport, ...]  # in the order of the source

    def __repr__(self) -> str:
        counts = self.counts
        return f"<Report: {counts.done} done, {counts.skipped} done before, {counts.failed} failed, {counts.left} left>"

    def _repr_html_(self) -> str:
        return str(_writer("notebook")(self))

    @property
    def paths(self) -> list[Path]:
        """The files of all items, also of those that were done before."""
        return [path for item in self.items for path in item.paths]

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
            "failures": [asdict(failure) for failure in self.failures],
            "failures_total": self.counts.failed,
        }

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write it, with its items, as a page if the name ends in ``.html``, else as JSON; may raise `StorageError`."""
        _writer("html" if os.fspath(path).lower().endswith((".html", ".htm")) else "json")(self, Path(path))


def _writer(name: str) -> Any:
    """Return a function of the entry-point group ``argosy.reports``."""
    return next(iter(entry_points(group="argosy.reports", name=name))).load()
