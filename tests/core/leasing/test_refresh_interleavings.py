"""A refresh token that is replaced by its use, in every order in which two senders can take their steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from argosy.interfaces.base import PluginContext
from argosy.interfaces.cookie_store import CookieStore, Release
from argosy.leasing.manager import SessionManager
from argosy.models.session import SessionRecord, Status
from argosy_plugins.cookie_stores.json_file import JsonFileStore
from argosy_plugins.cookie_stores.memory import MemoryStore
from interleavings import explore
from refresh_scenes import Cast, Session

pytestmark = pytest.mark.timeout(900)

Stores = Callable[[str], list[CookieStore]]

#: What happens; no refresh token is ever to be sent twice, and the newest is always in the store or in doubt.
SCENES: dict[str, dict[str, Any]] = {
    "both find it due": {},
    "the access token ends": {"due": False, "ends": True},
    "due, and the new one ends": {"ends": True},
    "one dies": {"mortal": True},
    "one dies, and one can log in": {"mortal": True, "renewable": True},
    "something is lost": {"faults": 1},
    "something is lost, and one can log in": {"faults": 1, "renewable": True},
}


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    """What the senders use: threads share one in memory, and a session manager; processes open one file."""

    def make(kind: str) -> list[CookieStore]:
        context = PluginContext(base=tmp_path, directory=tmp_path)
        if kind == "memory":
            return [MemoryStore({}, context)]
        return [JsonFileStore({}, context) for _ in range(2)]

    return make


def _explore(cast: Cast) -> None:
    runs, situations = explore(lambda: Session(cast))
    print(f"{runs} runs, {situations} situations")
    assert runs > 20, "there is nothing to explore"


@pytest.mark.slow
@pytest.mark.parametrize("scene", [scene for scene in SCENES if "mortal" not in SCENES[scene]])
def test_no_order_of_threads_breaks_it(stores: Stores, scene: str) -> None:
    _explore(Cast(stores("memory"), **SCENES[scene]))


@pytest.mark.slow
@pytest.mark.parametrize("scene", SCENES)
def test_no_order_of_processes_breaks_it(stores: Stores, scene: str) -> None:
    _explore(Cast(stores("memory") * 2, **SCENES[scene]))


# -- with a rule taken out


class IgnoresTheMark(SessionManager):
    def _in_doubt(self, record: SessionRecord) -> bool:
        return False


class DoesNotHold(SessionManager):
    def _acquire(self) -> Release:
        return lambda: None


class RefreshesWithoutLooking(SessionManager):
    def refused(self, *_: Any, **__: Any) -> None:
        self._holding(lambda record: self._refresh(record, "refused"))


class DoesNotMark(SessionManager):
    def _refresh(self, record: SessionRecord, reason: str) -> None:
        assert self._login is not None
        self._store_granted(record, self._login.refresh(record, lambda cookies: None), refreshes=record.refreshes + 1)


class ClearsTheMark(SessionManager):
    def _refresh(self, record: SessionRecord, reason: str) -> None:
        try:
            super()._refresh(record, reason)
        except Exception:
            self._write(self._read(), status=Status.IDLE, holder=None)
            raise


@pytest.mark.parametrize(
    ("manager", "scene"),
    [
        (IgnoresTheMark, "something is lost"),
        (DoesNotHold, "both find it due"),
        (RefreshesWithoutLooking, "the access token ends"),
        (DoesNotMark, "one dies"),
        (ClearsTheMark, "something is lost"),
    ],
)
def test_each_rule_is_needed(stores: Stores, manager: type[SessionManager], scene: str) -> None:
    with pytest.raises(AssertionError):
        _explore(Cast(stores("memory") * 2, manager=manager, **SCENES[scene]))
