"""A session on a store in memory, with a login that counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from argosy.cookies.jar import Jar
from argosy.errors import ArgosyError
from argosy.interfaces.base import PluginContext
from argosy.leasing.manager import SessionManager
from argosy.leasing.policy import Policy, SessionCallbacks
from argosy.models.cookie import Cookie
from argosy.models.session import SessionRecord
from argosy_plugins.cookie_stores.memory import MemoryStore

URL = "https://library.example/books/1"


@dataclass
class LeaseScenario:
    """A login that hands out numbered tokens, and a store to keep them."""

    store: MemoryStore
    logins: int = 0
    error: ArgosyError | None = None
    told: list[str] = field(default_factory=list)
    before_login: Callable[[], None] = lambda: None

    def log_in(self) -> Jar:
        self.before_login()
        self.logins += 1
        if self.error is not None:
            raise self.error
        return (Cookie("token", f"login-{self.logins}", "library.example"),)

    def manager(self, *, can_login: bool = True, **policy: object) -> SessionManager:
        tell = self.told.append
        watch = SessionCallbacks(
            waiting=lambda what: tell(f"waiting {what}"),
            login=lambda reason: tell(f"login: {reason}"),
            notice=lambda message: tell(f"notice: {message}"),
            secret=lambda value: tell(f"secret {value}"),
            sleep=lambda seconds: tell(f"sleep {seconds:.0f}"),
        )
        login = self.log_in if can_login else None
        return SessionManager(self.store, "default", Policy(**policy), login=login, callbacks=watch)  # type: ignore[arg-type]  # Policy's own fields

    @property
    def record(self) -> SessionRecord:
        found = self.store.read("default")
        assert found is not None
        return found

    def is_free(self) -> bool:
        release = self.store.acquire("default", wait=False)
        if release is not None:
            release()
        return release is not None


@pytest.fixture
def scenario(tmp_path: Path) -> LeaseScenario:
    return LeaseScenario(MemoryStore({}, PluginContext(base=tmp_path, directory=tmp_path)))
