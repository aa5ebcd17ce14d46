"""One lease: mark, settle, release, and what happens when something comes between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from argosy.errors import GenerationMoved, HoldLapsed, StoreError
from argosy.interfaces.cookie_store import Release
from argosy.leasing.lease import ExclusiveLease
from argosy.leasing.manager import SessionManager
from argosy.leasing.policy import LeaseMode
from argosy.models.session import SessionRecord, Status

URL = "https://library.example/books/1"
ELSEWHERE = "https://cdn.example/books/1"


def test_the_mark_is_written_before_the_lease_is_granted(scenario: Any) -> None:
    lease = scenario.manager().lease(URL)
    assert (scenario.record.status, scenario.is_free()) == (Status.IN_FLIGHT, False)
    assert scenario.record.holder.pid > 0
    assert lease.cookie_header(URL) == "token=login-1"


def test_settle_stores_the_token_and_clears_the_mark_in_one_write(scenario: Any) -> None:
    lease = scenario.manager().lease(URL)
    marked = scenario.record.generation
    lease.settle(["token=2; Path=/"], URL, None)
    assert (scenario.record.generation, scenario.record.status, scenario.record.holder) == (
        marked + 1,
        Status.IDLE,
        None,
    )
    assert [cookie.value for cookie in scenario.record.cookies] == ["2"]
    assert not scenario.is_free(), "the session is held until the lease ends"
    lease.end()
    lease.end()
    assert scenario.is_free()


def test_a_response_without_cookies_clears_the_mark_too(scenario: Any) -> None:
    lease = scenario.manager().lease(URL)
    lease.settle([], URL, None)
    assert (scenario.record.status, scenario.record.cookies[0].value) == (Status.IDLE, "login-1")


def test_a_request_that_was_not_sent_leaves_the_token_good(scenario: Any) -> None:
    manager = scenario.manager()
    lease = manager.lease(URL)
    lease.unsent()
    lease.end(complete=False)
    assert manager.lease(URL).cookie_header(URL) == "token=login-1"
    assert scenario.logins == 1


def test_a_lost_answer_leaves_the_mark_and_frees_the_session(scenario: Any) -> None:
    lease = scenario.manager().lease(URL)
    lease.doubt()
    lease.end(complete=False)
    assert (scenario.record.status, scenario.is_free()) == (Status.IN_FLIGHT, True)


def test_a_session_whose_last_cookie_is_deleted_is_dead_and_logged_in_next(scenario: Any) -> None:
    manager = scenario.manager()
    lease = manager.lease(URL)
    lease.settle(["token=; Max-Age=0; Path=/"], URL, None)
    lease.end()
    assert scenario.record.status is Status.DEAD
    assert manager.lease(URL).cookie_header(URL) == "token=login-2"


@pytest.mark.parametrize(("complete", "status"), [(True, Status.IDLE), (False, Status.IN_FLIGHT)])
def test_to_end_keeps_hold_and_mark_to_the_last_byte(scenario: Any, complete: bool, status: Status) -> None:
    lease = scenario.manager(lease_mode=LeaseMode.EXCLUSIVE_TO_END).lease(URL)
    lease.settle(["token=2; Path=/"], URL, None)
    assert (scenario.record.status, scenario.record.cookies[0].value) == (Status.IN_FLIGHT, "2")
    assert not scenario.is_free()
    lease.end(complete=complete)
    assert (scenario.record.status, scenario.is_free()) == (status, True)


def test_nothing_is_granted_where_the_mark_cannot_be_written(scenario: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = scenario.manager()
    manager.ensure()

    def fail(record: SessionRecord, expected: int) -> None:
        raise StoreError("no space left")

    monkeypatch.setattr(scenario.store, "write", fail)
    with pytest.raises(StoreError, match="no space left"):
        manager.lease(URL)
    assert scenario.is_free()


def test_cookies_of_another_host_do_not_cost_the_token_in_flight(scenario: Any) -> None:
    """A download that was redirected to another host brings cookies while a token is on its way."""
    manager = scenario.manager()
    lease = manager.lease(URL)
    other = manager.lease(ELSEWHERE)
    assert other.cookie_header(ELSEWHERE) is None
    other.settle(["cdn=1; Path=/"], ELSEWHERE, None)
    lease.settle(["token=2; Path=/"], URL, None)
    lease.end()
    assert {cookie.name: cookie.value for cookie in scenario.record.cookies} == {"token": "2", "cdn": "1"}
    assert scenario.record.status is Status.IDLE
    assert not [told for told in scenario.told if told.startswith("notice")]


def test_a_merge_between_reading_and_marking_is_no_failure(scenario: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    manager: SessionManager = scenario.manager()
    manager.ensure()
    other = manager.lease(ELSEWHERE)
    write, moved = scenario.store.write, list[int]()

    def write_late(record: SessionRecord, expected: int) -> None:
        if record.status is Status.IN_FLIGHT and not moved:
            moved.append(1)
            other.settle(["cdn=1; Path=/"], ELSEWHERE, None)
        write(record, expected)

    monkeypatch.setattr(scenario.store, "write", write_late)
    assert manager.lease(URL).cookie_header(URL) == "token=login-1"
    assert moved
    assert len(scenario.record.cookies) == 2


def test_a_holder_that_lapsed_neither_settles_nor_clears_the_winners_mark(scenario: Any) -> None:
    """The lock was lost: another process logged in and has a request under way."""
    late = scenario.manager().lease(URL)
    scenario.store._holds.clear()  # as if the lock file had been removed
    winner = scenario.manager().lease(URL)
    late.settle(["token=stale; Path=/"], URL, None)
    assert scenario.record.status is Status.IN_FLIGHT
    assert any("Another process changed" in told for told in scenario.told)
    winner.settle(["token=3; Path=/"], URL, None)
    assert scenario.record.cookies[0].value == "3"
    late.unsent()
    late.end()
    assert scenario.record.cookies[0].value == "3"


def test_a_holder_that_lapsed_cannot_mark(scenario: Any) -> None:
    manager = scenario.manager()
    manager.ensure()
    release: Release = scenario.store.acquire("default")
    old = scenario.record
    scenario.store.write(replace(old, generation=old.generation + 1), old.generation)
    with pytest.raises(GenerationMoved):
        ExclusiveLease(scenario.store, old, release)
    release()


def test_a_holder_that_lapsed_gives_up_where_nobody_has_changed_anything_yet(
    scenario: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store whose holds have a time-to-live knows that another process held the session; the mark is still ours."""
    lease = scenario.manager().lease(URL)
    marked, refused = scenario.record, HoldLapsed("another process held it")
    monkeypatch.setattr(scenario.store, "write", raiser(refused))
    lease.settle(["token=stale; Path=/"], URL, None)
    lease.unsent()
    lease.end()
    assert scenario.record == marked
    assert sum("Another process changed" in told for told in scenario.told) == 1


