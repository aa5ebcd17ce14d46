"""The events of a run, as observers receive them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class EventKind(StrEnum):
    """What happened; the comments list the fields of `Event.data`."""

    RUN_STARTED = "run.started"  # directory, strategy, max_workers, lease, sessions
    RUN_LISTING = "run.listing"  # items: how many a source that asks a service has yielded so far
    RUN_PLANNED = "run.planned"  # items, to_do, done, bytes (promised, or 0), remade (of to_do), beyond (the limit)
    RUN_NOTICE = "run.notice"  # message: a fact the user should know, sent once
    RUN_STOPPING = "run.stopping"  # message: why no new item starts, or what still has to finish
    RUN_FINISHED = "run.finished"  # the report's summary
    LOGIN = "session.login"  # number: of logins in this run, reason
    REFRESH = "session.refresh"  # number: of renewals without a login in this run, reason
    REFUSAL = "session.refusal"  # a response rejected the session's token
    ITEM_STARTED = "item.started"  # title, resources (their number)
    ITEM_FINISHED = (
        "item.finished"  # state, bytes, seconds, files (their number), failure (message) and its kind, or None
    )
    #: for: "lease", "doubt", "login" (at host), or "delay": seconds, host, why: "delay", "throttled", "down" (since: seconds)
    RESOURCE_WAITING = "resource.waiting"
    RESOURCE_ANSWERED = "resource.answered"  # url, status, sent, answered (when)
    RESOURCE_STARTED = "resource.started"  # url, path, size or None, offset (had before), sent, answered (when)
    RESOURCE_PROGRESS = "resource.progress"  # bytes (received since the last such event)
    RESOURCE_RETRY = "resource.retry"  # url, attempt, cause, kind (one word), seconds
    RESOURCE_FINISHED = "resource.finished"  # url, path, bytes, verification


@dataclass(frozen=True, slots=True)
class Event:
    """One event."""

    kind: EventKind
    at: float  # seconds since the epoch
    item: str | None = None  # the ID of its item
    data: Mapping[str, Any] = field(default_factory=dict)  # JSON without secrets; `EventKind` lists the keys


#: Takes an event; may be called from any thread of the run's process.
Emit = Callable[[EventKind, str | None, Mapping[str, Any]], None]
