"""Who may send, who logs in, and what happens in doubt."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from argosy.errors import (
    Interrupted,
    LoginFailed,
    SessionError,
    SessionInDoubt,
    SessionLost,
    StoreError,
    TransferError,
)
from argosy.interfaces.cookie_store import Scope
from argosy.leasing.manager import FRUITLESS
from argosy.leasing.policy import LeaseMode
from argosy.models.session import Status
from argosy_devkit.contracts.waiting import Thread, wait_until, wait_until_still

URL = "https://library.example/books/1"


def _send(manager: Any, *headers: str) -> Any:
    """Send one request and settle it; return its stamp."""
    lease = manager.lease(URL)
    lease.settle(list(headers), URL, None)
    lease.end()
    return lease.stamp


def _lose_answer(manager: Any) -> None:
    lease = manager.lease(URL)
    lease.doubt()
    lease.end(complete=False)


# -- the first login


def test_the_first_lease_logs_in_and_the_next_does_not(scenario: Any) -> None:
    manager = scenario.manager()
    assert _send(manager).logins == 1
    assert _send(manager).logins == 1
    assert scenario.logins == 1
    assert "login: first use" in scenario.told


def test_ensure_logs_in_before_the_first_request(scenario: Any) -> None:
    manager = scenario.manager()
    manager.ensure()
    manager.ensure()
    assert (scenario.logins, scenario.is_free(), scenario.record.logins) == (1, True, 1)


def test_another_manager_uses_the_session_that_is_there(scenario: Any) -> None:
    scenario.manager().ensure()
    assert scenario.manager().lease(URL).cookie_header(URL) == "token=login-1"
    assert scenario.logins == 1


def test_a_login_that_is_asked_for_replaces_the_session(scenario: Any) -> None:
    manager = scenario.manager()
    manager.ensure()
    manager.login()
    assert [cookie.value for cookie in scenario.record.cookies] == ["login-2"]


def test_without_a_login_nothing_is_sent_with_a_token(scenario: Any) -> None:
    assert scenario.manager(can_login=False).lease(URL).cookie_header(URL) is None


# -- doubt


def test_in_doubt_one_logs_in_where_one_can(scenario: Any) -> None:
    manager = scenario.manager()
    _lose_answer(manager)
    assert manager.lease(URL).cookie_header(URL) == "token=login-2"
    assert "login: a request was sent and its answer never came" in scenario.told


@pytest.mark.parametrize("policy", [{"on_doubt": "ask"}, {"renewable": False}])
def test_in_doubt_the_person_is_asked(scenario: Any, policy: dict[str, Any]) -> None:
    manager = scenario.manager(**policy)
    _lose_answer(manager)
    for _ in range(2):
        with pytest.raises(SessionInDoubt, match="by process") as error:
            manager.lease(URL)
    assert error.value.exit_code == 3
    assert "argosy login CONFIG" in (error.value.hint or "")
    assert (scenario.record.status, scenario.logins, scenario.is_free()) == (Status.IN_FLIGHT, 1, True)


def test_in_doubt_one_waits_without_the_session_and_tries_once(scenario: Any) -> None:
    manager = scenario.manager(on_doubt="wait", doubt_wait=1000.0)
    _lose_answer(manager)
    marked = scenario.record

    def pass_time(seconds: float) -> None:
        assert scenario.is_free(), "the session must not be held while waiting"
        holder = replace(marked.holder, since=marked.holder.since - 1000)
        scenario.store.write(replace(marked, holder=holder, generation=marked.generation + 1), marked.generation)

    scenario.told.clear()
    manager._callbacks = replace(manager._callbacks, sleep=pass_time)
    assert manager.lease(URL).cookie_header(URL) == "token=login-1"
    assert scenario.logins == 1
    assert "waiting doubt" in scenario.told


def test_ensure_does_not_cut_the_wait_short(scenario: Any) -> None:
    """A run that starts right after a crash must not clear the mark: the dead holder's request may still arrive."""
    manager = scenario.manager(on_doubt="wait", doubt_wait=1000.0)
    _lose_answer(manager)
    manager.ensure()
    assert scenario.record.status is Status.IN_FLIGHT
    assert scenario.is_free()


def test_the_wait_is_bounded_where_the_clock_was_set_back(scenario: Any) -> None:
    manager = scenario.manager(on_doubt="wait", doubt_wait=30.0)
    _lose_answer(manager)
    record = scenario.record
    future = replace(record, holder=replace(record.holder, since=time.time() + 86_400))
    assert manager._doubt_left(future) == 30.0


