"""A script of events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from argosy.events import Event, EventKind

MakeEvent = Callable[..., Event]


@pytest.fixture
def event() -> MakeEvent:
    """Make an event: ``event("item.started", "b1", at=3, title="T")``."""

    def make(kind: str, item: str | None = None, /, at: float = 1_700_000_000.0, **data: Any) -> Event:
        return Event(EventKind(kind), at, item, data)

    return make
