"""Tells a web service when a run ends, and how."""

from __future__ import annotations

import requests

import argosy
from argosy.events import Event, EventKind


class Webhook(argosy.Observer):
    """Sends the counts of a run as JSON. If the service is unreachable, a notice of the run says so."""

    name = "webhook"
    summary = "A POST with the counts of the run, when it ends"
    options_schema = {
        "type": "object",
        "properties": {"url": {"type": "string", "minLength": 1, "description": "The URL to send to."}},
        "required": ["url"],
    }

    def on_event(self, event: Event) -> None:
        """Send something, if this is the end: an observer is expected to return soon, so it waits 10 s at most."""
        if event.kind is EventKind.RUN_FINISHED:
            body = {"counts": event.data["counts"], "seconds": event.data["seconds"]}
            requests.post(self.options["url"], json=body, timeout=10).raise_for_status()


@argosy.hookimpl
def argosy_observer() -> type[argosy.Observer]:
    """Register the observer."""
    return Webhook
