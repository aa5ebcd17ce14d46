"""How often a run may log in."""

from __future__ import annotations

from typing import Any

import pytest

from argosy.errors import LoginFailed, SessionLost
from argosy.leasing.login import (
    FAILED_BEFORE,
    MOST_FAILED,
    LoginLimiter,
    RemoteLoginLimiter,
)
from argosy.leasing.manager import SessionManager
from argosy_devkit.contracts.waiting import Thread


def test_logins_are_counted_over_all_sessions() -> None:
    login_limit = LoginLimiter(2)
    assert [login_limit.tell("login", name) for name in ("a", "b")] == [None, None]
    assert login_limit.tell("login", "c") == "no request was accepted after 2 logins in a row"


def test_logins_that_helped_do_not_count(scenario: Any) -> None:
    """A session that only lives for a while is logged in as often as it takes; the others' logins still count."""
    login_limit = LoginLimiter(3)
    assert [login_limit.tell("login", name) for name in ("a", "b", "a")] == [None, None, None]
    login_limit.tell("login-progressed", "a")
    assert [login_limit.tell("login", name) for name in ("b", "b", "b")] == [
        None,
        None,
        "no request was accepted after 3 logins in a row",
    ]


def test_a_request_that_is_accepted_after_a_login_is_progress(scenario: Any) -> None:
    manager = SessionManager(scenario.store, "default", login=scenario.log_in, login_limit=LoginLimiter(1))
    for _ in range(3):
        lease = manager.lease("https://library.example/")
        lease.settle([], "https://library.example/", None)
        lease.end()
        manager.accepted(lease.stamp)
        manager.refused(lease.stamp)
    assert scenario.logins == 4
    with pytest.raises(SessionLost, match="no request was accepted after 1 logins in a row") as raised:
        manager.login()
    assert '"max_logins"' in (raised.value.hint or "")


def test_a_login_that_failed_is_not_tried_again_and_others_only_so_often() -> None:
    login_limit = LoginLimiter(100)
    names = [f"session-{number}" for number in range(MOST_FAILED)]
    for name in names:
        assert login_limit.tell("login", name) is None
        login_limit.tell("login-failed", name)
        assert login_limit.tell("login", name) == FAILED_BEFORE
    assert f"did not accept {MOST_FAILED} logins" in (login_limit.tell("login", "another") or "")


def test_a_worker_process_asks_the_run() -> None:
    asked: list[tuple[str, str]] = []

    def ask(name: str, text: str) -> str | None:
        asked.append((name, text))
        return "no" if len(asked) > 1 else None

    login_limit = RemoteLoginLimiter(ask)
    assert (login_limit.tell("login", "a"), login_limit.tell("login", "b")) == (None, "no")
    login_limit.tell("login-failed", "b")
    login_limit.tell("login-progressed", "a")
    assert asked == [("login", "a"), ("login", "b"), ("login-failed", "b"), ("login-progressed", "a")]


def test_managers_of_several_sessions_try_a_wrong_password_a_few_times_together(scenario: Any) -> None:
    login_limit = LoginLimiter(100)
    scenario.error = LoginFailed("The password is wrong.")

    def manager(name: str) -> SessionManager:
        return SessionManager(scenario.store, name, login=scenario.log_in, login_limit=login_limit)

    def attempt(name: str) -> str:
        with pytest.raises((LoginFailed, SessionLost)) as raised:
            manager(name).ensure()
        return str(raised.value)

    threads = [Thread(lambda n=number: attempt(f"session-{n}")) for number in range(12)]  # type: ignore[misc]  # a default binds it
    messages = [thread.result() for thread in threads]
    assert scenario.logins == MOST_FAILED
    assert sum("password is wrong" in message for message in messages) == MOST_FAILED
