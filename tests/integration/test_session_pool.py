"""Several sessions of one account: the work is spread over them, and none that dies stops the others."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import pytest

import argosy
import processes
from argosy.errors import LoginFailed, SessionLost
from argosy.leasing.login import MOST_FAILED
from argosy_devkit import Fault
from voyage import Voyage, after

SetSail = Callable[..., Voyage]

THREE = {"use": "multiprocess", "processes": 3}
STRATEGIES = [
    "threads",
    pytest.param(THREE, marks=pytest.mark.skipif(not processes.CAN_LOOK, reason="needs POSIX"), id="processes"),
]


def command(voyage: Voyage, name: str) -> subprocess.CompletedProcess[str]:
    """Run a command on the configuration."""
    return voyage.argosy(name, str(voyage.file))


# -- the work is spread


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("store", ["json-file", "memory"])
def test_three_sessions_and_eight_workers(set_sail: SetSail, strategy: Any, store: str) -> None:
    if store == "memory" and strategy != "threads":
        pytest.skip("the memory of one process")
    voyage = set_sail(
        items=150,
        lease_mode="revoke",
        max_workers=8,
        sessions=3,
        size=3000,
        strategy=strategy,
        cookie_store=store,
    )
    report = argosy.download(voyage.file)
    stats = voyage.server.stats()
    assert (report.counts.done, report.sessions, voyage.wrong()) == (150, 3, [])
    assert (stats.replaced_tokens_sent, stats.refused, stats.sessions_revoked) == (0, 0, 0)
    assert (stats.logins, report.logins) == (3, 3)
    assert all(stats.accepted_by_login[login] > 30 for login in "123")


def test_one_worker_gives_each_session_its_turn(set_sail: SetSail) -> None:
    voyage = set_sail(items=9, lease_mode="revoke", max_workers=1, sessions=3)
    assert argosy.download(voyage.file).sessions == 3
    # one more each: the page behind the login
    assert voyage.server.stats().accepted_by_login == {"1": 4, "2": 4, "3": 4}


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_slow_session_gets_less_to_do(set_sail: SetSail, strategy: Any) -> None:
    voyage = set_sail(
        items=150,
        lease_mode="revoke",
        max_workers=6,
        sessions=2,
        ttfb=0.01,
        strategy=strategy,
        faults=[Fault("late", session=1, seconds=0.15, path="/files/")],
    )
    argosy.download(voyage.file)
    done = voyage.server.stats().accepted_by_login
    assert voyage.wrong() == []
    assert done["1"] * 2 < done["2"]


@pytest.mark.slow
def test_a_session_without_an_answer_does_not_hold_the_others_up(set_sail: SetSail) -> None:
    voyage = set_sail(
        items=150,
        lease_mode="revoke",
        max_workers=6,
        sessions=3,
        ttfb=0.005,
        faults=[Fault("hang", session=1, seconds=30, times=1, path="/files/")],
    )
    kinds: list[str] = []
    argosy.download(voyage.file, lambda event: kinds.append(event.kind))
    stats = voyage.server.stats()
    assert (voyage.wrong(), stats.replaced_tokens_sent, stats.logins) == ([], 0, 4)
    while_it_hung = kinds[: kinds.index("resource.retry")].count("item.finished")
    assert while_it_hung > 100, "at most a few requests wait behind the one that hangs"


def test_a_pool_where_the_body_commits(set_sail: SetSail) -> None:
    voyage = set_sail(
        items=40,
        lease_mode="revoke",
        commit="body",
        lease="exclusive-to-end",
        max_workers=6,
        sessions=3,
        size=20_000,
        rate=400_000,
    )
    report = argosy.download(voyage.file)
    stats = voyage.server.stats()
    assert (report.counts.done, voyage.wrong(), stats.replaced_tokens_sent, stats.refused) == (40, [], 0, 0)
    assert all(stats.accepted_by_login[login] > 8 for login in "123")


# -- the service allows fewer


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("asked", [3, 4])
def test_a_service_that_ends_the_oldest_session_is_found_out(set_sail: SetSail, strategy: Any, asked: int) -> None:
    voyage = set_sail(items=60, lease_mode="revoke", max_workers=6, sessions=asked, max_sessions=2, strategy=strategy)
    report = argosy.download(voyage.file)
    stats = voyage.server.stats()
    assert (report.counts.done, voyage.wrong(), stats.replaced_tokens_sent) == (60, [], 0)
    assert (report.logins, stats.logins, report.sessions) == (asked, asked, 2), "no login beyond the first of each"
    told = [notice for notice in report.notices if "when another one logged in" in notice]
    assert len(told) == asked - 2
    assert "'default'" in told[0] or "'default-2'" in told[0]


def test_what_was_found_out_is_known_to_the_next_run(set_sail: SetSail) -> None:
    voyage = set_sail(items=30, lease_mode="revoke", max_workers=6, sessions=3, max_sessions=2)
    argosy.download(voyage.file)
    voyage.config["force_redownload"] = True
    report = argosy.download(voyage.file)
    assert (report.counts.done, report.logins, report.refusals, report.sessions) == (30, 0, 0, 2)
    assert any("2 of the 3 sessions" in n and "argosy login" in n for n in report.notices)
    voyage.config["strict"] = True
    with pytest.raises(SessionLost, match="'default' is not used"):
        argosy.download(voyage.file)


def test_one_session_only(set_sail: SetSail) -> None:
    voyage = set_sail(items=20, lease_mode="revoke", max_workers=1, sessions=3, max_sessions=1)
    report = argosy.download(voyage.file)
    assert (report.counts.done, report.logins, report.sessions) == (20, 3, 1)


@pytest.mark.slow
def test_one_session_more_than_before(set_sail: SetSail) -> None:
    """Two that were kept, and a third one whose login ends the first of them: nobody knows how old those are."""
    voyage = set_sail(items=60, lease_mode="revoke", max_workers=6, sessions=2, max_sessions=2)
    argosy.download(voyage.file)
    voyage.config |= {"sessions": 3, "force_redownload": True}
    report = argosy.download(voyage.file)
    assert (report.counts.done, voyage.wrong()) == (60, [])
    assert report.logins <= 4
    assert sum("when another one logged in" in notice for notice in report.notices) == 1
    assert voyage.server.stats().replaced_tokens_sent == 0


@pytest.mark.slow
def test_a_limit_that_is_lowered_in_the_middle(set_sail: SetSail) -> None:
    voyage = set_sail(items=150, lease_mode="revoke", max_workers=6, sessions=3)

    def lower() -> None:  # as a login on another device does
        voyage.server.change(max_sessions=2)
        voyage.server.expire_sessions(1)

    report = argosy.download(voyage.file, after(30, lower))
    assert (report.counts.done, voyage.wrong()) == (150, [])
    assert report.logins <= 3 * 3, "each again once as all were good before, and once where its neighbour was"
    assert sum("when another one logged in" in notice for notice in report.notices) == 1


@pytest.mark.slow
def test_fewer_are_asked_for_when_it_is_known_that_fewer_are_given(set_sail: SetSail) -> None:
    voyage = set_sail(items=40, lease_mode="revoke", max_workers=6, sessions=3, max_sessions=2)
    argosy.download(voyage.file)
    voyage.config |= {"sessions": 2, "force_redownload": True}
    for logins in (2, 0):  # that of the session that was retired ends one of the others, which is used
        report = argosy.download(voyage.file)
        assert (report.counts.done, report.sessions, report.notices) == (40, 2, ())
        assert report.logins <= logins
    assert voyage.server.stats().replaced_tokens_sent == 0


@pytest.mark.slow
def test_lost_answers_at_the_limit_cost_logins_and_no_session(set_sail: SetSail) -> None:
    """The session in doubt lives on at the service, so the login that replaces it ends another one."""
    voyage = set_sail(
        items=200,
        lease_mode="revoke",
        max_workers=6,
        sessions=3,
        max_sessions=3,
        faults=[Fault("lost", every=70, times=2, path="/files/")],
    )
    report = argosy.download(voyage.file)
    assert (report.counts.done, voyage.wrong(), report.sessions, report.notices) == (200, [], 3, ())
    assert report.logins <= 3 + 2 * 3
    assert voyage.server.stats().replaced_tokens_sent == 0


def test_strict_takes_no_fewer(set_sail: SetSail) -> None:
    voyage = set_sail(items=30, lease_mode="revoke", max_workers=6, sessions=3, max_sessions=2, strict=True)
    with pytest.raises(SessionLost, match="gives fewer than the 3 sessions asked for"):
        argosy.download(voyage.file)
    voyage.server.change(on_too_many="refuse")
    voyage.config["session"] = "fresh"
    with pytest.raises(LoginFailed):
        argosy.download(voyage.file)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_refused_logins_leave_what_the_service_gives(set_sail: SetSail, strategy: Any) -> None:
    voyage = set_sail(items=40, max_workers=4, sessions=4, max_sessions=2, on_too_many="refuse", strategy=strategy)
    report = argosy.download(voyage.file)
    stats = voyage.server.stats()
    assert (report.counts.done, report.sessions, stats.logins, stats.failed_logins) == (40, 2, 2, 1)
    assert any("2 of the 4 sessions" in notice for notice in report.notices)


# -- sessions that end


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_all_sessions_end_together_and_each_is_renewed_once(set_sail: SetSail, strategy: Any) -> None:
    voyage = set_sail(items=150, lease_mode="revoke", max_workers=6, sessions=3, strategy=strategy)
    report = argosy.download(voyage.file, after(40, voyage.server.expire_sessions))
    stats = voyage.server.stats()
    assert (report.counts.done, voyage.wrong(), stats.replaced_tokens_sent) == (150, [], 0)
    assert (report.logins, stats.logins, report.sessions) == (6, 6, 3)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_one_session_that_cannot_be_renewed_does_not_stop_the_others(set_sail: SetSail, strategy: Any) -> None:
    voyage = set_sail(items=150, lease_mode="revoke", max_workers=6, sessions=3, strategy=strategy)

    def end_one() -> None:
        voyage.server.change(password="changed")
        voyage.server.expire_sessions(2)

    report = argosy.download(voyage.file, after(30, end_one))
    stats = voyage.server.stats()
    assert (report.counts.done, report.exit_code, voyage.wrong()) == (150, 0, [])
    assert (stats.logins, stats.failed_logins) == (3, 1), "tried once, over all processes"
    assert sum("without the session 'default-2'" in notice for notice in report.notices) == 1


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_run_ends_when_no_session_is_left(set_sail: SetSail, strategy: Any) -> None:
    voyage = set_sail(items=150, lease_mode="revoke", max_workers=6, sessions=6, strategy=strategy)

    def end_all() -> None:
        voyage.server.change(password="changed")
        voyage.server.expire_sessions()

    with pytest.raises(argosy.errors.SessionError) as raised:
        argosy.download(voyage.file, after(30, end_all))
    stats = voyage.server.stats()
    assert raised.value.exit_code == 3
    # one for each session would lock the account; processes may each be in the middle of one
    assert stats.failed_logins <= MOST_FAILED + (0 if strategy == "threads" else 2)
    assert 30 <= len(voyage.done()) < 150
    voyage.server.change(password=voyage.root.joinpath("password.txt").read_text("utf-8").strip())
    assert argosy.download(voyage.file).exit_code == 0
    assert (voyage.wrong(), voyage.server.stats().replaced_tokens_sent) == ([], 0)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_session_in_doubt_that_is_to_be_asked_about_is_left_out(set_sail: SetSail, strategy: Any) -> None:
    voyage = set_sail(
        items=60,
        lease_mode="revoke",
        max_workers=6,
        sessions=3,
        on_doubt="ask",
        strategy=strategy,
        faults=[Fault("lost", session=2, times=1, path="/files/")],
    )
    report = argosy.download(voyage.file)
    stats = voyage.server.stats()
    assert (report.counts.done, voyage.wrong()) == (60, [])
    assert (stats.logins, stats.replaced_tokens_sent) == (3, 0)
    assert stats.accepted_by_login["2"] == 2, "the page behind the login, and the one that was lost"


@pytest.mark.slow
def test_logins_are_bounded_over_the_pool(set_sail: SetSail) -> None:
    """Sessions that the service ends again and again are worth a login each, until new ones are refused."""
    voyage = set_sail(items=200, lease_mode="revoke", max_workers=6, sessions=3, max_logins=1)
    count, logins = [0], [0]

    def on_event(event: Any) -> None:
        if event.kind == "resource.finished":
            count[0] += 1
            if count[0] == 100:
                voyage.server.change(faults=(Fault("login_page", path="/files/"),))
                logins[0] = voyage.server.stats().logins
            if count[0] % 20 == 0:
                voyage.server.expire_sessions()

    with pytest.raises(SessionLost, match="no request was accepted after 3 logins in a row"):
        argosy.download(voyage.file, on_event)
    assert logins[0] >= 12
    assert voyage.server.stats().logins <= logins[0] + 3 + 3, "the service refuses each new session"


def test_what_an_account_may_not_have_costs_no_session(set_sail: SetSail) -> None:
    voyage = set_sail(
        items=40,
        lease_mode="revoke",
        max_workers=4,
        sessions=3,
        max_retries=0,
        faults=[
            Fault("status", status=401, path="item-00003"),
            Fault("status", status=401, path="item-00020"),
        ],
    )
    report = argosy.download(voyage.file)
    assert (report.counts.done, report.counts.failed) == (38, 2)
    assert {failure.kind for failure in report.failures} == {"refused"}
    assert voyage.server.stats().logins <= 5


# -- the commands


def test_login_logs_every_session_in(set_sail: SetSail) -> None:
    voyage = set_sail(items=20, lease_mode="revoke", max_workers=4, sessions=3)
    done = command(voyage, "login")
    assert (done.returncode, done.stdout.count("Logged in the session")) == (0, 3), done.stderr
    shown = command(voyage, "status").stdout
    assert all(f"session    {name}: idle, logged in" in shown for name in ("default", "default-2", "default-3"))
    assert argosy.download(voyage.file).logins == 0


def test_login_says_which_sessions_the_service_does_not_give(set_sail: SetSail) -> None:
    voyage = set_sail(items=20, sessions=4, max_sessions=2, on_too_many="refuse")
    done = command(voyage, "login")
    assert (done.returncode, done.stdout.count("Logged in the session")) == (0, 2)
    assert "The session 'default-3' is not logged in: The service did not accept the login" in done.stderr
    assert voyage.server.stats().failed_logins == 1
    voyage.config["strict"] = True
    assert command(voyage, "login").returncode == 3


def test_login_tries_again_what_was_retired(set_sail: SetSail) -> None:
    voyage = set_sail(items=30, lease_mode="revoke", max_workers=6, sessions=3, max_sessions=2)
    argosy.download(voyage.file)
    assert "session    default: retired" in command(voyage, "status").stdout
    voyage.server.change(max_sessions=0)
    assert command(voyage, "login").returncode == 0
    voyage.config["force_redownload"] = True
    report = argosy.download(voyage.file)
    assert (report.counts.done, report.sessions, report.logins, report.notices) == (30, 3, 0, ())
