"""A lost session works again after a login."""

from __future__ import annotations

import pytest

from argosy.errors import LoginFailed, SessionInDoubt
from argosy.interfaces.base import PluginContext
from argosy.leasing.manager import SessionManager
from argosy.models.cookie import Cookie
from argosy_plugins.cookie_stores.memory import MemoryStore

URL = "http://127.0.0.1/"


def good() -> tuple[Cookie, ...]:
    return (Cookie("token", "fresh", "127.0.0.1"),)


def test_doubt_ends_when_somebody_else_logs_in() -> None:
    store = MemoryStore({}, PluginContext())
    manager = SessionManager(store, "s")
    lease = manager.lease(URL)
    lease.settle(["token=a; Path=/"], URL, None)
    lease.end()
    lease = manager.lease(URL)
    lease.doubt()
    lease.end()
    for _ in range(2):
        with pytest.raises(SessionInDoubt):
            manager.lease(URL)
    SessionManager(store, "s", login=good).login()
    lease = manager.lease(URL)
    assert lease.cookie_header(URL) == "token=fresh"
    lease.unsent()
    lease.end()


def test_a_failed_login_is_not_tried_again_until_somebody_has_logged_in() -> None:
    store = MemoryStore({}, PluginContext())
    tries: list[int] = []

    def bad() -> tuple[Cookie, ...]:
        tries.append(1)
        raise LoginFailed("wrong password")

    manager = SessionManager(store, "s", login=bad)
    for _ in range(3):
        with pytest.raises(LoginFailed):
            manager.lease(URL)
    assert len(tries) == 1
    SessionManager(store, "s", login=good).login()
    lease = manager.lease(URL)
    assert lease.cookie_header(URL) == "token=fresh"
    lease.unsent()
    lease.end()
