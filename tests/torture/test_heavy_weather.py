"""Everything at once: a long run on a service that cuts, throttles, forgets who we are, and is started anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import argosy
from argosy_devkit import ServerStats
from hazards import fault
from voyage import Voyage

pytestmark = pytest.mark.slow

SetSail = Callable[..., Voyage]

WEATHER = [
    fault("cut", probability=0.05, fraction=0.5),
    fault("status", probability=0.025, status=429, retry_after=0),
    fault("status", probability=0.025, status=503),
    fault("login_page", probability=0.02),
    fault("reset", probability=0.01),
    fault("reset", probability=0.01, fraction=0.3),
    fault("lost", probability=0.005),
]


@pytest.mark.timeout(400)
@pytest.mark.torture(1, 8, 23, 25, 32)
def test_1000_items_in_heavy_weather(set_sail: SetSail) -> None:
    voyage = set_sail(
        items=1000,
        lease_mode="revoke",
        size=20_000,
        max_workers=8,
        max_retries=8,
        max_logins=300,
        token_save_interval=100,
        faults=WEATHER,
        seed=67,
    )
    before: list[ServerStats] = []
    finished: list[str] = []

    def on_event(event: Any) -> None:
        if event.kind == "resource.finished":
            finished.append(event.item)
            if len(finished) == 500:
                before.append(voyage.server.stats())
                voyage.server.restart()  # all sessions are lost with it

    report = argosy.download(voyage.file, on_event)
    both = [*before, voyage.server.stats()]
    struck = {kind: sum(stats.faults.get(kind, 0) for stats in both) for kind in {f.kind for f in WEATHER}}
    assert (report.exit_code, report.counts.done, report.counts.failed) == (0, 1000, 0), report.failures
    assert voyage.wrong() == [], "every file is right by its digest"
    assert sum(stats.replaced_tokens_sent for stats in both) == 0
    assert sum(stats.sessions_revoked for stats in both) == 0
    assert all(number > 0 for number in struck.values()), f"there was no such weather: {struck}"
    doubts = struck["login_page"] + struck["reset"] + struck["lost"]
    assert report.logins <= 2 + doubts, "a login for the beginning, the restart, and each session that was ended"