def test_a_login_of_a_holder_that_lapsed_looks_again(scenario: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record is unchanged, so a comparison does not help: the new holder logs in."""
    write = scenario.store.write

    def lapse(record: SessionRecord, expected: int) -> None:
        monkeypatch.setattr(scenario.store, "write", write)
        scenario.store._holds.clear()
        scenario.manager().ensure()
        raise HoldLapsed("another process held it")

    monkeypatch.setattr(scenario.store, "write", lapse)
    scenario.manager().ensure()
    assert (scenario.logins, scenario.record.logins, scenario.record.cookies[0].value) == (2, 1, "login-2")


def raiser(error: Exception) -> Callable[..., None]:
    def write(record: SessionRecord, expected: int) -> None:
        raise error

    return write


def test_shared_leases_merge_what_each_brings(scenario: Any) -> None:
    manager = scenario.manager(lease_mode=LeaseMode.SHARED)
    first, second = manager.lease(URL), manager.lease(URL)
    assert scenario.is_free()
    first.settle(["a=1; Path=/"], URL, None)
    second.settle(["b=2; Path=/"], URL, None)
    names = {cookie.name: cookie.value for cookie in scenario.record.cookies}
    assert names == {"token": "login-1", "a": "1", "b": "2"}
    generation = scenario.record.generation
    for lease in (first, second):
        lease.settle([], URL, None)
        lease.unsent()
        lease.doubt()
        lease.end()
    assert scenario.record.generation == generation
    second.settle(["b=2; Path=/"], URL, None)
    assert scenario.record.generation == generation, "what changes nothing is not written"


def test_a_login_wins_over_what_an_older_shared_lease_brings(scenario: Any) -> None:
    manager = scenario.manager(lease_mode=LeaseMode.SHARED)
    late = manager.lease(URL)
    manager.login()
    late.settle(["token=old; Path=/"], URL, None)
    assert scenario.record.cookies[0].value == "login-2"


def test_a_stamp_does_not_show_the_token(scenario: Any) -> None:
    assert "login-1" not in repr(scenario.manager().lease(URL).stamp)
