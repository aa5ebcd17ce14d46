"""Many workers on one session whose token is replaced: the promise of the whole project."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

import argosy
from argosy.config.load import load
from argosy.engine.run import Run
from argosy.interfaces.strategy import Work
from argosy.leasing.policy import LeaseMode
from argosy.models.items import Job, Outcome
from argosy.plugins.manager import PluginManager
from argosy_devkit import Fault
from argosy_plugins.strategies.threads import ThreadsStrategy
from voyage import Voyage

SetSail = Callable[..., Voyage]


@pytest.mark.parametrize(
    ("lease_mode", "store"),
    [
        pytest.param(mode, store, marks=() if store == "json-file" or mode == "revoke" else pytest.mark.slow)
        for mode in ("static", "strict", "revoke", "slide", "grace", "soft", "redirect")
        for store in ("json-file", "memory", "sqlite", "netscape")
    ],
)
def test_eight_threads_on_one_session(set_sail: SetSail, lease_mode: str, store: str) -> None:
    voyage = set_sail(items=40, lease_mode=lease_mode, max_workers=8, cookie_store=store, size=3000)
    report = argosy.download(voyage.file)
    stats = voyage.server.stats()
    assert report.counts.done == 40
    assert voyage.wrong() == []
    assert (stats.replaced_tokens_sent, stats.refused, stats.logins, report.logins) == (0, 0, 1, 1)


@pytest.mark.parametrize("strategy", ["serial", "threads"])
def test_a_server_that_commits_with_the_body(set_sail: SetSail, strategy: str) -> None:
    voyage = set_sail(
        items=12,
        lease_mode="revoke",
        commit="body",
        lease="exclusive-to-end",
        max_workers=4,
        strategy=strategy,
    )
    report = argosy.download(voyage.file)
    assert (report.counts.done, voyage.wrong(), voyage.server.stats().replaced_tokens_sent) == (12, [], 0)


def test_errors_leave_nothing_in_doubt_where_the_body_commits(set_sail: SetSail) -> None:
    voyage = set_sail(
        items=8,
        lease_mode="revoke",
        commit="body",
        lease="exclusive-to-end",
        max_workers=3,
        faults=[Fault("status", status=503, every=3, times=3)],  # fewer than the tries of one item
    )
    report = argosy.download(voyage.file)
    assert (report.counts.done, report.retries > 0, voyage.wrong()) == (8, True, [])
    assert (report.logins, voyage.server.stats().replaced_tokens_sent) == (1, 0)


@pytest.mark.torture(20)
def test_500_items_16_threads_revoke(set_sail: SetSail) -> None:
    voyage = set_sail(items=500, lease_mode="revoke", max_workers=16, size=2000, token_save_interval=50)
    report = argosy.download(voyage.file)
    stats = voyage.server.stats()
    assert (report.counts.done, voyage.wrong()) == (500, [])
    assert (stats.replaced_tokens_sent, stats.refused, stats.sessions_revoked, stats.logins) == (0, 0, 0, 1)


class NakedStrategy(ThreadsStrategy):
    """Takes the leases out of the workers: every request is sent with whatever token is the newest just then."""

    name = "naked"
    summary = "Threads without leases, to show that the tests can fail"

    def run(self, jobs: Iterable[Job], work: Work, max_workers: int) -> Iterator[Outcome]:
        for manager in work._context.pool.managers:  # type: ignore[attr-defined]  # reaches below the contract
            manager.policy = dataclasses.replace(manager.policy, lease_mode=LeaseMode.SHARED)
        return super().run(jobs, work, max_workers)


def test_without_leases_the_same_run_fails(set_sail: SetSail) -> None:
    voyage = set_sail(items=500, lease_mode="revoke", max_workers=16, size=2000, strategy="naked", max_logins=5)
    plugins = PluginManager(given=[NakedStrategy])
    report = Run(load(voyage.file, plugins), plugins).execute()
    stats = voyage.server.stats()
    assert stats.replaced_tokens_sent > 0
    assert stats.sessions_revoked > 0
    assert stats.logins > 1 or report.counts.done < 500


def test_expiry_in_the_middle_logs_in_once_more(set_sail: SetSail) -> None:
    voyage = set_sail(items=60, lease_mode="revoke", max_workers=8, size=3000)
    ended: list[str] = []

    def on_event(event: Any) -> None:
        if event.kind == "resource.finished" and not ended:
            ended.append(event.item)
            voyage.server.expire_sessions()

    report = argosy.download(voyage.file, on_event)
    assert (report.counts.done, voyage.wrong()) == (60, [])
    assert (report.logins, voyage.server.stats().logins) == (2, 2)


def test_a_pool_spreads_the_work_over_its_sessions(set_sail: SetSail) -> None:
    voyage = set_sail(items=40, lease_mode="revoke", max_workers=8, sessions=3, size=3000)
    report = argosy.download(voyage.file)
    stats = voyage.server.stats()
    assert (report.counts.done, report.sessions, stats.logins, stats.replaced_tokens_sent) == (40, 3, 3, 0)


def test_a_pool_takes_what_the_server_gives(set_sail: SetSail) -> None:
    voyage = set_sail(items=20, max_workers=4, sessions=4, max_sessions=2, on_too_many="refuse")
    report = argosy.download(voyage.file)
    assert (report.counts.done, report.sessions) == (20, 2)
    assert any("2 of the 4 sessions" in notice for notice in report.notices)


def test_swapping_the_store_is_one_line(set_sail: SetSail) -> None:
    voyage = set_sail(items=6, max_workers=3)
    argosy.download(voyage.file)
    voyage.config["cookie_store"] = "memory"
    voyage.config["force_redownload"] = True
    report = argosy.download(voyage.file)
    assert (report.counts.done, voyage.wrong(), voyage.server.stats().replaced_tokens_sent) == (6, [], 0)
