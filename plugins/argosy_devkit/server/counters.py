"""The counters of a running server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(slots=True)
class Counters:
    """The counters of `argosy_devkit.ServerStats` while they change."""

    requests: int = 0
    accepted: int = 0
    refused: int = 0
    anonymous: int = 0
    replaced_tokens_sent: int = 0
    logins: int = 0
    failed_logins: int = 0
    sessions_revoked: int = 0
    rotations: int = 0
    active: int = 0
    active_peak: int = 0
    bytes_sent: int = 0
    bodies_completed: Counter[str] = field(default_factory=Counter)
    requests_by_path: Counter[str] = field(default_factory=Counter)
    accepted_by_login: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def streaming(self) -> Iterator[None]:
        """Count a body in transfer."""
        self.active += 1
        self.active_peak = max(self.active_peak, self.active)
        try:
            yield
        finally:
            self.active -= 1

    def reset(self) -> None:
        """Start from zero; bodies in transfer still count."""
        active = self.active
        self.__init__(active=active, active_peak=active)  # type: ignore[misc]  # on purpose, on the same object

    def to_json(self) -> dict[str, Any]:
        """Return the counters as JSON values."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}
