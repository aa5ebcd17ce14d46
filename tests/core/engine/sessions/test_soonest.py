"""Which session is free soonest."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from argosy.engine.sessions.pool import soonest
from argosy.engine.sessions.provider import OpenSession
from argosy.http.adapter import LeasedAdapter
from argosy.http.session import AuthorizedSession
from argosy.interfaces.base import PluginContext
from argosy.leasing.manager import SessionManager
from argosy.models.session import Holder, SessionRecord, Status
from argosy.toolkit.processes import this_holder
from argosy_plugins.cookie_stores.json_file import JsonFileStore

Make = Callable[..., OpenSession]


@pytest.fixture
def store(tmp_path: Path) -> JsonFileStore:
    return JsonFileStore({"path": "cookies.json"}, PluginContext(base=tmp_path, directory=tmp_path))


@pytest.fixture
def make(store: JsonFileStore) -> Make:
    def opened(name: str) -> OpenSession:
        manager = SessionManager(store, name)
        return OpenSession(manager, AuthorizedSession(LeasedAdapter(manager), lambda response: False))

    return opened


def mark(store: JsonFileStore, name: str, holder: Holder) -> None:
    old = store.read(name)
    generation = old.generation if old else 0
    store.write(SessionRecord(name, generation + 1, status=Status.IN_FLIGHT, holder=holder, logins=1), generation)


@pytest.fixture
def stranger() -> Holder:
    """Another living process: the first one of the machine."""
    from argosy.toolkit.processes import process_start

    start = process_start(1)
    if not start:
        pytest.skip("needs /proc to see other processes")
    return replace(this_holder(), pid=1, process_start=start)


def test_free_sessions_take_turns(make: Make, store: JsonFileStore) -> None:
    sessions = [make("a"), make("b"), make("c")]
    order = []
    for turn in range(1, 7):
        chosen = soonest(sessions, store)
        order.append(chosen.name)
        chosen.turn = turn
    assert order == ["a", "b", "c", "a", "b", "c"]


def test_if_none_is_free_the_one_with_the_fewest_requests_is_next(make: Make, store: JsonFileStore) -> None:
    busy, less_busy = make("busy"), make("less-busy")
    busy.in_flight, less_busy.in_flight, less_busy.turn = [1, 2, 5], [3, 9], 9
    assert soonest([busy, less_busy], store) is less_busy


def test_a_session_that_hangs_is_next_only_if_no_other_is_left(make: Make, store: JsonFileStore) -> None:
    """Else each worker that finds the others as busy would wait behind its first request."""
    hangs, busy = make("hangs"), make("busy")
    hangs.in_flight, hangs.turn, busy.in_flight, busy.turn = [1], 1, [2], 2
    assert soonest([hangs, busy], store) is hangs, "it is not late yet"
    busy.in_flight, busy.turn = [40, 41], 41
    assert soonest([hangs, busy], store) is busy
    assert soonest([hangs], store) is hangs


def test_a_worker_goes_where_this_process_has_no_request_yet(
    make: Make, store: JsonFileStore, stranger: Holder
) -> None:
    waiting, taken = make("waiting"), make("taken")
    for name in ("waiting", "taken"):
        mark(store, name, replace(stranger, since=time.time()))
    waiting.in_flight, taken.turn = [1], 2
    assert soonest([waiting, taken], store) is taken


def test_a_session_that_another_process_holds_is_not_free(make: Make, store: JsonFileStore, stranger: Holder) -> None:
    taken, free = make("taken"), make("free")
    mark(store, "taken", replace(stranger, since=time.time()))
    free.turn = 1
    assert soonest([taken, free], store) is free


def test_a_mark_of_a_dead_process_does_not_keep_a_session_busy(make: Make, store: JsonFileStore) -> None:
    left, other = make("left"), make("other")
    other.turn = 1
    holder = this_holder()
    mark(store, "left", replace(holder, process_start=holder.process_start + 1))
    assert soonest([left, other], store) is left, "the next request resolves the doubt"


def test_a_session_in_doubt_is_not_free(make: Make, store: JsonFileStore) -> None:
    resting, other = make("resting"), make("other")
    other.turn = 1
    mark(store, "resting", this_holder())
    assert soonest([resting, other], store) is other