@pytest.mark.parametrize(
    ("changes", "doubt"),
    [({}, True), ({"synced": True}, False), ({"boot": ""}, False), ({"cookies": ()}, False)],
)
def test_a_record_from_before_a_power_loss_is_in_doubt(
    scenario: Any, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], doubt: bool
) -> None:
    monkeypatch.setattr(type(scenario.store), "scope", Scope.HOST)
    manager = scenario.manager()
    manager.ensure()
    record = replace(scenario.record, **{"boot": "another boot", **changes})
    scenario.store.write(replace(record, generation=record.generation + 1), record.generation)
    manager.lease(URL)
    assert scenario.logins == (2 if doubt else 1)


# -- refusals


def test_a_refusal_logs_in_once_and_the_others_use_it(scenario: Any) -> None:
    managers = [scenario.manager() for _ in range(3)]
    stamps = [_send(manager) for manager in managers]
    for manager, stamp in zip(managers, stamps, strict=True):
        manager.refused(stamp)
    assert scenario.logins == 2
    assert scenario.record.logins == 2


def test_refused_threads_wait_for_one_login(scenario: Any) -> None:
    manager = scenario.manager(lease_mode=LeaseMode.SHARED)
    stamps = [_send(manager) for _ in range(8)]
    for thread in [Thread(lambda s=stamp: manager.refused(s)) for stamp in stamps]:  # type: ignore[misc]  # a default binds it
        thread.result()
    assert scenario.logins == 2


def test_a_thread_that_queued_before_the_refusal_does_not_send_the_refused_token(scenario: Any) -> None:
    manager = scenario.manager()
    stamp = _send(manager)
    release = scenario.store.acquire("default")
    queued = Thread(lambda: manager.lease(URL))  # holds have an order: it comes before the one that was refused
    wait_until_still(queued)
    refused = Thread(lambda: manager.refused(stamp))
    wait_until_still(refused)
    release()
    lease = queued.result()
    assert (lease.cookie_header(URL), scenario.logins) == ("token=login-2", 2)
    lease.unsent()
    lease.end()
    refused.result()
    assert scenario.logins == 2


def test_after_a_refusal_a_newer_token_is_used_without_a_login(scenario: Any) -> None:
    manager = scenario.manager(lease_mode=LeaseMode.SHARED)
    stamp = _send(manager)
    _send(manager, "token=newer; Path=/")
    manager.refused(stamp)
    assert scenario.logins == 1
    assert scenario.record.cookies[0].value == "newer"


def test_logins_of_one_run_are_bounded(scenario: Any) -> None:
    manager = scenario.manager(max_logins=3)
    for _ in range(2):
        manager.refused(_send(manager))
    with pytest.raises(SessionLost, match="after 3 logins in a row"):
        manager.refused(_send(manager))
    with pytest.raises(SessionLost):
        manager.lease(URL)
    assert scenario.logins == 3


def test_a_login_that_fails_keeps_the_old_record_and_is_not_tried_again(scenario: Any) -> None:
    manager = scenario.manager()
    stamp = _send(manager)
    before, scenario.error = scenario.record, LoginFailed("The password is wrong.")
    for thread in [Thread(lambda: manager.refused(stamp)) for _ in range(4)]:
        with pytest.raises(LoginFailed, match="password is wrong"):
            thread.result()
    with pytest.raises(LoginFailed):
        manager.lease(URL)
    assert scenario.logins == 2
    assert scenario.record == before
    assert scenario.is_free()


def test_a_service_out_of_reach_is_not_a_failed_login(scenario: Any) -> None:
    manager = scenario.manager()
    scenario.error = TransferError("The login could not be sent.", kind="connect", retryable=True)
    with pytest.raises(TransferError):
        manager.lease(URL)
    scenario.error = None
    assert manager.lease(URL).cookie_header(URL) == "token=login-2"


def test_an_imported_jar_is_not_imported_again(scenario: Any) -> None:
    manager = scenario.manager(renewable=False)
    with pytest.raises(SessionLost, match="argosy cannot renew it") as error:
        manager.refused(_send(manager))
    assert (scenario.logins, error.value.exit_code) == (1, 3)
    with pytest.raises(SessionError):
        manager.lease(URL)


def test_an_imported_jar_that_the_service_ended_is_lost(scenario: Any) -> None:
    manager = scenario.manager(renewable=False)
    _send(manager, "token=; Max-Age=0; Path=/")
    with pytest.raises(SessionLost, match="ended the session"):
        manager.lease(URL)
    assert scenario.logins == 1


def test_without_a_login_a_refusal_ends_the_run(scenario: Any) -> None:
    manager = scenario.manager(can_login=False)
    with pytest.raises(SessionLost, match="without a login"):
        manager.refused(_send(manager))


