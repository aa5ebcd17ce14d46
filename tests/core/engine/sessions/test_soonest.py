"""Which session is free soonest."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from argosy.engine.sessions.pool import enter, soonest
from argosy.engine.sessions.provider import OpenSession
from argosy.http.load import Load
from argosy.http.session import AuthorizedSession
from argosy.interfaces.base import PluginContext
from argosy.leasing.manager import SessionManager
from argosy.leasing.policy import Policy
from argosy.models.session import Holder, SessionRecord, Status
from argosy.toolkit.processes import this_holder
from argosy_plugins.cookie_stores.json_file import JsonFileStore

Make = Callable[..., OpenSession]


@pytest.fixture
def store(tmp_path: Path) -> JsonFileStore:
    return JsonFileStore({"path": "cookies.json"}, PluginContext(base=tmp_path, directory=tmp_path))


@pytest.fixture
def make(store: JsonFileStore) -> Make:
    def member(name: str, **policy: Any) -> OpenSession:
        manager = SessionManager(store, name, Policy(**policy))
        load = Load()
        return OpenSession(manager, AuthorizedSession(manager, lambda response: False, load=load), load)

    return member


def mark(store: JsonFileStore, name: str, holder: Holder) -> None:
    old = store.read(name)
    generation = old.generation if old else 0
    store.write(
        SessionRecord(name, generation + 1, status=Status.IN_FLIGHT, holder=holder, logins=1), generation
    )


@pytest.fixture
def stranger() -> Holder:
    """Somebody who lives and is not this process: the first process of the machine."""
    from argosy.toolkit.processes import process_start

    start = process_start(1)
    if not start:
        pytest.skip("needs /proc to see other processes")
    return replace(this_holder(), pid=1, process_start=start)


def test_free_sessions_have_their_turn(make: Make, store: JsonFileStore) -> None:
    members = [make("a"), make("b"), make("c")]
    order = []
    for _ in range(6):
        chosen = soonest(members, store, waits=False)
        order.append(chosen.name)
        chosen.load.leave(enter(chosen))
    assert order == ["a", "b", "c", "a", "b", "c"]


def test_a_free_one_comes_first_however_slow_it_is(make: Make, store: JsonFileStore) -> None:
    fast, slow = make("fast"), make("slow")
    fast.load.mean, slow.load.mean = 0.01, 5.0
    enter(fast)
    assert soonest([fast, slow], store, waits=False) is slow


def test_where_none_is_free_the_shortest_wait_counts_and_not_the_shortest_queue(
    make: Make, store: JsonFileStore
) -> None:
    fast, slow = make("fast"), make("slow")
    fast.load.mean, slow.load.mean = 0.1, 60.0
    enter(slow)
    for _ in range(20):
        enter(fast)
    assert soonest([fast, slow], store, waits=False) is fast


def test_one_that_another_process_has_is_not_free(make: Make, store: JsonFileStore, stranger: Holder) -> None:
    taken, free = make("taken"), make("free")
    mark(store, "taken", replace(stranger, since=time.time()))
    enter(taken)
    taken.load = Load()  # so that it is its turn, but for the other process
    taken.turn = 0
    free.turn = 1
    assert soonest([taken, free], store, waits=False) is free


@pytest.mark.parametrize("who", ["nobody", "this process"])
def test_a_mark_that_was_left_behind_makes_nobody_wait(make: Make, store: JsonFileStore, who: str) -> None:
    left, other = make("left"), make("other")
    other.turn = 1
    holder = this_holder()
    if who == "nobody":
        holder = replace(holder, process_start=holder.process_start + 1)
    mark(store, "left", holder)
    assert soonest([left, other], store, waits=False) is left, "whoever has it next resolves the doubt"


def test_a_session_that_rests_in_doubt_is_not_free(make: Make, store: JsonFileStore) -> None:
    resting, other = (make(name, on_doubt="wait", doubt_wait=500.0) for name in ("resting", "other"))
    other.turn = 1
    mark(store, "resting", this_holder())
    assert soonest([resting, other], store, waits=True) is other
