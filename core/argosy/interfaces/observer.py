"""The interface of observers."""

from __future__ import annotations

from abc import abstractmethod

from argosy.events import Event
from argosy.interfaces.base import Plugin


class Observer(Plugin):
    """Receives the events of a run."""

    @abstractmethod
    def on_event(self, event: Event) -> None:
        """Take one event, and return soon; never called by two threads at once."""
