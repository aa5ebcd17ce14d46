"""A pool of sessions, its auth and its store; tests that need a server are in tests/integration."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import requests

from argosy.config.load import load
from argosy.engine.context import RunContext
from argosy.engine.sessions.provider import SessionProvider, Share, open_sessions
from argosy.errors import ConfigError, LoginFailed, SessionError
from argosy.interfaces.auth import Auth, LoginSession, ResponseHead
from argosy.interfaces.base import PluginContext
from argosy.leasing.policy import SessionCallbacks
from argosy.models.cookie import Cookie
from argosy.plugins.manager import PluginManager
from argosy.ratelimit.limiter import RateLimiter
from argosy.toolkit.redaction import Redactor
from argosy.toolkit.stop import Stop
from argosy_plugins.cookie_stores.memory import MemoryStore
from voyage import Voyage

Make = Callable[..., SessionProvider]


class LeaseScenario(Auth):
    """Gives out tokens; some logins are refused."""

    name = "scenario"
    summary = "For tests"
    count: ClassVar[Any] = None
    refused: ClassVar[set[int]] = set()

    def __init__(self) -> None:
        super().__init__({}, PluginContext())
        self.asked: list[int] = []

    @property
    def session_count(self) -> Any:
        return self.count

    def login(self, session: LoginSession) -> None:
        self.asked.append(session.number)
        if session.number in self.refused:
            raise LoginFailed(f"No {session.number} today.")
        session.add_cookies([Cookie("token", str(session.number), "library.example")])

    def is_refusal(self, response: ResponseHead) -> bool:
        return False


@pytest.fixture
def notices() -> list[str]:
    return []


@pytest.fixture
def make(tmp_path: Path, notices: list[str]) -> Make:
    store = MemoryStore({}, PluginContext(base=tmp_path, directory=tmp_path))
    plugins = PluginManager()

    def pool(auth: Auth | None = None, share: Share | None = None, **config: Any) -> SessionProvider:
        return open_sessions(
            load({"directory": str(tmp_path), **config}, plugins),
            auth or LeaseScenario(),
            store,
            is_refusal=lambda response: False,
            callbacks=SessionCallbacks(notice=notices.append),
            rate_limiter=RateLimiter(),
            share=share,
        )

    return pool


def scenario(**changes: Any) -> LeaseScenario:
    made: LeaseScenario = type("Scenario", (LeaseScenario,), changes)()
    return made


def test_making_a_pool_logs_nobody_in(make: Make) -> None:
    auth = scenario()
    pool = make(auth, sessions=3, session="mine")
    assert (pool.names, auth.asked) == (("mine", "mine-2", "mine-3"), [])


def test_each_login_knows_its_number(make: Make) -> None:
    auth = scenario()
    pool = make(auth, sessions=3)
    pool.log_in()
    pool.log_in()
    assert (auth.asked, pool.counts()["logins"], pool.used) == ([1, 2, 3], 3, 3)


def test_a_worker_process_takes_what_the_run_has_found(make: Make) -> None:
    pool = make(scenario(refused={2}), sessions=3)
    pool.log_in()
    share = pickle.loads(pickle.dumps(pool.share))
    assert share.names == ("default",), "no login is tried after one that was refused"
    auth = scenario()
    there = make(auth, share=share, sessions=3)
    assert (there.names, auth.asked, there.asked) == (("default",), [], 3)


def test_jars_each_stand_for_themselves(make: Make, notices: list[str]) -> None:
    auth = scenario(refused={1, 3}, count=4, can_login=False)
    pool = make(auth)
    pool.log_in()
    assert (auth.asked, pool.names) == ([1, 2, 3, 4], ("default-2", "default-4"))
    assert [("2 of the 4" in n, "No 1" in n or "No 3" in n) for n in notices] == [(True, True)] * 2


def test_kept_sessions_are_used_where_logins_are_refused(make: Make, notices: list[str]) -> None:
    make(scenario(), sessions=3).log_in()
    pool = make(scenario(), sessions=3)
    pool._store.remove("default-2")
    pool._auth.refused = {2}  # type: ignore[attr-defined]  # the scenario's
    pool.log_in()
    assert pool.names == ("default", "default-3")


def test_nobody_at_all_is_the_first_error(make: Make, notices: list[str]) -> None:
    auth = scenario(refused={1, 2})
    with pytest.raises(LoginFailed, match="No 1 today"):
        make(auth, sessions=2).log_in()
    assert (auth.asked, notices) == ([1], [])


def test_strict_wants_all(make: Make) -> None:
    with pytest.raises(SessionError, match="No 2 today"):
        make(scenario(refused={2}), sessions=2, strict=True).log_in()


def test_another_number_than_the_auth_has_is_an_error(make: Make) -> None:
    assert make(scenario(count=2), sessions=2).asked == 2
    for asked in (1, 3):
        with pytest.raises(ConfigError, match=f"\"sessions\" asks for {asked}, but the auth 'scenario' has 2"):
            make(scenario(count=2), sessions=asked)


def test_where_nobody_is_logged_in_there_is_one(make: Make) -> None:
    pool = make(scenario(anonymous=True), sessions=3)
    pool.log_in()
    assert (pool.names, pool.lease) == (("default",), "shared")


def test_all_are_logged_in_again(make: Make) -> None:
    make(scenario(), sessions=3).log_in()
    auth = scenario(refused={2})
    outcomes = list(make(auth, sessions=3).log_in_again())
    assert [(name, error is None) for name, error in outcomes] == [
        ("default", True),
        ("default-2", False),
        ("default-3", False),
    ]
    assert auth.asked == [1, 2]


def test_a_requests_session_of_the_pool_sends_on_its_sessions(
    set_sail: Callable[..., Voyage],
) -> None:
    voyage = set_sail(items=1, lease_mode="revoke", sessions=2)
    plugins = PluginManager()
    settings = load(voyage.file, plugins)
    context = RunContext(settings, plugins, lambda *_: None, Stop(), Redactor())
    try:
        context.pool.log_in()
        http, url = context.pool.http, voyage.server.url_for("/files/a?size=100")
        part = http.get(url, headers={"Range": "bytes=0-1"})
        assert (part.status_code, len(part.content)) == (206, 2)
        http.headers["Range"] = "bytes=0-4"
        assert len(http.get(url).content) == 5
        prepared = http.prepare_request(requests.Request("GET", url))
        assert len(http.send(prepared).content) == 5
        assert context.pool.requests == 2
    finally:
        context.close()
    stats = voyage.server.stats()
    assert (stats.refused, stats.replaced_tokens_sent) == (0, 0)
    # beside the page behind the login; one that was prepared goes on a free session as well
    assert sum(stats.accepted_by_login.values()) == 2 + 3
    assert min(stats.accepted_by_login.values()) >= 2
