"""The torture table: services that end sessions early, refuse new ones, or close connections without a word."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

import argosy
from argosy.errors import SessionLost
from argosy_devkit import Fault
from argosy_plugins.transports.requests import Losses
from hazards import fault
from voyage import Voyage, after

SetSail = Callable[..., Voyage]


@pytest.mark.torture(76)
@pytest.mark.parametrize("strategy", ["threads", "multiprocess"])
def test_short_sessions_do_not_end_a_run_that_makes_progress(set_sail: SetSail, strategy: str) -> None:
    voyage = set_sail(items=20, lease_mode="revoke", max_workers=2, max_logins=2, strategy=strategy)
    done: list[str] = []

    def on_event(event: Any) -> None:
        if event.kind == "resource.finished":
            done.append(event.item)
            if len(done) % 4 == 0:
                voyage.server.expire_sessions()

    report = argosy.download(voyage.file, on_event)
    stats = voyage.server.stats()
    assert (report.counts.done, voyage.wrong(), stats.replaced_tokens_sent) == (20, [], 0)
    assert stats.logins > 3, "the sessions were not ended"


@pytest.mark.torture(76)
def test_a_service_that_refuses_each_new_session_gets_few_logins(set_sail: SetSail) -> None:
    """The answer to the login is fine, and then nothing is: that is no progress."""
    voyage = set_sail(
        items=20,
        lease_mode="revoke",
        max_workers=2,
        max_logins=2,
        faults=[fault("login_page", path="/files/")],
    )
    with pytest.raises(SessionLost, match="no request was accepted after 2 logins in a row") as raised:
        argosy.download(voyage.file)
    assert '"max_logins"' in (raised.value.hint or "")
    assert voyage.server.stats().logins == 2


@pytest.mark.torture(77)
@pytest.mark.parametrize("lease_mode", ["revoke", "static", "soft"])
def test_every_refused_request_counts_and_few_carry_a_refused_token(set_sail: SetSail, lease_mode: str) -> None:
    """The account may log in, but gets nothing any more: eight workers find out, with one extra request for each login."""
    voyage = set_sail(items=120, lease_mode=lease_mode, max_workers=8, ttfb=0.005)
    before: list[int] = []

    def close_the_account() -> None:
        before.append(voyage.server.stats().logins)
        voyage.server.change(faults=(Fault("login_page", path="/files/"),))
        voyage.server.expire_sessions()

    with pytest.raises(SessionLost) as raised:
        argosy.download(voyage.file, after(8, close_the_account))
    report, stats = raised.value.report, voyage.server.stats()  # type: ignore[attr-defined]  # a note for the caller
    assert report.refusals == stats.refused > 0
    again = sum(
        stats.requests_by_path[f"/files/{item}/part-01.bin"] - stats.bodies_completed[f"/files/{item}/part-01.bin"]
        for item in voyage.done()
    )
    assert again <= stats.logins - before[0], "what was accepted before was asked for again and again"


@pytest.mark.torture(78)
def test_connections_that_close_after_each_answer_cost_two_logins_at_most(set_sail: SetSail) -> None:
    """A second request on such a connection goes out and is never answered: at the login, too."""
    closes = {"seconds": 0.5}
    voyage = set_sail(
        items=16,
        lease_mode="revoke",
        max_workers=2,
        faults=[fault("close_after", path="/login", **closes), fault("close_after", **closes)],
    )
    report = argosy.download(voyage.file)
    stats = voyage.server.stats()
    assert (report.counts.done, voyage.wrong()) == (16, [])
    assert (stats.replaced_tokens_sent, stats.refused, stats.logins) == (0, 0, 3)
    assert max(stats.requests_by_path[path] for path in stats.bodies_completed) <= 3


@pytest.mark.torture(78)
def test_requests_that_a_restart_loses_together_are_one_loss() -> None:
    losses, server = Losses(), ("library.example", 443)
    now = time.monotonic()
    for _ in range(8):
        losses.note(server, now)
    assert not losses.are_many(server)
    losses.note(server, time.monotonic())
    assert losses.are_many(server)
    assert not losses.are_many(("library.example", 80))
