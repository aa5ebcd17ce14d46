"""Whether the login of one session has ended another one."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from argosy.engine.sessions.pool import EvictionDetector
from argosy.interfaces.base import PluginContext
from argosy.models.session import SessionRecord
from argosy_plugins.cookie_stores.memory import MemoryStore

NAMES = ("a", "b", "c")


@dataclass
class Service:
    """Sessions at a service that lets so many live at once, on a clock that ticks with each event."""

    store: MemoryStore
    most: int
    now: float = 100.0
    living: list[str] = field(default_factory=list)
    logins: int = 0

    def __post_init__(self) -> None:
        self.evictions = EvictionDetector(self.store, NAMES, since=self.now)

    def record(self, name: str) -> SessionRecord:
        return self.store.read(name) or SessionRecord(name)

    def log_in(self, name: str) -> None:
        self.now += 1
        self.logins += 1
        old = self.record(name)
        new = SessionRecord(name, old.generation + 1, logins=old.logins + 1, logged_in=self.now)
        self.store.write(new, old.generation)
        self.living = [other for other in self.living if other != name] + [name]
        self.living = self.living[-self.most :]

    def use(self, name: str) -> bool:
        """Send a request; return whether it was accepted."""
        self.now += 1
        if name in self.living:
            self.evictions.good(name, self.now, self.record(name).logins)
        return name in self.living

    def suspects(self, name: str) -> bool:
        return self.evictions.is_suspect(self.record(name))


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(MemoryStore({}, PluginContext(base=tmp_path, directory=tmp_path)), most=3)


def test_the_first_logins_end_the_oldest(service: Service) -> None:
    service.most = 2
    for name in NAMES:
        service.log_in(name)
    assert [service.use(name) for name in NAMES] == [False, True, True]
    assert service.suspects("a")


def test_the_session_that_logged_in_last_is_never_suspected(service: Service) -> None:
    for name in NAMES:
        service.log_in(name)
    service.living.clear()
    assert [service.suspects(name) for name in NAMES] == [True, True, False]


def test_sessions_that_were_good_together_may_all_end_and_are_renewed(service: Service) -> None:
    for _ in range(3):
        for name in NAMES:
            service.log_in(name)
        assert all(service.use(name) for name in NAMES)
        service.living.clear()
        for name in NAMES:
            assert not service.suspects(name)
            service.log_in(name)
        assert all(service.use(name) for name in NAMES)


def test_sessions_of_an_earlier_run_are_renewed(service: Service) -> None:
    for name in NAMES:
        service.log_in(name)
    service.evictions = EvictionDetector(service.store, NAMES, since=service.now + 1)
    service.now += 2
    service.log_in("c")
    assert not service.suspects("a")
    assert not service.suspects("b")


def test_a_session_logged_in_again_was_not_good_meanwhile(service: Service) -> None:
    """Accepted before and after is not accepted all the time: or logins would chase each other for ever."""
    for name in NAMES:
        service.log_in(name)
    assert all(service.use(name) for name in NAMES)
    service.most = 2  # somebody else has a session now
    service.living.remove("a")
    turns = 0
    while not any(service.suspects(name) for name in NAMES if not service.use(name)):
        dead = next(name for name in NAMES if name not in service.living)
        service.log_in(dead)
        for name in NAMES:
            service.use(name)
        turns += 1
        assert turns <= len(NAMES), "each is logged in again once at most"


def test_what_one_process_has_found_out_all_know(service: Service) -> None:
    """Another process has used one of the sessions only: it cannot know that all were good together."""
    for name in NAMES:
        service.log_in(name)
    other = EvictionDetector(service.store, NAMES, since=100.0)
    assert other.is_suspect(service.record("a")), "until somebody knows better"
    assert all(service.use(name) for name in NAMES)
    assert not other.is_suspect(service.record("a"))
    service.log_in("b")
    service.log_in("a")
    service.log_in("b")
    assert other.is_suspect(service.record("a")), "it has logged in since"


def test_it_is_written_down_once_for_each_login(service: Service) -> None:
    for name in NAMES:
        service.log_in(name)
    for _ in range(3):
        assert all(service.use(name) for name in NAMES)
    assert [service.record(name).generation for name in NAMES] == [2, 2, 2]


def test_one_that_ends_by_itself_is_renewed(service: Service) -> None:
    for name in NAMES:
        service.log_in(name)
    assert all(service.use(name) for name in NAMES)
    service.living.remove("b")
    assert not service.suspects("b")


def test_one_that_was_used_since_the_last_login_is_renewed(service: Service) -> None:
    service.log_in("a")
    service.log_in("b")
    assert service.use("a")
    assert not service.suspects("a")


def test_an_excuse_holds_until_the_next_login(service: Service) -> None:
    service.log_in("a")
    service.log_in("b")
    service.evictions.excuse(service.record("a"))
    assert not service.suspects("a")
    service.log_in("a")
    service.log_in("b")
    assert service.suspects("a")


def test_one_is_excused_again_only_after_all_were_good_together(service: Service) -> None:
    for name in NAMES:
        service.log_in(name)
    assert not service.evictions.was_excused("a")
    service.evictions.excuse(service.record("a"))
    service.log_in("a")
    assert service.evictions.was_excused("a")
    assert [service.use(name) for name in NAMES] == [True, True, True]
    assert not service.evictions.was_excused("a")


def test_one_that_is_used_no_more_need_not_be_good(service: Service) -> None:
    for name in NAMES:
        service.log_in(name)
    service.evictions.drop("a")
    assert service.use("b")
    assert service.use("c")
    assert not service.suspects("b"), "those that are left were good together"
    service.evictions.good("a", service.now, 1)
    assert not service.suspects("b")
