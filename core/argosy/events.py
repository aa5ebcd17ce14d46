"""The events of a run, as observers see them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class EventKind(StrEnum):
    """What happened; the fields of `Event.data` are named behind each."""

    RUN_STARTED = "run.started"  # directory, strategy, max_workers, lease, sessions
    RUN_PLANNED = "run.planned"  # items, to_do, done (done already), bytes (promised by the manifest, or 0), remade (of to_do, there already)
    RUN_NOTICE = "run.notice"  # message: something the person should know, said once
    RUN_STOPPING = "run.stopping"  # message: why no new item is started, or what is still being finished
    RUN_FINISHED = "run.finished"  # the report's summary
    LOGIN = "session.login"  # number: how many logins this run has made, reason
    REFRESH = "session.refresh"  # number: how many times this run renewed a session without a login, reason
    ITEM_STARTED = "item.started"  # title, resources (how many)
    ITEM_FINISHED = "item.finished"  # state, bytes, seconds, files (how many), failure (message) or None
    RESOURCE_WAITING = "resource.waiting"  # for: "lease", "delay", "retry" or "login"; seconds where known
    RESOURCE_STARTED = "resource.started"  # url, path, size or None, offset (bytes there already)
    RESOURCE_PROGRESS = "resource.progress"  # bytes (received since the last such event)
    RESOURCE_RETRY = "resource.retry"  # url, attempt, cause, seconds
    RESOURCE_FINISHED = "resource.finished"  # url, path, bytes, verification


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Parameters
    ----------
    kind
        What happened.
    at
        Wall-clock time, seconds since the epoch.
    item
        The id of the item concerned, if any.
    data
        JSON values, without secrets; the keys stand behind each `EventKind`.
    """

    kind: EventKind
    at: float
    item: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


#: Takes an event; called from any thread of the run's process.
Emit = Callable[[EventKind, str | None, Mapping[str, Any]], None]
