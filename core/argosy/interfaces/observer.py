"""The contract of an observer."""

from __future__ import annotations

from abc import abstractmethod

from argosy.events import Event
from argosy.interfaces.base import Plugin


class Observer(Plugin):
    """Sees the events of a run.

    .. versionadded:: 0.1
    """

    @abstractmethod
    def on_event(self, event: Event) -> None:
        """Take one event; never called by two threads at once, and expected to return soon."""