def test_logins_that_help_nothing_end_the_run(scenario: Any) -> None:
    manager = scenario.manager()
    stamp = _send(manager)
    for _ in range(FRUITLESS - 1):
        manager.fruitless()
    manager.accepted(stamp)
    for _ in range(FRUITLESS - 1):
        manager.fruitless()
    with pytest.raises(SessionLost, match="accepts the login but refused"):
        manager.fruitless()
    with pytest.raises(SessionLost):
        manager.lease(URL)


def test_cookies_that_change_during_a_login_do_not_cost_the_login(scenario: Any) -> None:
    manager = scenario.manager(lease_mode=LeaseMode.SHARED)
    stamp = _send(manager)
    late = manager.lease(URL)
    scenario.before_login = lambda: late.settle(["visits=7; Path=/"], URL, None)
    manager.refused(stamp)
    assert [cookie.value for cookie in scenario.record.cookies] == ["login-2"]
    assert scenario.record.logins == 2


# -- waiting


def test_politeness_waits_without_the_session(scenario: Any) -> None:
    manager = scenario.manager()
    manager.ensure()
    delays = [5.0, 0.0]
    free: list[bool] = []
    manager._callbacks = replace(manager._callbacks, sleep=lambda seconds: free.append(scenario.is_free()))
    lease = manager.lease(URL, lambda: delays.pop(0))
    assert free == [True]
    assert lease.cookie_header(URL) == "token=login-1"


def test_a_thread_that_waits_for_the_session_says_so(scenario: Any) -> None:
    manager = scenario.manager()
    first = manager.lease(URL)
    waiting = Thread(lambda: manager.lease(URL))
    wait_until(lambda: "waiting lease" in scenario.told, "the second lease to wait")
    first.settle(["token=2; Path=/"], URL, None)
    assert waiting.is_alive()
    first.end()
    assert waiting.result().cookie_header(URL) == "token=2"


def test_sync_notes_that_the_record_is_on_stable_storage(scenario: Any) -> None:
    manager = scenario.manager()
    manager.sync()
    assert scenario.store.sessions() == []
    manager.ensure()
    manager.sync()
    assert scenario.record.synced
    generation = scenario.record.generation
    manager.sync()
    assert scenario.record.generation == generation
    _send(manager)
    assert not scenario.record.synced


def test_a_sync_that_fails_leaves_no_claim_behind(scenario: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = scenario.manager()
    manager.ensure()

    def refuse() -> None:
        raise StoreError("The disk says no.")

    with monkeypatch.context() as patch:
        patch.setattr(scenario.store, "sync", refuse)
        with pytest.raises(StoreError, match="says no"):
            manager.sync()
    assert not scenario.record.synced, "the record must not claim to be on stable storage"
    manager.sync()
    assert scenario.record.synced


@pytest.mark.parametrize("lease_mode", list(LeaseMode))
def test_every_token_is_told_so_that_it_can_be_redacted(scenario: Any, lease_mode: LeaseMode) -> None:
    manager = scenario.manager(lease_mode=lease_mode)
    lease = manager.lease(URL)
    lease.settle(["token=rotated; Path=/"], URL, None)
    assert {"secret login-1", "secret rotated"} <= set(scenario.told)
    lease.end()
    scenario.told.clear()
    scenario.manager(lease_mode=lease_mode).lease(URL)
    assert "secret rotated" in scenario.told, "a token that was found in the store is a secret as well"


def test_a_newer_token_that_is_refused_too_leads_to_a_login(scenario: Any) -> None:
    manager = scenario.manager(lease_mode=LeaseMode.SHARED)
    stamp = _send(manager)
    _send(manager, "visits=1; Path=/")
    manager.refused(stamp, again=True)
    manager.refused(stamp, again=True)
    assert scenario.logins == 2


def test_a_record_that_is_on_stable_storage_is_outlived_there_before_anything_is_sent(
    scenario: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = scenario.manager()
    manager.ensure()
    manager.sync()
    synced: list[Status] = []
    monkeypatch.setattr(scenario.store, "sync", lambda: synced.append(scenario.record.status))
    lease = manager.lease(URL)
    assert synced == [Status.IN_FLIGHT], "a power loss must not bring back a token as good that may be spent"
    lease.settle([], URL, None)
    lease.end()
    _send(manager)
    assert synced == [Status.IN_FLIGHT], "the record no longer says that it is on stable storage"


def test_a_run_that_is_being_stopped_logs_nobody_in(scenario: Any) -> None:
    manager = scenario.manager()

    def check() -> None:
        raise Interrupted("stopped")

    manager._callbacks = replace(manager._callbacks, check=check)
    for step in (manager.ensure, lambda: manager.lease(URL)):
        with pytest.raises(Interrupted):
            step()
    assert (scenario.logins, scenario.is_free()) == (0, True)
